#include <type_traits>

#include "../common/with_dtype.h"
#include "cpu_kernel.h"
#include "glue.h"

namespace fg::scale_bias_act {
namespace {

// Partial sums of one gradient, [outer][count][inner], that are to be added up over outer and inner; `images` such arrays
// where the gradient has a value for each image.
struct Parts {
  std::int64_t images, outer, count, inner;
};

constexpr std::int64_t sums_of_a_task = 4096;

// In a fixed order, in double.
template <class R, class T>
void add_up(const Parts& p, const R* partial, T* result) {
  const std::int64_t grain = std::max<std::int64_t>(1, sums_of_a_task / (p.outer * p.inner));
  torch::stable::parallel_for(0, p.images * p.count, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t at = begin; at < end; ++at) {
      const std::int64_t image = at / p.count, i = at % p.count;
      double total = 0;
      for (std::int64_t n = 0; n < p.outer; ++n) {
        for (std::int64_t j = 0; j < p.inner; ++j) {
          total += static_cast<double>(partial[((image * p.outer + n) * p.count + i) * p.inner + j]);
        }
      }
      result[at] = static_cast<T>(static_cast<R>(total));
    }
  });
}

// `over_rows`: the sums of a group of rows for each column, else those of a chunk of columns for each row.
Parts parts_of(const Partition& p, bool over_rows, bool per_image) {
  const std::int64_t images = per_image ? p.batch : 1, together = p.batch / images;
  return over_rows ? Parts{images, together * p.groups, p.minor, 1} : Parts{images, together, p.major, p.chunks};
}

struct Cpu {
  explicit Cpu(const Tensor&) {}

  std::int64_t workspace(const Arguments& a) const { return Partials<float>(a, Partition(a.layout)).size; }

  void run(const Arguments& a) const {
    const Partition p(a.layout);
    const bool streaming = is_worth_streaming(a.dtype, a.layout.numel());
    const RunUnits units = FG_SELECT_LEVEL(scale_bias_act_run);
    torch::stable::parallel_for(
        0, p.units(), p.grain(), [&](std::int64_t begin, std::int64_t end) { units(a, p, streaming, begin, end); });
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

FG_REGISTER_SCALE_BIAS_ACT(fastgan, CPU, fg::scale_bias_act::Cpu)
