// Checks of an op's kernels for data races. csrc/<op>/race_check.cpp has the checks of an op; the
// program race_check runs all of them.
//
//   FG_RACE_CHECK(pixel_norm_rows) {
//     const Floats x = pattern(size, 1);
//     Arguments a{};
//     ...
//     run_kernels(a);
//     require_close(y[0], wanted);
//   }
//
// They run under ThreadSanitizer, which must instrument the whole program. So they use no torch
// library, only the kernels and their launch plans on the host (csrc/<op>/kernel.cuh). A launch may
// have 4,096 threads. Shapes must be small, but large enough for more than one block.
#pragma once

#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "../common/problem.h"

namespace fg::emulation {

struct RaceCheck {
  RaceCheck(const char* name, void (*run)());
};

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

// Return multiples of a quarter from -2 to 2.
inline Floats pattern(std::int64_t size, int seed) {
  Floats values(size);
  for (std::int64_t i = 0; i < size; ++i) {
    values[i] = 0.25f * static_cast<float>((i * 5 + i / 13 + seed) % 17 - 8);
  }
  return values;
}

[[noreturn]] inline void fail(const std::string& what, const char* file, int line) {
  throw std::runtime_error(std::string(file) + ":" + std::to_string(line) + ": not so: " + what);
}

// Messages of these have the caller's file and line.

// Compare a sum whose terms have `size` together.
inline void require_close(
    double value, double wanted, double size, const char* file = __builtin_FILE(),
    int line = __builtin_LINE()) {
  if (!(std::abs(value - wanted) <= 1e-4 * (1 + size))) {
    fail(std::to_string(value) + " == " + std::to_string(wanted), file, line);
  }
}

inline void require_close(
    double value, double wanted, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  require_close(value, wanted, std::abs(wanted), file, line);
}

inline void require_close(
    const Floats& values, const Doubles& wanted, const char* file = __builtin_FILE(),
    int line = __builtin_LINE()) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    require_close(values[i], wanted[i], 2 * (10 + std::abs(wanted[i])), file, line);
  }
}

// Run an op's kernels on float32, with a workspace of zeros if it has one.
template <class Arguments>
void run_kernels(Arguments a, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  std::vector<std::int64_t> memory;
  a.dtype = DType::f32;
  if constexpr (requires { a.workspace; }) {
    memory.resize(workspace(a));
    a.workspace = memory.data();
  }
  if (run(a, nullptr) != 0) {
    fail("the kernels run", file, line);
  }
}

}  // namespace fg::emulation

#define FG_RACE_CHECK(name)                                                                   \
  static void fg_race_check_##name();                                                         \
  static const ::fg::emulation::RaceCheck fg_registered_##name(#name, &fg_race_check_##name); \
  static void fg_race_check_##name()

#define FG_REQUIRE(condition)                                \
  do {                                                       \
    if (!(condition)) {                                      \
      ::fg::emulation::fail(#condition, __FILE__, __LINE__); \
    }                                                        \
  } while (false)
