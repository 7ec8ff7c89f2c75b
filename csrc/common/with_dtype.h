// The element types as C++ types, for the code around the kernels. Not for CPU kernels, which are compiled several times
// over: these types have functions that the linker would take from any of them.
#pragma once

#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#ifdef FG_EMU_TSAN
#include <stdexcept>
#endif

#include "dtype.h"

namespace fg {

// Calls f with an element, of which only the type counts.
template <class F>
auto with_dtype(DType dtype, F&& f) {
#ifdef FG_EMU_TSAN  // races are alike in every type, and to compile four for ThreadSanitizer takes a minute
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
