// CPU kernel as a plain function over units of work. Torch-free.
#pragma once

#include <algorithm>
#include <cstdint>

#include "../common/cpu_block.h"
#include "../common/cpu_level.h"
#include "problem.h"

namespace fg::pixel_norm {

// Division of the work into units. A unit is a strip of neighbouring pixels; their channels are
// read twice, the second time from L2. If channels are the fastest dimension, a unit is a number of
// whole pixels.
struct Partition {
  static constexpr std::int64_t unit_elements = 65536, least_strip = 32;

  std::int64_t units, pixels;  // pixels per unit
  std::int64_t strips;         // per outer index

  explicit Partition(const Layout& l) {
    const std::int64_t fitting = unit_elements / l.channels;
    if (l.inner == 1) {
      pixels = std::max<std::int64_t>(1, fitting);
      strips = 1;
      units = divide_up(l.outer, pixels);
    } else {
      pixels =
          std::clamp<std::int64_t>(fitting / least_strip * least_strip, least_strip, block_size);
      strips = divide_up(l.inner, pixels);
      units = l.outer * strips;
    }
  }
};

using Run = void (*)(
    const Arguments&, const Partition&, bool streaming, std::int64_t begin, std::int64_t end);

}  // namespace fg::pixel_norm

FG_DECLARE_PER_LEVEL(pixel_norm::Run, pixel_norm_run)
