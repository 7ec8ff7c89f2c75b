#include <torch/csrc/stable/ops.h>

#include <vector>

#include "cpu_kernel.h"

namespace fg::grid_sample {
namespace {

std::int64_t grain(std::int64_t elements) {
  return std::max<std::int64_t>(1, Partition::task_elements / std::max<std::int64_t>(1, elements));
}

}  // namespace

std::int64_t workspace(const Arguments&) { return 0; }

void run(const Arguments& a) {
  const Layout& l = a.layout;
  const Partition part(l);
  if (a.out || a.dgrid) {
    const Points points = FG_SELECT_LEVEL(grid_sample_points);
    torch::stable::parallel_for(
        0, l.images * part.blocks, grain(point_block * l.channels),
        [&](std::int64_t begin, std::int64_t end) { points(a, part, begin, end); });
  }
  if (a.image) {
    const Pixels pixels = FG_SELECT_LEVEL(grid_sample_pixels);
    const bool is_half = bytes_of(a.dtype) == 2;
    torch::stable::parallel_for(
        0, l.images * part.groups, grain(std::max(l.points, l.pixels()) * part.channels),
        [&](std::int64_t begin, std::int64_t end) {
          std::vector<float> sums;
          for (std::int64_t unit = begin; unit < end; ++unit) {
            if (is_half) {
              sums.assign(part.channels * l.pixels(), 0);
            }
            pixels(a, part, unit, is_half ? sums.data() : nullptr);
          }
        });
  }
}

}  // namespace fg::grid_sample
