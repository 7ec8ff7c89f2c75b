#include "../common/cpu_sums.h"
#include "../common/with_dtype.h"
#include "cpu_kernel.h"

namespace fg::scale_bias_act {

std::int64_t workspace(const Arguments& a) { return Partials<float>(a, Partition(a.layout)).size; }

void run(const Arguments& a) {
  const Partition p(a.layout);
  const bool streaming = is_worth_streaming(a.dtype, a.layout.numel());
  const RunUnits units = FG_SELECT_LEVEL(scale_bias_act_run);
  torch::stable::parallel_for(0, p.units(), p.grain(), [&](std::int64_t begin, std::int64_t end) {
    units(a, p, streaming, begin, end);
  });
  with_dtype(a.dtype, [&](auto t) {
    using T = decltype(t);
    const Partials<sum_t<T>> partials(a, p);
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

}  // namespace fg::scale_bias_act
