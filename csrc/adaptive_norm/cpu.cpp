#include <algorithm>
#include <vector>

#include "../common/cpu_sums.h"
#include "../common/with_dtype.h"
#include "coefficients.h"
#include "cpu_kernel.h"

namespace fg::adaptive_norm {
namespace {

constexpr std::int64_t numbers_of_a_task = 1024;
constexpr std::int64_t elements_of_a_slab = 16384;  // per image; L2 holds a handful of these

// One run of an op on elements of T. `streaming` is true if results are too large for the cache.
template <class T>
class Run {
  using R = typename Table<T>::R;

 public:
  Run(const Arguments& a, bool streaming)
      : a_(a), p_(a.layout), table_(table_of<T>(a)), streaming_(streaming) {}

  void sweep(Sweep sweep) const {
    const Totals totals = totals_of(sweep);
    const bool streaming = streaming_ && totals.count == 0;
    const RunUnits units = FG_SELECT_LEVEL(adaptive_norm_run);
    torch::stable::parallel_for(
        0, p_.units(), p_.grain(),
        [&](std::int64_t begin, std::int64_t end) { units(a_, p_, sweep, streaming, begin, end); });
    for (int k = 0; k < totals.count; ++k) {
      add_up(
          parts_of(p_, a_.layout.channels_last, true), partial_of<R>(a_, p_, k),
          total_of<R>(a_, totals.first + k));
    }
  }

  void step(Step step) const {
    const std::int64_t images = a_.over == Over::batch ? a_.layout.batch : 1;
    torch::stable::parallel_for(
        0, a_.groups(), std::max<std::int64_t>(1, numbers_of_a_task / images),
        [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t group = begin; group < end; ++group) {
            take_step(table_, step, group);
          }
        });
  }

 private:
  const Arguments& a_;
  Partition p_;
  Table<T> table_;
  bool streaming_;
};

// Test if the run goes slab by slab. Rows with a mean each don't depend on others, so the second
// sweep of a slab can read it from L2.
inline bool by_slabs(const Arguments& a) {
  return !a.layout.channels_last && a.over != Over::batch &&
         a.layout.pixels <= 4 * elements_of_a_slab;
}

inline std::int64_t rows_of_a_slab(const Arguments& a) {
  return std::clamp<std::int64_t>(elements_of_a_slab / a.layout.pixels, 1, a.numbers());
}

inline void move(const void*& p, std::int64_t bytes) {
  p = p ? static_cast<const char*>(p) + bytes : nullptr;
}

inline void move(void*& p, std::int64_t bytes) { p = p ? static_cast<char*>(p) + bytes : nullptr; }

// Return the arguments for some of the rows [batch · channels][pixels], without a workspace.
template <class T>
Arguments slab_of(const Arguments& a, std::int64_t first, std::int64_t rows) {
  using R = typename Table<T>::R;
  Arguments s = a;
  s.layout.batch = 1;
  s.layout.channels = rows;
  const std::int64_t number = first * std::int64_t{sizeof(T)},
                     wide = first * std::int64_t{sizeof(R)};
  for (const void** p : {&s.x, &s.dy, &s.ddx, &s.scale_map, &s.shift_map, &s.residual}) {
    move(*p, number * a.layout.pixels);
  }
  for (void** p : {&s.out, &s.out_x, &s.dscale_map, &s.dshift_map}) {
    move(*p, number * a.layout.pixels);
  }
  for (const void** p : {&s.scale, &s.shift, &s.ddscale, &s.ddshift}) {
    move(*p, number);
  }
  for (void** p : {&s.dscale, &s.dshift}) {
    move(*p, number);
  }
  for (const void** p : {&s.mean, &s.var, &s.ddmean, &s.ddvar}) {
    move(*p, wide);
  }
  for (void** p : {&s.dmean, &s.dvar, &s.mean_out, &s.var_out}) {
    move(*p, wide);
  }
  return s;
}

template <class T>
void run_slabs(const Arguments& a, bool streaming) {
  const std::int64_t rows = rows_of_a_slab(a), slabs = (a.numbers() + rows - 1) / rows;
  torch::stable::parallel_for(0, slabs, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<typename Table<T>::R> workspace;
    for (std::int64_t slab = begin; slab < end; ++slab) {
      Arguments s = slab_of<T>(a, slab * rows, std::min(rows, a.numbers() - slab * rows));
      workspace.resize(s.workspace_size(partial_size(s, Partition(s.layout))));
      s.workspace = workspace.data();
      run_passes(s, Run<T>(s, streaming));
    }
  });
}

}  // namespace

std::int64_t workspace(const Arguments& a) {
  return by_slabs(a) ? 0 : a.workspace_size(partial_size(a, Partition(a.layout)));
}

void run(const Arguments& a) {
  const bool streaming = is_worth_streaming(a.dtype, a.layout.numel());
  with_dtype(a.dtype, [&](auto t) {
    using T = decltype(t);
    by_slabs(a) ? run_slabs<T>(a, streaming) : run_passes(a, Run<T>(a, streaming));
  });
}

}  // namespace fg::adaptive_norm
