// CPU kernels of grid_sample as plain functions over units of work. Torch-free.
#pragma once

#include <algorithm>
#include <cstdint>

#include "../common/cpu_block.h"
#include "../common/cpu_level.h"
#include "problem.h"

namespace fg::grid_sample {

// L1 holds the positions of so many points, and their pixels of one channel.
inline constexpr int point_block = 256;

// Division of the work into units: blocks of points for the sweep over points, groups of an image's
// channels for the sweep into pixels. No two units write to the same pixel, and each adds to its
// own in the order of the points.
struct Partition {
  static constexpr std::int64_t task_elements = 32768;

  std::int64_t blocks;            // per image, of its points
  std::int64_t channels, groups;  // channels per group, the last may have fewer; groups per image

  explicit Partition(const Layout& l) : blocks(divide_up(l.points, point_block)) {
    const std::int64_t least = l.channels_last ? 16 : 1, most = l.channels_last ? 64 : 4;
    channels = std::max<std::int64_t>(
        1, std::min(std::clamp(l.images * l.channels / 16, least, most), l.channels));
    groups = divide_up(l.channels, channels);
  }
};

// Compute units from `begin` to `end` of images * blocks.
using Points = void (*)(const Arguments&, const Partition&, std::int64_t begin, std::int64_t end);

// Compute the unit of a group of an image. For half types, `sums` has a zero for each of its
// elements; otherwise it is null.
using Pixels = void (*)(const Arguments&, const Partition&, std::int64_t unit, float* sums);

}  // namespace fg::grid_sample

FG_DECLARE_PER_LEVEL(grid_sample::Points, grid_sample_points)
FG_DECLARE_PER_LEVEL(grid_sample::Pixels, grid_sample_pixels)
