// Element types as C++ types, for the code around the kernels.
// Don't include it in CPU kernels, which are compiled once per instruction set. These types have
// inline functions, and the linker would keep one copy of each, of any instruction set.
#pragma once

#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#ifdef FG_EMU_TSAN
#include <stdexcept>
#endif
#include <type_traits>

#include "dtype.h"

namespace fg {

// Type of sums of T.
template <class T>
using sum_t = std::conditional_t<std::is_same_v<T, double>, double, float>;

// Call f with an element of the type; its value is meaningless.
template <class F>
auto with_dtype(DType dtype, F&& f) {
#ifdef FG_EMU_TSAN
  // All types have the same races, and four types take ThreadSanitizer a minute to compile.
  if (dtype != DType::f32) {
    throw std::invalid_argument("race checks are of float32");
  }
  return f(float());
#else
  switch (dtype) {
    case DType::f16:
      return f(c10::Half());
    case DType::bf16:
      return f(c10::BFloat16());
    case DType::f32:
      return f(float());
    default:
      return f(double());
  }
#endif
}

}  // namespace fg
