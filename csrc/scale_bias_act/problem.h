// One run of scale_bias_act or of a derivative, in plain types: set by the glue, read by every
// kernel.
#pragma once

#include <cstdint>

#include "../common/activation.h"
#include "../common/problem.h"

namespace fg::scale_bias_act {

using Layout = ImageLayout;

// The passes compute with these numbers:
//
// - v = scale·x + noise + b
// - s1 = gain·act'(v), s2 = gain·act''(v); both are 0 where the clamp is active
// - g = dy·s1, h = scale·ddx + ddscale·x + ddnoise + ddb, q = dy·s2·h
//
// Their results are:
//
// - forward: out = y
// - backward: out = dx = g·scale, dscale = Σ g·x, dnoise = Σ g, db = Σ g
// - double_backward: out = ddy = s1·h, out_x = dx = q·scale + g·ddscale.
//   dscale = Σ q·x + g·ddx, dnoise = Σ q, db = Σ q
//
// dscale is a sum over pixels. dnoise is one over channels, and over the batch if shared_noise. db
// is one over batch and pixels.
struct Arguments {
  Pass pass;
  DType dtype;
  Act act;
  double alpha, gain, clamp;  // clamp is NaN for none, and rounded to dtype
  Layout layout;
  // With it, noise, ddnoise and dnoise are [pixels], the same for every image; else
  // [batch][pixels].
  bool shared_noise;
  // Null if absent. An absent scale counts as 1, all others as 0.
  //
  // - x, dy, ddx, out and out_x have the layout.
  // - scale, ddscale and dscale are [batch][channels]; b, ddb and db are [channels].
  // - Derivatives need no x, noise and b if the slope is gain everywhere (linear without clamp) and
  //   nothing else needs x. The second derivative needs no dy if only ddy is needed.
  const void *x = nullptr, *scale = nullptr, *noise = nullptr, *b = nullptr, *dy = nullptr;
  const void *ddx = nullptr, *ddscale = nullptr, *ddnoise = nullptr, *ddb = nullptr;
  void *out = nullptr, *out_x = nullptr;                     // out_x is null if not needed
  void *dscale = nullptr, *dnoise = nullptr, *db = nullptr;  // of dtype; null if not needed
  // Elements of the accumulation type, as many as the device needs; null if none.
  void* workspace = nullptr;
};

std::int64_t workspace(const Arguments& a);
void run(const Arguments& a);
int run(const Arguments& a, void* stream);

}  // namespace fg::scale_bias_act
