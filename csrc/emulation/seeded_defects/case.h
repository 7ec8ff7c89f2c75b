// Kernels with planted defects, and correct versions of the same kernels, as tests of the
// emulation.
//
// A defect without a catch is a hole in the emulation; a complaint about a correct kernel is a
// false alarm. tests/emulation/test_seeded_defects.py runs them all and lists the expected catches.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../../common/fg_platform.cuh"

namespace fg::seeded {

struct Case {
  std::string name;
  bool is_correct;
  bool (*run)();  // returns true if the result is right
};

std::vector<Case>& cases();

struct Register {
  Register(const char* name, bool is_correct, bool (*run)()) {
    cases().push_back({name, is_correct, run});
  }
};

template <class... Params, class... Args>
void run(void (*kernel)(Params...), dim3 grid, dim3 block, std::size_t smem_bytes, Args... args) {
  const cudaError_t error = fg_launch(kernel, grid, block, smem_bytes, nullptr, args...);
  if (error != cudaSuccess) {
    throw std::invalid_argument(cudaGetErrorString(error));
  }
}

// Test if y[i] is value(i) for all i; NaN is false.
template <class T, class Value>
bool holds(const std::vector<T>& y, Value value) {
  for (std::size_t i = 0; i < y.size(); ++i) {
    if (!(y[i] == static_cast<T>(value(static_cast<int>(i))))) {
      return false;
    }
  }
  return true;
}

inline std::vector<float> iota(int n) {
  std::vector<float> values(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) {
    values[static_cast<std::size_t>(i)] = static_cast<float>(i);
  }
  return values;
}

}  // namespace fg::seeded

#define FG_SEEDED_CASE(name, is_correct)                                                      \
  static bool fg_case_##name();                                                               \
  static const ::fg::seeded::Register fg_register_##name(#name, is_correct, &fg_case_##name); \
  static bool fg_case_##name()

// The body returns true if the result is right. Tests search for the mark `DEFECT name`, which each
// planted line has.
#define FG_DEFECT(name) FG_SEEDED_CASE(name, false)
#define FG_CORRECT(name) FG_SEEDED_CASE(name, true)
