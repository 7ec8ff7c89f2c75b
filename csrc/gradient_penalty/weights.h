// The numbers of a sample: what its elements are multiplied by, and what becomes of its sum. The same on every device.
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

// 1 - center/norm; 0 where there is no direction to go in. Without a center there is no need of one.
template <class R>
FG_INLINE R kept(R norm, R center) {
  return center == 0 ? R(1) : norm == 0 ? R(0) : R(1) - center / norm;
}

// p: of ddgrad, or of grad in the first derivative; q: of grad, whose length `unit` makes 1 first, for 1/norm² of a small
// norm overflows. `along` is <grad, ddgrad>.
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
