// One run of bias_act or of a derivative, in plain types: set by the glue, read by every kernel.
#pragma once

#include <cstdint>

#include "../common/activation.h"
#include "../common/dtype.h"

namespace fg::bias_act {

// View of memory as [outer, channels, inner], for any dense layout and any dimension of the bias.
struct Layout {
  std::int64_t outer, channels, inner;

  std::int64_t numel() const { return outer * channels * inner; }
  // Contiguous elements that contain each channel once.
  std::int64_t row() const { return channels * inner; }
};

// Passes and their tensors:
//
// - forward: out = y, from x and b.
// - backward: out = dx, from dy and either y, or x and b. partial has sums of dx.
// - double_backward: out = ddy, from ddx, ddb and either y, or x and b. Curved activations also
//   have out_v = dx, from these and dy. partial has sums of out_v.
enum class Pass { forward, backward, double_backward };

struct Arguments {
  Pass pass;
  DType dtype;
  Act act;
  double alpha, gain, clamp;  // clamp: NaN for none, and rounded to dtype
  Layout layout;
  // Null if absent. Tensors share the layout; b and ddb have one element per channel.
  const void *x = nullptr, *b = nullptr, *y = nullptr, *dy = nullptr, *ddx = nullptr,
             *ddb = nullptr;
  void *out = nullptr, *out_v = nullptr;
  // Partial sums of the bias gradient, in the accumulation type; null unless they are needed.
  void* partial = nullptr;
  bool streaming = false;  // CPU: the results are too large for the cache
};

}  // namespace fg::bias_act
