// The CPU kernels of grid_sample as plain functions over units of work. Torch-free.
#pragma once

#include <algorithm>
#include <cstdint>

#include "../common/cpu_block.h"
#include "../common/cpu_level.h"
#include "problem.h"

namespace fg::grid_sample {

inline constexpr int point_block =
    256;  // points whose places, and pixels of one channel, stay in L1

// Points are swept block by block, pixels by image and group of channels: a unit writes to nobody else's pixels, and adds to its
// own in the order of the points.
struct Partition {
  static constexpr std::int64_t task_elements = 32768;

  std::int64_t blocks;  // of an image's points
  std::int64_t channels,
      groups;  // of an image: channels of a group, the last of which may have fewer

  explicit Partition(const Layout& l) : blocks((l.points + point_block - 1) / point_block) {
    const std::int64_t least = l.channels_last ? 16 : 1, most = l.channels_last ? 64 : 4;
    channels = std::max<std::int64_t>(
        1, std::min(std::clamp(l.images * l.channels / 16, least, most), l.channels));
    groups = (l.channels + channels - 1) / channels;
  }
};

// Units from `begin` to `end`, of images * blocks.
using Points = void (*)(const Arguments&, const Partition&, std::int64_t begin, std::int64_t end);
// The unit of a group of an image. `sums` holds a zero for each of its elements if dtype is a half type, and is null otherwise.
using Pixels = void (*)(const Arguments&, const Partition&, std::int64_t unit, float* sums);

}  // namespace fg::grid_sample

FG_DECLARE_PER_LEVEL(grid_sample::Points, grid_sample_points)
FG_DECLARE_PER_LEVEL(grid_sample::Pixels, grid_sample_pixels)
