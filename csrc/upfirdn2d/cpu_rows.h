// Sums of rows for the CPU kernel, and the splitting and weaving of rows. It is local to the
// including file, for the reason in cpu_block.h.
#pragma once

#include <algorithm>
#include <cstdint>

#include "../common/cpu_block.h"
#include "../common/with_constant.h"

namespace fg::FG_CPU_LEVEL {
namespace {

using I = std::int64_t;

// Rows of n elements, and the steps from row to row.
struct Rows {
  I count, n, out_step, source_step;
};

template <int J, bool Add, class R>
void sum_of(R* out, const R* const* sources, const R* weights, const Rows& rows) {
  const R* s[J];
  R w[J];
  for (int j = 0; j < J; ++j) {
    s[j] = sources[j];
    w[j] = weights[j];
  }
  const I n = rows.n;
  for (I row = 0; row < rows.count; ++row) {
    R* __restrict const to = out + row * rows.out_step;
    for (I i = 0; i < n; ++i) {
      R total = w[0] * s[0][i];
      for (int j = 1; j < J; ++j) {
        total += w[j] * s[j][i];
      }
      to[i] = Add ? to[i] + total : total;
    }
    for (int j = 0; j < J; ++j) {
      s[j] += rows.source_step;
    }
  }
}

template <bool Add, class R>
void sum_of_up_to_8(R* out, const R* const* s, const R* w, I count, const Rows& rows) {
  with_count<1, 8>(count, [&](auto j) { sum_of<decltype(j)::value, Add>(out, s, w, rows); });
}

// Compute out[i] = Σ_j weights[j] · sources[j][i], row by row.
template <class R>
void weighted_sum(R* out, const R* const* sources, const R* weights, I count, const Rows& rows) {
  if (count == 0) {
    for (I row = 0; row < rows.count; ++row) {
      std::fill_n(out + row * rows.out_step, rows.n, R(0));
    }
    return;
  }
  sum_of_up_to_8<false>(out, sources, weights, std::min<I>(count, 8), rows);
  for (I j = 8; j < count; j += 8) {
    sum_of_up_to_8<true>(out, sources + j, weights + j, std::min<I>(count - j, 8), rows);
  }
}

// Compute the interleaved sums of two phases with equally many terms. out[2i] has the first `count`
// sources, out[2i + 1] the others.
template <int J, class R>
void woven_sum_of(R* out, const R* const* sources, const R* weights, const Rows& rows) {
  const R* s[2 * J];
  R w[2 * J];
  for (int j = 0; j < 2 * J; ++j) {
    s[j] = sources[j];
    w[j] = weights[j];
  }
  const I n = rows.n;
  for (I row = 0; row < rows.count; ++row) {
    R* __restrict const to = out + row * rows.out_step;
    for (I i = 0; i < n; ++i) {
      R even = w[0] * s[0][i], odd = w[J] * s[J][i];
      for (int j = 1; j < J; ++j) {
        even += w[j] * s[j][i];
        odd += w[J + j] * s[J + j][i];
      }
      to[2 * i] = even;
      to[2 * i + 1] = odd;
    }
    for (int j = 0; j < 2 * J; ++j) {
      s[j] += rows.source_step;
    }
  }
}

template <class R>
bool woven_sum(R* out, const R* const* s, const R* w, I count, const Rows& rows) {
  return with_count<2, 4>(
      count, [&](auto j) { woven_sum_of<decltype(j)::value>(out, s, w, rows); });
}

// Split 2 · `pairs` elements into even and odd ones, as far as whole vectors go. Return the number
// of pairs that were split. Compilers take twice the shuffles.
FG_LOCAL I split_pairs(float* even, float* odd, const float* from, I pairs) {
  I i = 0;
  static_cast<void>(even), static_cast<void>(odd), static_cast<void>(from),
      static_cast<void>(pairs);
#if defined(__AVX2__)
  const auto in_order = [](__m256 v) {
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(v), 0xd8));
  };
  for (; i + 8 <= pairs; i += 8) {
    const __m256 a = _mm256_loadu_ps(from + 2 * i), b = _mm256_loadu_ps(from + 2 * i + 8);
    _mm256_storeu_ps(even + i, in_order(_mm256_shuffle_ps(a, b, 0x88)));
    _mm256_storeu_ps(odd + i, in_order(_mm256_shuffle_ps(a, b, 0xdd)));
  }
#endif
  return i;
}

FG_LOCAL I split_pairs(double*, double*, const double*, I) { return 0; }

// Split a row of `length` pixels of `inner` elements into an array for each remainder by `step`.
// The arrays are `split` pixels apart.
template <class R>
FG_LOCAL void split_row(
    R* __restrict to, const R* __restrict from, I step, I split, I length, I inner) {
  if (inner == 1 && step == 2) {
    R *even = to, *odd = to + split;
    for (I i = split_pairs(even, odd, from, length / 2); i < length / 2; ++i) {
      even[i] = from[2 * i];
      odd[i] = from[2 * i + 1];
    }
    if (length % 2) {
      even[length / 2] = from[length - 1];
    }
    return;
  }
  for (I remainder = 0; remainder < step; ++remainder) {
    for (I i = 0, p = remainder; p < length; ++i, p += step) {
      for (I c = 0; c < inner; ++c) {
        to[(remainder * split + i) * inner + c] = from[p * inner + c];
      }
    }
  }
}

// Interleave the arrays of a period's phases, each of `length` pixels, to one of `count` pixels.
template <class R>
FG_LOCAL void weave(
    R* __restrict to, const R* __restrict from, I period, I length, I count, I inner) {
  if (inner == 1 && period == 2) {
    const R *even = from, *odd = from + length;
    for (I i = 0; i < count / 2; ++i) {
      to[2 * i] = even[i];
      to[2 * i + 1] = odd[i];
    }
    if (count % 2) {
      to[count - 1] = even[count / 2];
    }
    return;
  }
  for (I p = 0; p < count; ++p) {
    for (I c = 0; c < inner; ++c) {
      to[p * inner + c] = from[(p % period * length + p / period) * inner + c];
    }
  }
}

}  // namespace
}  // namespace fg::FG_CPU_LEVEL
