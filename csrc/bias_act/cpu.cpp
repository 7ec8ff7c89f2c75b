#include "../common/cpu_sums.h"
#include "../common/with_dtype.h"
#include "cpu_kernel.h"

namespace fg::bias_act {

std::int64_t workspace(const Arguments& a) { return a.db ? Partition(a.layout).partials() : 0; }

void run(const Arguments& given) {
  Arguments a = given;
  const Partition p(a.layout);
  a.streaming = is_worth_streaming(a.dtype, a.layout.numel());
  const RunUnits units = FG_SELECT_LEVEL(bias_act_run);
  torch::stable::parallel_for(0, p.units(), p.grain(), [&](std::int64_t begin, std::int64_t end) {
    units(a, p, begin, end);
  });
  if (a.db) {
    with_dtype(a.dtype, [&](auto t) {
      using T = decltype(t);
      const Layout& l = a.layout;
      const Parts parts = p.by_row ? Parts{1, l.outer, l.channels, p.segments_per_run}
                                   : Parts{1, p.blocks, l.channels, l.inner};
      add_up(parts, static_cast<const sum_t<T>*>(a.workspace), static_cast<T*>(a.db));
    });
  }
}

}  // namespace fg::bias_act
