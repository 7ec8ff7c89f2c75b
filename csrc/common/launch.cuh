// Sizes and launches of grids.
#pragma once

#include <algorithm>
#include <initializer_list>

#include "fg_platform.cuh"
#include "integers.h"
#include "with_constant.h"

namespace fg {

inline constexpr std::int64_t grid_limit = 0x7fffffff;

// Elements of one access: 128 bits, or a single double. float64 serves as a check of other types.
template <class T>
inline constexpr int access_width = sizeof(T) < 8 ? vec_width<T> : 1;

// Test if 128-bit accesses can start at all pointers. Null is aligned.
inline bool are_aligned(std::initializer_list<const void*> pointers) {
  return std::all_of(pointers.begin(), pointers.end(), [](const void* p) {
    return reinterpret_cast<std::uintptr_t>(p) % 16 == 0;
  });
}

// Launch a grid of one dimension, unless it is too large.
template <class... Params, class... Args>
cudaError_t launch_blocks(
    void (*kernel)(Params...), std::int64_t blocks, dim3 threads, cudaStream_t stream,
    Args... args) {
  return blocks > grid_limit
             ? cudaErrorInvalidConfiguration
             : fg_launch(kernel, dim3(static_cast<unsigned>(blocks)), threads, 0, stream, args...);
}

}  // namespace fg
