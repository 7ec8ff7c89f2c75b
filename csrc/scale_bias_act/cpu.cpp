#include <type_traits>

#include "../common/with_dtype.h"
#include "cpu_sums.h"
#include "glue.h"

namespace fg::scale_bias_act {
namespace {

struct Cpu {
  explicit Cpu(const Tensor&) {}

  std::int64_t workspace(const Arguments& a) const {
    return Partials<float>(a, Partition(a.layout)).size;
  }

  void run(const Arguments& a) const {
    const Partition p(a.layout);
    const bool streaming = is_worth_streaming(a.dtype, a.layout.numel());
    const RunUnits units = FG_SELECT_LEVEL(scale_bias_act_run);
    torch::stable::parallel_for(0, p.units(), p.grain(), [&](std::int64_t begin, std::int64_t end) {
      units(a, p, streaming, begin, end);
    });
    with_dtype(a.dtype, [&](auto t) {
      using T = decltype(t);
      using R = std::conditional_t<std::is_same_v<T, double>, double, float>;
      const Partials<R> partials(a, p);
      const bool last = a.layout.channels_last;
      if (a.dscale) {
        add_up(parts_of(p, last, true), partials.scale, static_cast<T*>(a.dscale));
      }
      if (a.dnoise) {
        add_up(parts_of(p, !last, !a.shared_noise), partials.noise, static_cast<T*>(a.dnoise));
      }
      if (a.db) {
        add_up(parts_of(p, last, false), partials.b, static_cast<T*>(a.db));
      }
    });
  }
};

}  // namespace
}  // namespace fg::scale_bias_act

FG_REGISTER_WITH_DERIVATIVES(fastgan, CPU, scale_bias_act, fg::scale_bias_act::Cpu)
