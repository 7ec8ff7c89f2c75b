// One run of pixel_norm or of a derivative, in plain types: set by the glue, read by every kernel.
#pragma once

#include <cstdint>

#include "../common/dtype.h"

namespace fg::pixel_norm {

// View of memory as [outer, channels, inner], for any dense layout and any dimension of the
// features. A pixel is one outer and one inner index.
struct Layout {
  std::int64_t outer, channels, inner;
};

// Passes and their tensors:
//
// - forward: out = y, from x.
// - backward: out = dx, from dy and x.
// - double_backward: out = ddy and dx, from ddx, dy and x.
enum class Pass { forward, backward, double_backward };

struct Arguments {
  Pass pass;
  DType dtype;
  Layout layout;
  double eps;
  // All have dtype and layout. Null if absent or not needed.
  const void *x = nullptr, *dy = nullptr, *ddx = nullptr;
  void *out = nullptr, *dx = nullptr;
};

}  // namespace fg::pixel_norm
