// One run of scale_bias_act or of a derivative, in plain types: what the glue fills in and every kernel reads.
#pragma once

#include <cstdint>

#include "../common/activation.h"
#include "../common/dtype.h"

namespace fg::scale_bias_act {

// Memory of the image tensors: [batch][channels][pixels], or [batch][pixels][channels] if channels_last.
struct Layout {
  std::int64_t batch, channels, pixels;
  bool channels_last;

  std::int64_t numel() const { return batch * channels * pixels; }
};

// With v = scale·x + noise + b, s1 = gain·act'(v) and s2 = gain·act''(v), both 0 where the clamp is active, g = dy·s1,
// h = scale·ddx + ddscale·x + ddnoise + ddb and q = dy·s2·h:
//
//   forward           out = y
//   backward          out = dx = g·scale                  dscale = Σ g·x           dnoise = Σ g   db = Σ g
//   double_backward   out = ddy = s1·h
//                     out_x = dx = q·scale + g·ddscale    dscale = Σ q·x + g·ddx   dnoise = Σ q   db = Σ q
//
// dscale is summed over pixels; dnoise over channels, and over the batch if shared_noise; db over batch and pixels.
enum class Pass { forward, backward, double_backward };

struct Arguments {
  Pass pass;
  DType dtype;
  Act act;
  double alpha, gain, clamp;  // clamp: NaN for none, and rounded to dtype
  Layout layout;
  bool
      shared_noise;  // noise, ddnoise and dnoise are [pixels], the same for every image; else [batch][pixels]
  // Null where absent. x, dy, ddx, out and out_x have the layout; scale, ddscale, dscale are [batch][channels]; b, ddb, db are
  // [channels]. A scale that is absent is 1, anything else 0. Derivatives come without x, noise and b where the slope is
  // gain everywhere (linear without clamp) and nothing else needs x; the second comes without dy where only ddy is wanted.
  const void *x = nullptr, *scale = nullptr, *noise = nullptr, *b = nullptr, *dy = nullptr;
  const void *ddx = nullptr, *ddscale = nullptr, *ddnoise = nullptr, *ddb = nullptr;
  void *out = nullptr, *out_x = nullptr;                     // out_x: null if not wanted
  void *dscale = nullptr, *dnoise = nullptr, *db = nullptr;  // of dtype; null if not wanted
  void* workspace =
      nullptr;  // as many elements of the accumulation type as the device asked for; null if none
};

}  // namespace fg::scale_bias_act
