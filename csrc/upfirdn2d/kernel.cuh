// CUDA kernels of upfirdn2d and the plan of their launches. Torch-free; the emulation runs them
// unchanged.
//
// - Tiles: contiguous images with the parameters of networks. These are up 2, down 2 or neither, up
//   to 12 taps, float32 and half types.
// - Separable: all other filters that run along x and then along y, in any layout.
// - Direct: two-dimensional filters, and separable ones that gain nothing from two passes.
#pragma once

#include <type_traits>

#include "blocks.cuh"
#include "tiles.cuh"

namespace fg::upfirdn2d {

template <class T>
cudaError_t run(const Arguments& a, cudaStream_t stream) {
  if constexpr (!std::is_same_v<T, double>) {
    cudaError_t error;
    if (try_tiles<T>(a, stream, error)) {
      return error;
    }
  }
  constexpr int V = vec_width<T>;
  const bool wide = a.inner % V == 0 && is_vec_aligned<V>(static_cast<const T*>(a.input)) &&
                    is_vec_aligned<V>(static_cast<const T*>(a.output));
  return wide ? run_blocks<T, V>(a, stream) : run_blocks<T, 1>(a, stream);
}

}  // namespace fg::upfirdn2d
