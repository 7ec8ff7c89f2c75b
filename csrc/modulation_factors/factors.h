// Numbers of an output channel and of an image, on any device.
#pragma once

#include <cmath>

#include "../common/math.h"
#include "problem.h"

namespace fg::modulation_factors {

inline constexpr double epsilon = 1e-8;
// Least divisor: float16 has normal numbers from there on.
inline constexpr double least = 1.0 / 16384;

// Return the largest finite number of a type.
FG_INLINE double most_of(DType t) {
  return t == DType::f16    ? 65504.0
         : t == DType::bf16 ? 3.3895313892515355e38
         : t == DType::f32  ? 3.4028234663852886e38
                            : 1.7976931348623157e308;
}

// Bounds of the divisors.
template <class R>
struct Bounds {
  R largest, product;  // of the styles alone, and times that of the weights

  FG_INLINE static Bounds of(const Arguments& a) {
    const double most = most_of(a.dtype);
    const double product = 1e-4 * most;
    // The bound of the product keeps the factor finite, and epsilon above zero.
    return {
        static_cast<R>(a.demodulate ? HUGE_VAL : most),
        static_cast<R>(product < 1e15 ? product : 1e15)};
  }
};

// Return the divisor of an image's styles for their largest magnitude. NaN passes.
template <class R>
FG_INLINE R style_divisor(R largest, const Bounds<R>& b) {
  return largest < R(least) ? R(least) : largest > b.largest ? b.largest : largest;
}

// Return the divisor of an output channel's weights for their sum of squares.
template <class R>
FG_INLINE R weight_divisor(R squares) {
  const R norm = std::sqrt(squares);
  return norm < R(least) ? R(least) : norm;
}

// Return the scale for the sum of squares of divided, modulated weights.
template <class R>
FG_INLINE R scale_of(R sum, R divisor, const Bounds<R>& b) {
  const R bounded = divisor > b.product ? b.product : divisor;
  return R(1) / std::sqrt(sum + R(epsilon) / (bounded * bounded));
}

template <class R>
FG_INLINE R scale_of(R sum) {
  return R(1) / std::sqrt(sum + R(epsilon));
}

// Return twice the gradient in that sum for the gradient in the scale.
template <class R>
FG_INLINE R twice_dsum(R scale, R dscale) {
  return -(scale * scale * scale) * dscale;
}

}  // namespace fg::modulation_factors
