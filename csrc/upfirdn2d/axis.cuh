// What the kernels of upfirdn2d share: the filter as they read it, and how launches divide an axis.
#pragma once

#include <algorithm>

#include "../common/fg_platform.cuh"
#include "problem.h"

namespace fg::upfirdn2d {

inline constexpr std::int64_t shared_limit =
    46 * 1024;  // of 48 KB; what is left is for the static arrays
inline constexpr std::int64_t grid_limit = 0x7fffffff;

// Taps in the order that they are applied in; a filter of two dimensions is turned round by turning its memory round.
struct Filter {
  const float* f;
  bool flip;

  FG_DEVICE std::int64_t index(std::int64_t k, std::int64_t taps) const {
    return flip ? k : taps - 1 - k;
  }
  FG_DEVICE std::int64_t step(std::int64_t up) const { return flip ? up : -up; }
  FG_DEVICE float at(std::int64_t index) const { return f ? f[index] : 1.0f; }
};

// ---- host side

inline std::int64_t divide_up(std::int64_t n, std::int64_t d) { return (n + d - 1) / d; }

// Tiles of up to `limit`, a multiple of `unit`, that cover `length` evenly.
inline int even_tile(std::int64_t length, std::int64_t limit, std::int64_t unit) {
  const std::int64_t tiles = divide_up(length, limit);
  return static_cast<int>(divide_up(divide_up(length, tiles), unit) * unit);
}

// Taps of a phase, at most and at least.
inline std::int64_t most_taps(const Axis& a) { return divide_up(a.taps, a.up); }
inline std::int64_t fewest_taps(const Axis& a) {
  std::int64_t fewest = a.taps;
  for (std::int64_t r = 0; r < period(a); ++r) {
    fewest = std::min(fewest, phase(a, r).count);
  }
  return fewest;
}

}  // namespace fg::upfirdn2d
