// One run of grid_sample or a derivative, in plain types: set by the glue, read by every kernel.
#pragma once

#include <cstdint>

#include "../common/problem.h"

namespace fg::grid_sample {

enum class Padding { zeros, border, reflection };

// Memory of images is [images][channels][pixels], or [images][pixels][channels] if channels_last.
// p, q and image have `height * width` pixels, v and out have `points`.
struct Layout {
  std::int64_t images, channels, height, width, points;
  bool channels_last;

  constexpr std::int64_t pixels() const { return height * width; }
};

// The op and its derivatives are one or both of two sweeps. S is the matrix of the weights of an
// image; S_x, S_y and S_xy are its derivatives in the grid's coordinates.
//
// - over points: out = S·p + b_x·S_x·q + b_y·S_y·q,
//   dgrid = Σ_c v·(S_x·p + b_y·S_xy·q, S_y·p + b_x·S_xy·q)
// - into pixels: image = Sᵀ·v without b, else S_xᵀ·(b_x·v) + S_yᵀ·(b_y·v)
//
// Passes and their tensors:
//
// - forward: p = x, out = y
// - backward: v = dy, p = x, image = dx, dgrid
// - double_backward: v = dy, p = ddx, q = x, b = ddgrid, out = ddy, image = dx, dgrid
struct Arguments {
  DType dtype;
  Layout layout;
  bool nearest, align_corners;
  Padding padding;
  // Images of dtype. Null if absent, which means zero; q is absent without b.
  const void *p = nullptr, *q = nullptr, *v = nullptr;
  // [images][points][2] of the accumulation type; b may be null.
  const void *grid = nullptr, *b = nullptr;
  // Results, null if not needed; out and image have dtype, dgrid has the accumulation type.
  void *out = nullptr, *image = nullptr, *dgrid = nullptr;
  // Zeros, as many 64-bit integers as the device needs; null if none.
  void* workspace = nullptr;
};

std::int64_t workspace(const Arguments& a);
void run(const Arguments& a);
int run(const Arguments& a, void* stream);

}  // namespace fg::grid_sample
