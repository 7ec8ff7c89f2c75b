// Conversion of images between contiguous and channels_last memory.
#pragma once

#include "../common/cpu_transpose.h"
#include "problem.h"

namespace fg::FG_CPU_LEVEL {
namespace {

// Convert units [first, last) of images of c channels: `layout_pixels` pixels each. Blocks of 8
// channels read and write whole lines.
void convert_layout(
    const float* from, float* to, bool to_channels_last, int64_t c, int64_t pixels, int64_t first,
    int64_t last) {
  using fg::winograd::layout_pixels;
  const int64_t units = divide_up(pixels, layout_pixels);
  for (int64_t unit = first; unit < last; ++unit) {
    const int64_t image = unit / units * c * pixels, p = unit % units * layout_pixels,
                  ps = std::min(layout_pixels, pixels - p);
    for (int64_t at = 0; at < c; at += 8) {
      const int64_t cs = std::min<int64_t>(8, c - at);
      const int64_t by_channel = image + at * pixels + p, by_pixel = image + p * c + at;
      if (to_channels_last) {
        transpose(from + by_channel, pixels, to + by_pixel, c, cs, ps);
      } else {
        transpose(from + by_pixel, c, to + by_channel, pixels, ps, cs);
      }
    }
  }
}

}  // namespace
}  // namespace fg::FG_CPU_LEVEL
