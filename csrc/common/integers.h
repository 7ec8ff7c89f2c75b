// Integer arithmetic of partitions and launches.
#pragma once

#include <cstdint>

namespace fg {

[[gnu::always_inline]] constexpr std::int64_t divide_up(std::int64_t n, std::int64_t d) {
  return (n + d - 1) / d;
}

// Return the smallest power of two from `least` to `most` that is at least `n`, or `most`.
[[gnu::always_inline]] constexpr int power_of_two(std::int64_t n, int least, int most) {
  int power = least;
  while (power < most && power < n) {
    power *= 2;
  }
  return power;
}

}  // namespace fg
