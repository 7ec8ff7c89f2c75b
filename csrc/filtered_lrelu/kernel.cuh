// The CUDA kernels of filtered_lrelu: tiles, or pieces for filters that no tile holds. Torch-free;
// the emulation runs them unchanged.
#pragma once

#include <type_traits>

#include "tile.cuh"

namespace fg::filtered_lrelu {

// Test if both axes have these factors and numbers of taps.
inline bool has_form(const Arguments& a, int up, int taps_up, int down, int taps_down) {
  const auto fits = [=](const Axis& x) {
    return x.up == up && x.taps_up == taps_up && x.down == down && x.taps_down == taps_down;
  };
  return a.up_separable && a.down_separable && fits(a.x) && fits(a.y);
}

template <class T>
cudaError_t run(const Arguments& a, cudaStream_t stream) {
  if constexpr (!std::is_same_v<T, double>) {
    // The layers of StyleGAN3, and their gradients.
    if (has_form(a, 2, 12, 2, 12)) {
      return run_tiles<T, 2, 12, 2, 12>(a, stream);
    }
    if (has_form(a, 4, 24, 2, 12)) {
      return run_tiles<T, 4, 24, 2, 12>(a, stream);
    }
    if (has_form(a, 2, 12, 4, 24)) {
      return run_tiles<T, 2, 12, 4, 24>(a, stream);
    }
    if (has_form(a, 2, 12, 1, 1)) {
      return run_tiles<T, 2, 12, 1, 1>(a, stream);
    }
    if (has_form(a, 1, 1, 2, 12)) {
      return run_tiles<T, 1, 1, 2, 12>(a, stream);
    }
  }
  return run_tiles<T, 0, 0, 0, 0>(a, stream);
}

}  // namespace fg::filtered_lrelu
