// Sums that many threads add to in any order, and that still come out the same bit for bit: in whole numbers of a unit, by
// atomic additions of integers, which are exact and so don't depend on their order.
//
// The unit goes by the largest value that any point of the image adds, below 2^e, and the number of points, for there are no
// more values in a sum: with `bits` = 62 - log2(points), 2^bits units are 2^e. Rounding one value to units costs
// 2^-(bits + 1) of the largest one: 2^-45 for up to 2^18 points in single precision. Double precision has a second number for
// what the first one leaves, in units 2^bits times smaller.
#pragma once

#include <cmath>
#include <limits>

#include "../common/fg_platform.cuh"
#include "problem.h"

namespace fg::grid_sample {

// An image's bound as a number that grows with it: 0 if all its values are 0, else e + code_bias, e as above.
constexpr int code_bias = 2000, not_finite = 4000;

template <class R>
FG_DEVICE int bound_code(R largest) {
  if (largest == 0) {
    return 0;
  }
  return largest <= std::numeric_limits<R>::max() ? std::ilogb(largest) + 1 + code_bias
                                                  : not_finite;
}

template <class R>
struct Unit {
  int bits;
  R per_value, value;  // units in 1, and 1 / per_value
};

// Where the bound is tiny, the unit stays a normal number.
template <class R>
FG_DEVICE Unit<R> unit_of(int code, std::int64_t points) {
  constexpr bool twice = sizeof(R) == 8;
  constexpr int smallest = twice ? -900 : -80, most = twice ? 62 : 44;
  const int e = code - code_bias < smallest ? smallest : code - code_bias;
  int bits = 62;
  for (std::int64_t covered = 1; covered < points; covered *= 2) {
    --bits;
  }
  bits = bits < most ? bits : most;
  return {bits, std::ldexp(R(1), bits - e), std::ldexp(R(1), e - bits)};
}

struct Sums {
  unsigned long long *bounds = nullptr, *units = nullptr,
                     *rest = nullptr;  // one for each image; for each element, twice

  Sums() = default;
  explicit Sums(const Arguments& a)
      : bounds(static_cast<unsigned long long*>(a.workspace)), units(bounds + a.layout.images),
        rest(units + elements(a.layout)) {}

  static std::int64_t elements(const Layout& l) { return l.images * l.channels * l.pixels(); }
  static std::int64_t size(const Arguments& a) {
    return a.layout.images + (a.dtype == DType::f64 ? 2 : 1) * elements(a.layout);
  }

  template <class R>
  FG_DEVICE void add(std::int64_t i, R value, const Unit<R>& unit) const {
    const R scaled = value * unit.per_value;
    const long long whole = std::llrint(scaled);
    atomicAdd(units + i, static_cast<unsigned long long>(whole));
    if constexpr (sizeof(R) == 8) {
      const long long part = std::llrint(std::ldexp(scaled - static_cast<R>(whole), unit.bits));
      atomicAdd(rest + i, static_cast<unsigned long long>(part));
    }
  }

  // NaN in all of an image that has a value which is not finite.
  template <class R>
  FG_DEVICE R total(std::int64_t i, int code, std::int64_t points) const {
    if (code == 0) {
      return R(0);
    }
    if (code == not_finite) {
      return std::numeric_limits<R>::quiet_NaN();
    }
    const Unit<R> unit = unit_of<R>(code, points);
    R found = static_cast<R>(static_cast<long long>(units[i]));
    if constexpr (sizeof(R) == 8) {
      found += std::ldexp(static_cast<R>(static_cast<long long>(rest[i])), -unit.bits);
    }
    return found * unit.value;
  }
};

}  // namespace fg::grid_sample
