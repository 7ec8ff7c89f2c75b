// One run of modulation_factors or of its derivative, in plain types: set by the glue, read by
// every kernel.
#pragma once

#include <cstdint>

#include "../common/problem.h"

namespace fg::modulation_factors {

// Weights are [outs][channels][taps], styles and gain [batch][channels], scales [batch][outs].
struct Arguments {
  Pass pass;  // forward or backward
  DType dtype;
  std::int64_t batch, outs, channels, taps;
  // - demodulate: the scale normalises the modulated weights.
  // - normalize: weights and styles are divided first.
  // - flip: scaled weights are reversed.
  // - channels_last: scaled weights are [outs][taps][channels].
  bool demodulate, normalize, flip, channels_last;
  std::int64_t gain_row = 0, gain_step = 0;

  // The rest may be null: absent or not needed. These have the accumulation type.
  const void *weight = nullptr, *styles = nullptr, *gain = nullptr;
  // Results of forward and gradients in them, of dtype.
  void *scaled = nullptr, *scaled_styles = nullptr, *scale = nullptr;
  const void *dscaled = nullptr, *dscaled_styles = nullptr, *dscale = nullptr;
  // Results of forward that backward reads, of the accumulation type: sums of squares over the taps
  // [outs][channels], divisors of weights [outs] and styles [batch], and the unrounded scale.
  void *squares = nullptr, *norm = nullptr, *largest = nullptr, *root = nullptr;
  void *dweight = nullptr, *dstyles = nullptr, *dgain = nullptr;

  std::int64_t row() const { return channels * taps; }
};

void run(const Arguments& a);
int run(const Arguments& a, void* stream);

}  // namespace fg::modulation_factors
