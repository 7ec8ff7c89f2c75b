// Checks of an op's kernels for data races. csrc/<op>/race_check.cpp has the checks of an op; the
// program race_check runs all of them.
//
//   FG_RACE_CHECK(bias_act_forward) {
//     std::vector<float> x(...), y(...);
//     FG_REQUIRE(launch_plan(..., x.data(), y.data()) == cudaSuccess);
//   }
//
// They run under ThreadSanitizer, which must instrument the whole program. So they use no torch
// library, only the kernels and their launch plans on the host (csrc/<op>/kernel.cu). A launch may
// have 4,096 threads. Shapes must be small, but large enough for more than one block.
#pragma once

#include <stdexcept>
#include <string>

#include "../common/fg_platform.cuh"

namespace fg::emulation {

struct RaceCheck {
  RaceCheck(const char* name, void (*run)());
};

}  // namespace fg::emulation

#define FG_RACE_CHECK(name)                                                                   \
  static void fg_race_check_##name();                                                         \
  static const ::fg::emulation::RaceCheck fg_registered_##name(#name, &fg_race_check_##name); \
  static void fg_race_check_##name()

#define FG_REQUIRE(condition)                                                              \
  do {                                                                                     \
    if (!(condition)) {                                                                    \
      throw std::runtime_error(                                                            \
          std::string(__FILE__ ":") + std::to_string(__LINE__) + ": not so: " #condition); \
    }                                                                                      \
  } while (false)
