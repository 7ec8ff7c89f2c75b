#include <torch/csrc/stable/ops.h>

#include "cpu_kernel.h"

namespace fg::pixel_norm {

void run(const Arguments& a) {
  const Partition p(a.layout);
  const std::int64_t elements = a.layout.numel();
  const bool streaming = is_worth_streaming(a.dtype, elements);
  const Run units = FG_SELECT_LEVEL(pixel_norm_run);
  // A task is several small units.
  const std::int64_t grain = std::max<std::int64_t>(
      1, Partition::unit_elements / 2 / std::max<std::int64_t>(1, elements / p.units));
  torch::stable::parallel_for(0, p.units, grain, [&](std::int64_t begin, std::int64_t end) {
    units(a, p, streaming, begin, end);
  });
}

}  // namespace fg::pixel_norm
