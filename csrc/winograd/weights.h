// Weights of a convolution: their transform, and the layout of their gradient.
#pragma once

#include "../common/cpu_transpose.h"
#include "tiles.h"

namespace fg::FG_CPU_LEVEL {
namespace {

// Load all taps of a group of k by a group of c; zero beyond the last k.
void gather_weights(
    const Weights& w, int64_t k, int valid, int64_t c, int channels, float (*taps)[lanes]) {
  const float* const from = w.data + k * w.of_k + c * w.of_c;
  const bool whole = valid == lanes && channels == lanes;
  if (whole && w.of_tap == 1 && w.of_c == 9) {  // [k, c, 3, 3]
    for (int i = 0; i < lanes; i += 8) {
      for (int j = 0; j < lanes * 9; j += 8) {
        transpose(from + i * w.of_k + j, w.of_k, taps[j] + i, lanes);
      }
    }
    return;
  }
  if (whole && w.of_c == 1) {  // [k, c, 3, 3] in channels_last
    for (int t = 0; t < 9; ++t) {
      for (int i = 0; i < lanes; i += 8) {
        for (int j = 0; j < lanes; j += 8) {
          transpose(from + i * w.of_k + t * w.of_tap + j, w.of_k, taps[9 * j + t] + i, 9 * lanes);
        }
      }
    }
    return;
  }
  for (int i = 0; i < lanes; ++i) {
    for (int j = 0; j < channels; ++j) {
      for (int t = 0; t < 9; ++t) {
        taps[9 * j + t][i] = i < valid ? from[i * w.of_k + j * w.of_c + t * w.of_tap] : 0.f;
      }
    }
  }
}

// Transform the weights of groups of k from `first_k` on by `cs` channels from `first_c` on.
template <class S>
void transform_weights(
    const Forward& f, const Cut& cut, int64_t first_k, int64_t groups, int64_t first_c, int64_t cs,
    float* weights) {
  const Weights& w = f.weights;
  const auto turned = [&](int tap) { return w.flip ? 8 - tap : tap; };
  for (int64_t group = 0; group < groups; ++group) {
    const int64_t k = first_k + group * lanes;
    const int valid = valid_lanes(k, f.shape.k);
    for (int64_t c0 = 0; c0 < cs; c0 += lanes) {
      const int channels = valid_lanes(first_c + c0, f.shape.c);
      alignas(64) float taps[lanes * 9][lanes];  // [c, tap][k]
      gather_weights(w, k, valid, first_c + c0, channels, taps);
      for (int c = 0; c < channels; ++c) {
        for (int v = 0; v < lanes; v += width) {
          float* const to = weights + group * cut.weight_group + (c0 + c) * lanes + v;
          in_two_dimensions<3, S::weights>(
              S::weight, [&](int i, int j) { return load(taps[9 * c + turned(3 * i + j)] + v); },
              [&](int i, int j, vec u) { store(to + (i * S::weights + j) * cut.weight_plane, u); });
          // The last row, then the rest of the last column.
          for (int e = 0; e < S::edges; ++e) {
            store(
                to + (S::weights * S::weights + e) * cut.weight_plane,
                load(taps[9 * c + turned(e < 3 ? 6 + e : 3 * e - 7)] + v));
          }
        }
      }
    }
  }
}

// Return the matrix of weights that a point multiplies with.
template <class S>
FG_LOCAL int64_t matrix_of(int64_t point) {
  return S::weight_of(static_cast<int>(point / S::points)) * S::weights +
         S::weight_of(static_cast<int>(point % S::points));
}

// Write a group of c by a group of k of the gradient, [c, tap][k], to dw [k, c, 9].
FG_LOCAL void scatter_gradient(
    const WeightGradient& g, int64_t first_c, int64_t first_k, const float (*taps)[lanes]) {
  const int channels = valid_lanes(first_c, g.shape.c), valid = valid_lanes(first_k, g.shape.k);
  float* const to = g.dw + (first_k * g.shape.c + first_c) * 9;
  if (channels == lanes && valid == lanes) {
    for (int i = 0; i < lanes; i += 8) {
      for (int j = 0; j < lanes * 9; j += 8) {
        transpose(taps[j] + i, lanes, to + i * g.shape.c * 9 + j, g.shape.c * 9);
      }
    }
    return;
  }
  for (int k = 0; k < valid; ++k) {
    for (int j = 0; j < channels * 9; ++j) {
      to[k * g.shape.c * 9 + j] = taps[j][k];
    }
  }
}

}  // namespace
}  // namespace fg::FG_CPU_LEVEL
