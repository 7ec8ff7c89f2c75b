#pragma once

#include <cstdint>

namespace fg {

enum class DType : int { f16, bf16, f32, f64 };

constexpr std::int64_t bytes_of(DType t) { return t == DType::f64 ? 8 : t == DType::f32 ? 4 : 2; }

// Return memory as elements of T.
template <class T>
[[gnu::always_inline]] inline const T* as(const void* p) {
  return static_cast<const T*>(p);
}
template <class T>
[[gnu::always_inline]] inline T* as(void* p) {
  return static_cast<T*>(p);
}

}  // namespace fg
