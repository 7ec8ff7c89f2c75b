// One run of bias_act or of a derivative, in plain types: what the glue fills in and every kernel reads.
#pragma once

#include <cstdint>

#include "../common/activation.h"
#include "../common/dtype.h"

namespace fg::bias_act {

// Memory in order, for any dense layout and any dimension of the bias.
struct Layout {
  std::int64_t outer, channels, inner;

  std::int64_t numel() const { return outer * channels * inner; }
  std::int64_t row() const {
    return channels * inner;
  }  // contiguous elements that hold each channel once
};

// forward          out = y                             from x, b
// backward         out = dx, partial = sums of it      from dy and either y, or x and b
// double_backward  out = ddy                           from ddx, ddb and either y, or x and b
//                  out_v = dx, partial = sums of it    from those and dy: curved activations
enum class Pass { forward, backward, double_backward };

struct Arguments {
  Pass pass;
  DType dtype;
  Act act;
  double alpha, gain, clamp;  // clamp: NaN for none, and rounded to dtype
  Layout layout;
  // Null where absent. Tensors share the layout; b and ddb have one element per channel.
  const void *x = nullptr, *b = nullptr, *y = nullptr, *dy = nullptr, *ddx = nullptr,
             *ddb = nullptr;
  void *out = nullptr, *out_v = nullptr;
  void* partial =
      nullptr;  // partial sums for the bias gradient, in the accumulation type; null if not wanted
  bool streaming = false;  // CPU: the results are too large for the cache
};

}  // namespace fg::bias_act
