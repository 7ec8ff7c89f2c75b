// Operations on rows of filtered_lrelu's CPU kernel: weighted sums, the activation and its codes,
// and the order of columns. Compiled once per instruction set, in the kernel's file alone.
#pragma once

#include "../common/with_constant.h"
#include "cpu_kernel.h"

namespace fg::FG_CPU_LEVEL {
namespace {

using namespace fg::filtered_lrelu;
using I = std::int64_t;

constexpr I longest_sum = 12;

template <int J, bool Add, class R>
void sum_of(R* __restrict out, const R* const* sources, const R* weights, I n) {
  const R* s[J];
  R w[J];
  for (int j = 0; j < J; ++j) {
    s[j] = sources[j];
    w[j] = weights[j];
  }
  FG_NO_ALIAS
  for (I i = 0; i < n; ++i) {
    R total = w[0] * s[0][i];
    for (int j = 1; j < J; ++j) {
      total += w[j] * s[j][i];
    }
    out[i] = Add ? out[i] + total : total;
  }
}

template <bool Add, class R>
void sum_of_some(R* out, const R* const* s, const R* w, I count, I n) {
  with_count<1, longest_sum>(count, [&](auto j) { sum_of<decltype(j)::value, Add>(out, s, w, n); });
}

// Compute out[i] = Σ_j weights[j] · sources[j][i].
template <class R>
void weighted_sum(R* out, const R* const* sources, const R* weights, I count, I n) {
  if (count == 0) {
    std::fill_n(out, n, R(0));
    return;
  }
  sum_of_some<false>(out, sources, weights, std::min(count, longest_sum), n);
  for (I j = longest_sum; j < count; j += longest_sum) {
    sum_of_some<true>(out, sources + j, weights + j, std::min(count - j, longest_sum), n);
  }
}

// Compute two sums of J sources each; the second one starts `Shift` sources later.
template <int J, int Shift, class R>
void pair_of(
    R* __restrict first, R* __restrict second, const R* const* sources, const R* w_first,
    const R* w_second, I n) {
  const R* s[J + Shift];
  R a[J], b[J];
  for (int j = 0; j < J + Shift; ++j) {
    s[j] = sources[j];
  }
  for (int j = 0; j < J; ++j) {
    a[j] = w_first[j];
    b[j] = w_second[j];
  }
  FG_NO_ALIAS
  for (I i = 0; i < n; ++i) {
    R v[J + Shift];
    for (int j = 0; j < J + Shift; ++j) {
      v[j] = s[j][i];
    }
    R one = a[0] * v[0], two = b[0] * v[Shift];
    for (int j = 1; j < J; ++j) {
      one += a[j] * v[j];
      two += b[j] * v[j + Shift];
    }
    first[i] = one;
    second[i] = two;
  }
}

template <class R>
bool pair_sum(
    R* first, R* second, const R* const* s, const R* w_first, const R* w_second, I count, I shift,
    I n) {
  return (shift == 0 || shift == 1) && with_count<2, 8>(count, [&](auto j) {
           constexpr int taps = decltype(j)::value;
           if (shift == 0) {
             pair_of<taps, 0>(first, second, s, w_first, w_second, n);
           } else {
             pair_of<taps, 1>(first, second, s, w_first, w_second, n);
           }
         });
}

// Apply the activation in place.
template <class R>
FG_LOCAL void activate(R* __restrict u, R slope, R clamp, I n) {
  for (I i = 0; i < n; ++i) {
    const R v = u[i] < 0 ? u[i] * slope : u[i];
    u[i] = v > clamp ? clamp : v < -clamp ? -clamp : v;
  }
}

// The same, and put the codes at bit `shift`.
template <class R>
FG_LOCAL void activate_with_codes(
    R* __restrict u, std::uint32_t* __restrict codes, int shift, R slope, R clamp, I n) {
  for (I i = 0; i < n; ++i) {
    const R x = u[i], v = x < 0 ? x * slope : x;
    u[i] = v > clamp ? clamp : v < -clamp ? -clamp : v;
    const std::uint32_t code = (v > clamp) | (v < -clamp) ? 2u : x < 0 ? 1u : 0u;
    codes[i] |= code << shift;
  }
}

// Multiply by the derivatives of the codes at bit `shift`.
template <class R>
FG_LOCAL void apply_codes(
    R* __restrict u, const std::uint32_t* __restrict codes, int shift, R slope, I n) {
  for (I i = 0; i < n; ++i) {
    const std::uint32_t code = codes[i] >> shift;
    const R below = code & 1 ? slope : R(1);
    u[i] *= code & 2 ? R(0) : below;
  }
}

// Split pixels of `lanes` elements into `step` arrays by their remainder, `stride` elements apart.
template <class To, class From>
FG_LOCAL void split(
    To* __restrict to, const From* __restrict from, I step, I stride, I pixels, I lanes) {
  if (step == 1) {
    for (I i = 0; i < pixels * lanes; ++i) {
      to[i] = static_cast<To>(from[i]);
    }
  } else if (lanes == 1 && step == 2) {
    To *even = to, *odd = to + stride;
    for (I i = 0; i < pixels / 2; ++i) {
      even[i] = static_cast<To>(from[2 * i]);
      odd[i] = static_cast<To>(from[2 * i + 1]);
    }
    if (pixels % 2) {
      even[pixels / 2] = static_cast<To>(from[pixels - 1]);
    }
  } else {
    for (I r = 0; r < step; ++r) {
      for (I i = 0, p = r; p < pixels; ++i, p += step) {
        for (I c = 0; c < lanes; ++c) {
          to[r * stride + i * lanes + c] = static_cast<To>(from[p * lanes + c]);
        }
      }
    }
  }
}

// The inverse.
template <class To, class From>
FG_LOCAL void weave(
    To* __restrict to, const From* __restrict from, I step, I stride, I pixels, I lanes) {
  if (step == 1) {
    for (I i = 0; i < pixels * lanes; ++i) {
      to[i] = static_cast<To>(from[i]);
    }
  } else if (lanes == 1 && step == 2) {
    const From *even = from, *odd = from + stride;
    for (I i = 0; i < pixels / 2; ++i) {
      to[2 * i] = static_cast<To>(even[i]);
      to[2 * i + 1] = static_cast<To>(odd[i]);
    }
    if (pixels % 2) {
      to[pixels - 1] = static_cast<To>(even[pixels / 2]);
    }
  } else {
    for (I r = 0; r < step; ++r) {
      for (I i = 0, p = r; p < pixels; ++i, p += step) {
        for (I c = 0; c < lanes; ++c) {
          to[p * lanes + c] = static_cast<To>(from[r * stride + i * lanes + c]);
        }
      }
    }
  }
}

}  // namespace
}  // namespace fg::FG_CPU_LEVEL
