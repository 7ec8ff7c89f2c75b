#include "cpu_kernel.h"
#include "glue.h"

namespace fg::pixel_norm {
namespace {

struct Cpu {
  explicit Cpu(const Tensor&) {}

  void run(const Arguments& a) const {
    const Partition p(a.layout);
    const std::int64_t elements = a.layout.outer * a.layout.channels * a.layout.inner;
    const bool streaming = is_worth_streaming(a.dtype, elements);
    const Run run = FG_SELECT_LEVEL(pixel_norm_run);
    // A task is several small units.
    const std::int64_t grain = std::max<std::int64_t>(
        1, Partition::unit_elements / 2 / std::max<std::int64_t>(1, elements / p.units));
    torch::stable::parallel_for(0, p.units, grain, [&](std::int64_t begin, std::int64_t end) {
      run(a, p, streaming, begin, end);
    });
  }
};

}  // namespace
}  // namespace fg::pixel_norm

FG_REGISTER_WITH_DERIVATIVES(fastgan, CPU, pixel_norm, fg::pixel_norm::Cpu)
