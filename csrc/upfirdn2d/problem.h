// One run of upfirdn2d, in plain types: set by the glue, read by every kernel.
#pragma once

#include <cstdint>
#include <numeric>

#include "../common/activation.h"
#include "../common/problem.h"

namespace fg::upfirdn2d {

// One axis: out[o] = Σ_k h[k] · in[(o·down - pad + k) / up]. The sum runs over the taps k for which
// the quotient is an integer and in the image. h is the reversed filter, or the filter itself if
// `flip`.
struct Axis {
  std::int64_t in, out, up, down, pad, taps;
};

// The same axis as a bank of small filters, which skip inserted zeros. With o = q·period + r, all
// outputs of one r have one phase:
//
//   out[q·period + r] = Σ_j h[tap + j·up] · in[q·advance + first + j]   over 0 <= j < count
struct Phase {
  std::int64_t first, tap, count;
};

static constexpr std::int64_t period(const Axis& a) { return a.up / std::gcd(a.up, a.down); }
static constexpr std::int64_t advance(const Axis& a) { return a.down / std::gcd(a.up, a.down); }

static constexpr Phase phase(const Axis& a, std::int64_t r) {
  const std::int64_t start = r * a.down - a.pad;
  const std::int64_t tap = ((-start) % a.up + a.up) % a.up;
  return {(start + tap) / a.up, tap, tap < a.taps ? (a.taps - 1 - tap) / a.up + 1 : 0};
}

// The epilogue of a layer that upsamples: y = clamp(gain · act(scale·z + noise + b)) of the
// filtered image z. Null is a scale of 1, or no noise or b.
struct Epilogue {
  DType dtype;
  Act act;
  double alpha, gain, clamp;  // clamp is NaN for none, and rounded to dtype
  std::int64_t channels;
  bool shared_noise;  // noise is [pixels], the same for every image; else [batch][pixels]
  const void *scale, *noise, *b;  // scale is [batch][channels], b [channels]
  void* filtered;                 // z, in the layout of the output, or null
};

struct Arguments {
  DType dtype;
  // Memory is [outer][y][x][inner]. inner is 1 for contiguous images and C for channels_last ones.
  std::int64_t outer, inner;
  Axis x, y;
  const void* input = nullptr;
  void* output = nullptr;
  // [taps], or [taps_y][taps_x] if not separable, on the device. Null for none: one tap of 1.
  const float* filter = nullptr;
  bool separable = true;
  bool flip = false;
  double gain = 1;
  bool has_epilogue = false;
  Epilogue epilogue{};
};

void run(const Arguments& a);
int run(const Arguments& a, void* stream);

}  // namespace fg::upfirdn2d
