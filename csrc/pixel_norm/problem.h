// One run of pixel_norm or of a derivative, in plain types: what the glue fills in and every kernel reads.
#pragma once

#include <cstdint>

#include "../common/dtype.h"

namespace fg::pixel_norm {

// Memory in order, for any dense layout and any dimension of the features. A pixel is one outer and one inner index.
struct Layout {
  std::int64_t outer, channels, inner;
};

// forward          out = y            from x
// backward         out = dx           from dy and x
// double_backward  out = ddy, dx      from ddx, dy and x
enum class Pass { forward, backward, double_backward };

struct Arguments {
  Pass pass;
  DType dtype;
  Layout layout;
  double eps;
  // All of dtype and layout; null where absent or not wanted.
  const void *x = nullptr, *dy = nullptr, *ddx = nullptr;
  void *out = nullptr, *dx = nullptr;
};

}  // namespace fg::pixel_norm
