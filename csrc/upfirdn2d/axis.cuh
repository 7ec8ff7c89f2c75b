// Shared parts of the upfirdn2d kernels: access to the filter, and division of an axis by launches.
#pragma once

#include "../common/launch.cuh"
#include "problem.h"

namespace fg::upfirdn2d {

// The limit is 48 KB, of which static arrays need a part.
inline constexpr std::int64_t shared_limit = 46 * 1024;

// Taps in the order of application. A two-dimensional filter is reversed by reversing its memory.
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

// Return the size of tiles that cover `length` evenly: a multiple of `unit`, up to `limit`.
inline int even_tile(std::int64_t length, std::int64_t limit, std::int64_t unit) {
  const std::int64_t tiles = divide_up(length, limit);
  return static_cast<int>(divide_up(divide_up(length, tiles), unit) * unit);
}

// Return the largest and the smallest number of taps of a phase.
inline std::int64_t most_taps(const Axis& a) { return divide_up(a.taps, a.up); }
inline std::int64_t fewest_taps(const Axis& a) {
  std::int64_t fewest = a.taps;
  for (std::int64_t r = 0; r < period(a); ++r) {
    fewest = std::min(fewest, phase(a, r).count);
  }
  return fewest;
}

}  // namespace fg::upfirdn2d
