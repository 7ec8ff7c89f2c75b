// Numbers of a pixel: sums over its channels and the coefficients of its elements, on any device.
#pragma once

#include <cmath>

#include "../common/math.h"
#include "problem.h"

namespace fg::pixel_norm {

// Σ x², Σ dy·x, Σ ddx·x and Σ ddx·dy. The first ones are enough for forward and backward.
template <class R>
struct Sums {
  R xx, gx, ux, ug;
};

constexpr int count_of_sums(Pass pass) {
  return pass == Pass::forward ? 1 : pass == Pass::backward ? 2 : 4;
}

// r, r³·d, r³·e and 3r⁵·d·e - r³·a of fastgan/ops/pixel_norm/README.md.
template <class R>
struct Coefficients {
  R r, along_dy, along_ddx, bend;
};

template <class R>
FG_INLINE Coefficients<R> coefficients(const Sums<R>& s, R channels, R eps) {
  const R share = R(1) / channels, r = R(1) / std::sqrt(s.xx * share + eps),
          cube = r * r * r * share;
  const R along_dy = cube * s.gx, along_ddx = cube * s.ux;
  return {r, along_dy, along_ddx, R(3) * r * r * along_dy * (s.ux * share) - cube * s.ug};
}

template <class R>
struct Element {
  R x, dy, ddx;
};

// Return y, dx or ddy.
template <Pass P, class R>
FG_INLINE R result(const Element<R>& t, const Coefficients<R>& k) {
  return P == Pass::forward    ? k.r * t.x
         : P == Pass::backward ? k.r * t.dy - k.along_dy * t.x
                               : k.r * t.ddx - k.along_ddx * t.x;
}

template <class R>
FG_INLINE R second_dx(const Element<R>& t, const Coefficients<R>& k) {
  return k.bend * t.x - k.along_ddx * t.dy - k.along_dy * t.ddx;
}

}  // namespace fg::pixel_norm
