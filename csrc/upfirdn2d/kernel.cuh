// CUDA kernels of upfirdn2d and the plan of their launches. Torch-free; the emulation runs them
// unchanged.
//
// - Tiles: contiguous images with the parameters of networks. These are up 2, down 2 or neither, up
//   to 12 taps, float32 and half types.
// - Separable: all other filters that run along x and then along y, in any layout.
// - Direct: two-dimensional filters, and separable ones that gain nothing from two passes.
#pragma once

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
  const Epilogue& e = a.epilogue;
  const bool wide =
      a.inner % vec_width<T> == 0 && are_aligned({a.input, a.output, e.filtered, e.scale, e.b});
  return with_width<vec_width<T>>(wide, [&](auto width) {
    constexpr int V = decltype(width)::value;
    return a.has_epilogue ? run_blocks<T, V>(a, stream, Ending<T>(a))
                          : run_blocks<T, V>(a, stream, Nothing());
  });
}

}  // namespace fg::upfirdn2d
