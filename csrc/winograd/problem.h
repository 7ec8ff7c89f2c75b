// One convolution by Winograd's minimal filtering, in plain types. Images are channels_last;
// weights have any strides.
#pragma once

#include <cstdint>

#include "../common/activation.h"
#include "../common/integers.h"

namespace fg::winograd {

// Channels in a group. It is one cache line, for every instruction set.
inline constexpr std::int64_t lanes = 16;

// Pixels of an image in a unit of a conversion of its layout.
inline constexpr std::int64_t layout_pixels = 64;

constexpr std::int64_t rounded_up(std::int64_t n, std::int64_t unit) {
  return divide_up(n, unit) * unit;
}

// Shape of x [n, h, w, c] and y [n, oh, ow, k]. `pad` zeros come before the first row and column.
struct Shape {
  std::int64_t n, h, w, c, oh, ow, k, pad_y, pad_x;
};

// weight(k, c, tap) = data[k · of_k + c · of_c + tap · of_tap]. tap is 3y + x, counted from the end
// if `flip`.
struct Weights {
  const float* data;
  std::int64_t of_k, of_c, of_tap;
  bool flip;
};

// Operations on a result z before it is stored: clamp(gain · act(scale · z + noise + bias)). Null
// if absent.
struct Epilogue {
  const float *scale = nullptr, *noise = nullptr, *bias = nullptr;  // [n, k], [n or 1, oh, ow], [k]
  bool noise_per_sample = false;
  Act act = Act::piecewise;
  Scalars<float> scalars{};
  bool identity = true;  // act, gain and clamp do nothing
};

struct Forward {
  Shape shape;
  const float *x, *style;  // style [n, c] multiplies x, or null
  Weights weights;
  Epilogue epilogue;
  float* y;
  // For the gradient of a style: Σ z · with over pixels is added to `sums` [n, k]. `with` is
  // [n, oh, ow, k]. Null if not needed.
  const float* with = nullptr;
  float* sums = nullptr;
  bool streaming = false;  // y is too large for the cache
};

// dw[k, c, tap] = Σ dy[n, y, x, k] · (x·style)[n, y + ty - pad, x + tx - pad, c]; dw is contiguous.
struct WeightGradient {
  Shape shape;
  const float *x, *style, *dy;
  float* dw;
};

}  // namespace fg::winograd
