// Sweeps of gradient_penalty on the CPU. Work goes block by block through buffers in L1. An absent
// tensor is a block of zeros there, so each result is one plain loop.
#include <cmath>

#include "../common/cpu.h"
#include "problem.h"
#include "weights.h"

namespace fg::gradient_penalty {

// Division of the work into units: one segment of one sample. It doesn't depend on the number of
// threads, so sums have the same bits for any number.
struct Partition {
  static constexpr std::int64_t segment = 8192, task_elements = 32768;

  Layout layout;
  // Segments per sample. At least one, so that a sample without elements has a sum of 0.
  std::int64_t segments;

  explicit Partition(const Layout& l)
      : layout(l), segments(std::max<std::int64_t>(1, divide_up(l.elements, segment))) {}

  std::int64_t units() const { return layout.samples * segments; }

  // Number of units that make a task worth a thread.
  std::int64_t grain() const {
    return std::max<std::int64_t>(
        1, task_elements / std::clamp<std::int64_t>(layout.elements, 16, segment));
  }
};

// Content of the workspace: the partial sum of each unit, and the total of each sample.
template <class R>
struct Sums {
  R *partial, *total;

  Sums(const Arguments& a, const Partition& p)
      : partial(as<R>(a.workspace)), total(partial ? partial + p.units() : nullptr) {}
};

// With `sums`, a sweep backward or double_backward stores partial sums.
using Sweep = void (*)(
    const Arguments&, const Partition&, Pass, bool sums, bool streaming, std::int64_t begin,
    std::int64_t end);

}  // namespace fg::gradient_penalty

FG_DECLARE_PER_LEVEL(gradient_penalty::Sweep, gradient_penalty_sweep)

#if defined(FG_CPU_LEVEL)

namespace fg::FG_CPU_LEVEL {
namespace {

using namespace fg::gradient_penalty;

// One block as the loops see it.
template <class R>
struct Block {
  const R *x, *y, *u, *w, *g;
};

template <class R>
FG_LOCAL void mix(const Block<R>& k, const Weights<R>& s, R* out, int n) {
  const R *const x = k.x, *const y = k.y;
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    out[i] = s.p * x[i] + s.q * (s.unit * y[i]);
  }
}

template <class R>
FG_LOCAL void mix_of_four(const Block<R>& k, const Weights<R>& s, R* out, int n) {
  const R *const x = k.x, *const y = k.y, *const u = k.u, *const w = k.w;
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    out[i] = s.p * x[i] + s.q * y[i] + s.c * (u[i] - w[i]);
  }
}

template <class R>
FG_LOCAL void multiply(const R* from, R factor, R* out, int n) {
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    out[i] = factor * from[i];
  }
}

// Return Σ g·(x - y). Only reading takes time here. The hardware's prefetch stops at the end of a
// page; this one saves a fifth. It may go past the end: a prefetch from any address is harmless.
template <class R>
FG_LOCAL R product(const Block<R>& block, int n) {
  const Block<R> k = block;
  return sum_of<R>(
      n, [=](int i) { return k.g[i] * (k.x[i] - k.y[i]); },
      [=](int i) {
        constexpr int lines = 32 * sizeof(R) / 64, line = 64 / sizeof(R), ahead = 1024;
        for (int j = 0; j < lines; ++j) {
          __builtin_prefetch(k.g + i + j * line + ahead);
          __builtin_prefetch(k.x + i + j * line + ahead);
        }
      });
}

template <class R>
FG_LOCAL Weights<R> weights_of(const Arguments& a, const R* total, std::int64_t n) {
  if (a.op == Op::lerp_samples) {
    return interpolation(load_one<R>(a.dtype, a.alpha, n), load_one<R>(a.dtype, a.ddalpha, n));
  }
  if (!a.dpenalty) {
    return {};  // forward needs only the sum
  }
  return derivative_of_penalty(
      as<R>(a.dpenalty)[n], as<R>(a.norm)[n], static_cast<R>(a.center), total ? total[n] : R(0));
}

template <class R>
void sweep(
    const Arguments& a, const Partition& p, Pass pass, bool sums, bool streaming,
    std::int64_t begin, std::int64_t end) {
  alignas(64) R in[5][block_size], results[3][block_size], zeros[block_size] = {};
  const Sums<R> places(a, p);
  const bool is_forward = pass == Pass::forward, is_double = pass == Pass::double_backward;
  for (std::int64_t unit = begin; unit < end; ++unit) {
    const std::int64_t sample = unit / p.segments, start = unit % p.segments * Partition::segment;
    const std::int64_t length = std::min(Partition::segment, p.layout.elements - start);
    const Weights<R> s = weights_of(a, is_forward ? places.total : nullptr, sample);
    R total = 0;
    for_each_block(length, [&](std::int64_t at, int n) {
      const std::int64_t first = sample * p.layout.elements + start + at;
      const auto given = [&](const void* from, R* buffer) {
        return from ? load(a.dtype, from, first, buffer, n) : zeros;
      };
      const auto result = [&](void* to, R* buffer, auto compute) {
        if (to) {
          R* const block = target(a.dtype, to, first, buffer, streaming);
          compute(block);
          store(a.dtype, to, first, block, n, streaming);
        }
      };
      Block<R> k{};
      k.x = given(a.x, in[0]);
      // In the second sweep of a penalty, y is the gradient.
      k.y = is_forward && a.op == Op::grad_norm_penalty ? given(a.g, in[1]) : given(a.y, in[1]);
      if (is_forward) {
        return result(a.out, results[0], [&](R* out) { mix(k, s, out, n); });
      }
      k.g = given(a.g, in[2]);
      if (is_double) {
        k.u = given(a.u, in[3]);
        k.w = given(a.w, in[4]);
        result(a.out, results[0], [&](R* out) { mix_of_four(k, s, out, n); });
      }
      result(a.out_x, results[1], [&](R* out) { multiply(k.g, is_double ? s.c : s.p, out, n); });
      result(a.out_y, results[2], [&](R* out) { multiply(k.g, is_double ? -s.c : s.q, out, n); });
      if (sums) {
        total += product(k, n);
      }
    });
    if (sums) {
      places.partial[unit] = total;
    }
  }
}

}  // namespace

extern const Sweep gradient_penalty_sweep = by_dtype<sweep<float>, sweep<double>>;

}  // namespace fg::FG_CPU_LEVEL

#else  // threads

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

#endif
