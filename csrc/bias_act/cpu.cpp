#include "cpu_kernel.h"
#include "glue.h"

namespace fg::bias_act {
namespace {

// Add up partial sums in a fixed order, in double.
template <class R, class T>
void add_up(const Partition& p, const R* partial, T* db) {
  const Layout& l = p.layout;
  for (std::int64_t c = 0; c < l.channels; ++c) {
    double total = 0;
    const std::int64_t outer = p.by_row ? l.outer : p.blocks,
                       inner = p.by_row ? p.segments_per_run : l.inner;
    for (std::int64_t n = 0; n < outer; ++n) {
      for (std::int64_t i = 0; i < inner; ++i) {
        total += static_cast<double>(partial[(n * l.channels + c) * inner + i]);
      }
    }
    db[c] = static_cast<T>(static_cast<R>(total));
  }
}

struct Cpu {
  explicit Cpu(const Tensor&) {}

  std::int64_t partials(const Arguments& a) const { return Partition(a.layout).partials(); }

  void run(Arguments a) const {
    const Partition p(a.layout);
    a.streaming = is_worth_streaming(a.dtype, a.layout.numel());
    const RunUnits units = FG_SELECT_LEVEL(bias_act_run);
    torch::stable::parallel_for(0, p.units(), p.grain(), [&](std::int64_t begin, std::int64_t end) {
      units(a, p, begin, end);
    });
  }

  void reduce(const Arguments& a, void* db) const {
    const Partition p(a.layout);
    with_dtype(a.dtype, [&](auto t) {
      using R = std::conditional_t<std::is_same_v<decltype(t), double>, double, float>;
      add_up(p, static_cast<const R*>(a.partial), static_cast<decltype(t)*>(db));
    });
  }
};

}  // namespace
}  // namespace fg::bias_act

FG_REGISTER_BIAS_ACT(fastgan, CPU, fg::bias_act::Cpu)
