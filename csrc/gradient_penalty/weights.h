// Numbers of a sample: factors of its elements and functions of its sum, on any device.
#pragma once

#include <cmath>

#include "../common/math.h"
#include "problem.h"

namespace fg::gradient_penalty {

template <class R>
struct Weights {
  R p, q, c, unit;
};

template <class R>
FG_INLINE Weights<R> interpolation(R alpha, R ddalpha) {
  return {alpha, R(1) - alpha, ddalpha, R(1)};
}

// Return 1 - center/norm, the kept part of the gradient. It is 0 for a norm of 0, which has no
// direction, and 1 without a center.
template <class R>
FG_INLINE R kept(R norm, R center) {
  return center == 0 ? R(1) : norm == 0 ? R(0) : R(1) - center / norm;
}

// p is the factor of ddgrad, or of grad in the first derivative. q is the factor of grad, which
// `unit` first scales to length 1, because 1/norm² of a small norm overflows. `along` is
// <grad, ddgrad>.
template <class R>
FG_INLINE Weights<R> derivative_of_penalty(R dpenalty, R norm, R center, R along) {
  const R unit = norm == 0 ? R(0) : R(1) / norm, twice = R(2) * dpenalty;
  return {twice * kept(norm, center), twice * (center * unit) * (along * unit), R(0), unit};
}

template <class R>
FG_INLINE R penalty(R squared_norm, R norm, R center) {
  return center == 0 ? squared_norm : (norm - center) * (norm - center);
}

}  // namespace fg::gradient_penalty
