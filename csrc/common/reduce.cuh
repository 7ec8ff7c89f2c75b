// Sums over threads, always in the same order. Every thread of the block must call them.
#pragma once

#include "fg_platform.cuh"

namespace fg {

// Return the sum over `lanes` neighbours, a power of two within a warp, in each of them.
template <class R>
FG_DEVICE R sum_of_lanes(R value, int lanes = warp) {
  for (int step = lanes / 2; step > 0; step /= 2) {
    value += __shfl_xor_sync(0xffffffffu, value, step);
  }
  return value;
}

// Return the sum over threadIdx.x in each thread of a row. Rows have `width` threads, a power of
// two: part of a warp, or several warps. `parts` is shared memory with an element for each warp of
// the block, which no other sum uses.
template <class R>
FG_DEVICE R sum_of_row(R total, unsigned width, R* parts) {
  total = sum_of_lanes(total, width < warp ? width : warp);
  if (width > warp) {
    const unsigned linear = threadIdx.y * width + threadIdx.x;
    if (linear % warp == 0) {
      parts[linear / warp] = total;
    }
    __syncthreads();
    total = 0;
    for (unsigned k = 0; k < width / warp; ++k) {
      total += parts[threadIdx.y * (width / warp) + k];
    }
  }
  return total;
}

}  // namespace fg
