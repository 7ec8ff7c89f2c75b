// One run of filtered_lrelu, in plain types: set by the glue, read by every kernel.
#pragma once

#include <algorithm>
#include <cstdint>

#include "../common/problem.h"
#include "../upfirdn2d/problem.h"

namespace fg::filtered_lrelu {

// One axis of an image that is upsampled and then downsampled.
struct Axis {
  std::int64_t in, out, up, down, pad, taps_up, taps_down;
  // Place of the codes of the upsampled image. Its pixel m has code m + offset, of `codes` ones.
  std::int64_t offset, codes;
};

// Pixels of the upsampled image that the result is filtered from.
static constexpr std::int64_t between(const Axis& a) { return (a.out - 1) * a.down + a.taps_down; }

// Upsampling as an axis of upfirdn2d. Its phase r has pixels m with m mod up = r:
//
//   u[q·up + r] = Σ_j h[tap + j·up] · v[q + first + j]   over 0 <= j < count
static constexpr upfirdn2d::Axis upsampling(const Axis& a) {
  return {a.in, between(a), a.up, 1, a.pad, a.taps_up};
}

// Codes of the derivative: 0 for 1, 1 for the slope, 2 for 0. A byte has those of four rows, the
// first one in the low bits.
inline constexpr int rows_per_byte = 4;

struct Arguments {
  DType dtype;
  // Memory is [outer][y][x][inner]. inner is 1 for contiguous images and C for channels_last ones.
  std::int64_t outer, inner, channels;
  Axis x, y;
  const void* input = nullptr;
  // [channels], or null.
  const void* bias = nullptr;
  void* output = nullptr;
  // [outer][rows of bytes][x][inner]. The activation writes new ones unless null. The linear op
  // reads them in place of the activation.
  std::uint8_t* new_codes = nullptr;
  const std::uint8_t* codes = nullptr;
  // [taps], or [taps_y][taps_x] if not separable, on the device. Null for none: one tap of 1.
  const float *up_filter = nullptr, *down_filter = nullptr;
  bool up_separable = true, down_separable = true;
  bool flip = false;
  // The clamp is NaN for none: every comparison with it is false.
  double gain = 1, slope = 0, clamp = 0;
};

void run(const Arguments& a);
int run(const Arguments& a, void* stream);

}  // namespace fg::filtered_lrelu
