#include <torch/csrc/stable/ops.h>

#include <cmath>

#include "../common/with_dtype.h"
#include "cpu_kernel.h"
#include "weights.h"

namespace fg::gradient_penalty {
namespace {

// Two tensors of a sample of this size are still in L2 for the second sweep.
constexpr std::int64_t cached_bytes = std::int64_t{1} << 20;

// Compute totals of samples from `begin` to `end`, in a fixed order, in double.
template <class R>
void add_up(const Partition& p, const Sums<R>& sums, std::int64_t begin, std::int64_t end) {
  for (std::int64_t n = begin; n < end; ++n) {
    double total = 0;
    for (std::int64_t i = n * p.segments; i < (n + 1) * p.segments; ++i) {
      total += static_cast<double>(sums.partial[i]);
    }
    sums.total[n] = static_cast<R>(total);
  }
}

// Compute the results that depend on totals.
template <class R, class T>
void finish(const Arguments& a, const R* total) {
  const R center = static_cast<R>(a.center);
  for (std::int64_t n = 0; n < a.layout.samples; ++n) {
    if (a.dalpha) {
      static_cast<T*>(a.dalpha)[n] = static_cast<T>(total[n]);
    }
    if (a.penalty) {
      const R norm = std::sqrt(total[n]);
      static_cast<R*>(a.norm_out)[n] = norm;
      static_cast<R*>(a.penalty)[n] = penalty(total[n], norm, center);
    }
    if (a.ddpenalty) {
      static_cast<R*>(a.ddpenalty)[n] =
          R(2) * kept(static_cast<const R*>(a.norm)[n], center) * total[n];
    }
  }
}

// Test if the second sweep follows the first sample by sample. The sums are the same either way.
bool goes_by_sample(const Arguments& a) {
  const std::int64_t bytes = 2 * a.layout.elements * bytes_of(a.dtype);
  return bytes <= cached_bytes &&
         a.layout.samples >= static_cast<std::int64_t>(torch::stable::get_num_threads());
}

}  // namespace

std::int64_t workspace(const Arguments& a) {
  return a.wants_sums() ? Partition(a.layout).units() + a.layout.samples : 0;
}

void run(const Arguments& a) {
  const Partition p(a.layout);
  const bool both = a.op == Op::grad_norm_penalty && a.pass == Pass::double_backward;
  const bool streaming = is_worth_streaming(a.dtype, a.layout.numel());
  const Sweep sweep = FG_SELECT_LEVEL(gradient_penalty_sweep);
  with_dtype(a.dtype, [&](auto t) {
    using T = decltype(t);
    using R = sum_t<T>;
    const Sums<R> sums(a, p);
    const auto over = [&](Pass pass, bool wants_sums) {
      torch::stable::parallel_for(
          0, p.units(), p.grain(), [&](std::int64_t begin, std::int64_t end) {
            sweep(a, p, pass, wants_sums, streaming, begin, end);
          });
    };
    if (!both) {
      const bool by_backward = a.op == Op::grad_norm_penalty;
      over(by_backward ? Pass::backward : a.pass, a.wants_sums());
      if (a.wants_sums()) {
        add_up(p, sums, 0, a.layout.samples);
      }
    } else if (a.out && goes_by_sample(a)) {
      torch::stable::parallel_for(
          0, a.layout.samples, std::max<std::int64_t>(1, p.grain() / p.segments),
          [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t n = begin; n < end; ++n) {
              const std::int64_t first = n * p.segments, last = first + p.segments;
              sweep(a, p, Pass::backward, true, false, first, last);
              add_up(p, sums, n, n + 1);
              sweep(a, p, Pass::forward, false, streaming, first, last);
            }
          });
    } else {
      over(Pass::backward, true);
      add_up(p, sums, 0, a.layout.samples);
      if (a.out) {
        over(Pass::forward, false);
      }
    }
    if (a.wants_sums()) {
      finish<R, T>(a, sums.total);
    }
  });
}

}  // namespace fg::gradient_penalty
