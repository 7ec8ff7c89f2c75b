// Compiled once per instruction set, named by FG_CPU_LEVEL. Work goes block by block through
// buffers in L1. An absent tensor is a block of zeros there, so each result is one plain loop.
#include "cpu_kernel.h"
#include "weights.h"

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
