// Sums with the same bits for any order of additions. They are whole numbers of a unit, added up
// atomically as integers, which is exact.
//
// 2^e is a bound of all values that points of an image add; a sum has at most as many terms as
// there are points. With `bits` = 62 - log2(points), 2^bits units are 2^e. Rounding a value to
// units costs 2^-(bits + 1) of the bound: 2^-45 for up to 2^18 points in single precision. Double
// precision has a second number for the rest of the first one, in units 2^bits times smaller.
#pragma once

#include <cmath>
#include <limits>

#include "../common/fg_platform.cuh"
#include "problem.h"

namespace fg::grid_sample {

// The bound of an image as an increasing code: 0 if all its values are 0, else e + code_bias.
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
  R per_value, value;  // number of units in 1, and 1 / per_value
};

// Return the unit of a bound. It stays a normal number even for a tiny bound.
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
  // bounds has a number per image, units and rest have one per element.
  unsigned long long *bounds = nullptr, *units = nullptr, *rest = nullptr;

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

  // Return a sum. All sums of an image are NaN if one of its values isn't finite.
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
