#include "../common/with_dtype.h"
#include "../scale_bias_act/cpu_sums.h"
#include "coefficients.h"
#include "cpu_kernel.h"
#include "glue.h"

namespace fg::adaptive_norm {
namespace {

constexpr std::int64_t numbers_of_a_task = 1024;

// One run of an op on elements of T.
template <class T>
class Run {
  using R = typename Table<T>::R;

 public:
  explicit Run(const Arguments& a) : a_(a), p_(a.layout), table_(table_of<T>(a)) {}

  void sweep(Sweep sweep) const {
    const Totals totals = totals_of(sweep);
    const bool writes = totals.count == 0 || (sweep == Sweep::first_sums && a_.has_maps());
    const bool streaming = writes && is_worth_streaming(a_.dtype, a_.layout.numel());
    const RunUnits units = FG_SELECT_LEVEL(adaptive_norm_run);
    torch::stable::parallel_for(0, p_.units(), p_.grain(), [&](std::int64_t begin, std::int64_t end) {
      units(a_, p_, sweep, streaming, begin, end);
    });
    for (int k = 0; k < totals.count; ++k) {
      scale_bias_act::add_up(
          scale_bias_act::parts_of(p_, a_.layout.channels_last, true), partial_of<R>(a_, p_, k),
          total_of<R>(a_, totals.first + k));
    }
  }

  void step(Step step) const {
    const std::int64_t images = a_.over == Over::batch ? a_.layout.batch : 1;
    torch::stable::parallel_for(
        0, a_.groups(), std::max<std::int64_t>(1, numbers_of_a_task / images), [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t group = begin; group < end; ++group) {
            take_step(table_, step, group);
          }
        });
  }

 private:
  const Arguments& a_;
  Partition p_;
  Table<T> table_;
};

struct Cpu {
  explicit Cpu(const Tensor&) {}

  std::int64_t workspace(const Arguments& a) const { return a.workspace_size(partial_size(a, Partition(a.layout))); }

  void run(const Arguments& a) const {
    with_dtype(a.dtype, [&](auto t) { run_passes(a, Run<decltype(t)>(a)); });
  }
};

}  // namespace
}  // namespace fg::adaptive_norm

FG_REGISTER_WITH_DERIVATIVES(fastgan, CPU, adaptive_norm, fg::adaptive_norm::Cpu)
