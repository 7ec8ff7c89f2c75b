// One convolution by Winograd's minimal filtering, in plain types. Images are channels_last, weights any strides.
#pragma once

#include <cstdint>

#include "../common/activation.h"

namespace fg::winograd {

inline constexpr std::int64_t lanes =
    16;  // channels that go together, in every instruction set: one line of cache

constexpr std::int64_t rounded_up(std::int64_t n, std::int64_t unit) {
  return (n + unit - 1) / unit * unit;
}

// x [n, h, w, c] to y [n, oh, ow, k]. `pad` zeros lie before the first row and column.
struct Shape {
  std::int64_t n, h, w, c, oh, ow, k, pad_y, pad_x;
};

// weight(k, c, tap) = data[k · of_k + c · of_c + tap · of_tap], tap = 3y + x counted from the end if `flip`.
struct Weights {
  const float* data;
  std::int64_t of_k, of_c, of_tap;
  bool flip;
};

// What happens to a result z before it is stored: clamp(gain · act(scale · z + noise + bias)). Null where absent.
struct Epilogue {
  const float *scale = nullptr, *noise = nullptr, *bias = nullptr;  // [n, k], [n or 1, oh, ow], [k]
  bool noise_per_sample = false;
  Act act = Act::piecewise;
  Scalars<float> scalars{};
  bool identity = true;  // act, gain and clamp do nothing
};

struct Forward {
  Shape shape;
  const float *x, *style;  // style [n, c] multiplies x; null for none
  Weights weights;
  Epilogue epilogue;
  float* y;
  // For the gradient of a style: z · with [n, oh, ow, k] is added up over pixels into `sums` [n, k]. Null if not wanted.
  const float* with = nullptr;
  float* sums = nullptr;
  bool streaming = false;  // y is too large for the cache
};

// dw[k, c, tap] = Σ dy[n, y, x, k] · (x·style)[n, y + ty - pad, x + tx - pad, c], contiguous.
struct WeightGradient {
  Shape shape;
  const float *x, *style, *dy;
  float* dw;
};

}  // namespace fg::winograd
