// One run of grid_sample or a derivative, in plain types: what the glue fills in and every kernel reads.
#pragma once

#include <cstdint>

#include "../common/dtype.h"

namespace fg::grid_sample {

enum class Padding { zeros, border, reflection };

// Memory of images is [images][channels][pixels], or [images][pixels][channels] if channels_last, with `height * width` pixels
// in p, q and image and `points` in v and out.
struct Layout {
  std::int64_t images, channels, height, width, points;
  bool channels_last;

  constexpr std::int64_t pixels() const { return height * width; }
};

// All that the op and its derivatives do is one of two sweeps, or both. S is the matrix of the weights of an image, S_x, S_y and
// S_xy its derivatives in the grid's coordinates:
//
//   over points    out = S·p + b_x·S_x·q + b_y·S_y·q      dgrid = Σ_c v·(S_x·p + b_y·S_xy·q, S_y·p + b_x·S_xy·q)
//   into pixels    image = Sᵀ·v without b, S_xᵀ·(b_x·v) + S_yᵀ·(b_y·v) with it
//
//   forward           p = x, out = y
//   backward          v = dy, p = x, image = dx, dgrid
//   double_backward   v = dy, p = ddx, q = x, b = ddgrid, out = ddy, image = dx, dgrid
struct Arguments {
  DType dtype;
  Layout layout;
  bool nearest, align_corners;
  Padding padding;
  const void *p = nullptr, *q = nullptr,
             *v = nullptr;  // of dtype; null where absent, which is zero. q only comes with b
  const void *grid = nullptr,
             *b = nullptr;  // [images][points][2] of the accumulation type; b may be null
  void *out = nullptr, *image = nullptr,
       *dgrid = nullptr;  // null where not wanted; out and image of dtype
  void* workspace =
      nullptr;  // zeros, as many 64-bit integers as the device asked for; null if none
};

}  // namespace fg::grid_sample
