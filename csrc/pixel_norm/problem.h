// One run of pixel_norm or of a derivative, in plain types: set by the glue, read by every kernel.
#pragma once

#include <cstdint>

#include "../common/problem.h"

namespace fg::pixel_norm {

// Channels are the features. A pixel is one outer and one inner index.
using Layout = ChannelLayout;

// Passes and their tensors:
//
// - forward: out = y, from x.
// - backward: out = dx, from dy and x.
// - double_backward: out = ddy and dx, from ddx, dy and x.
struct Arguments {
  Pass pass;
  DType dtype;
  Layout layout;
  double eps;
  // All have dtype and layout. Null if absent or not needed.
  const void *x = nullptr, *dy = nullptr, *ddx = nullptr;
  void *out = nullptr, *dx = nullptr;
};

void run(const Arguments& a);
int run(const Arguments& a, void* stream);

}  // namespace fg::pixel_norm
