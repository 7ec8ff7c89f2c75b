// The gradient of the weights: units that sum over all tiles, for some input and output channels.
#pragma once

#include "products.h"
#include "transforms.h"
#include "weights.h"

namespace fg::FG_CPU_LEVEL {
namespace {

// Apply the adjoint of the output's transform to tiles of `ks` channels, to
// [point][k / 16][tile][16].
template <class S>
FG_LOCAL void transform_results(
    const WeightGradient& g, const GradientCut& cut, const float* zeros, int64_t first_tile,
    int64_t tiles, int64_t first_k, int64_t ks, float* out) {
  const Shape& s = g.shape;
  Pixels<S::outputs> pixels;
  for (int64_t t = 0; t < tiles; ++t) {
    const Tile tile(cut, first_tile + t);
    pixels.set(
        pixels, g.dy + tile.n * s.oh * s.ow * s.k, zeros, s.oh, s.ow, s.k, tile.y * S::outputs,
        tile.x * S::outputs);
    for (int64_t k = 0; k < ks; k += lanes) {
      pixels.at(pixels, first_k + k, s.k, [&](auto get) {
        for (int v = 0; v < lanes; v += width) {
          float* const to = out + (k / lanes * cut.block + t) * lanes + v;
          in_two_dimensions<S::outputs, S::points>(
              S::output_adjoint, [&](int i, int j) { return get(i, j, v); },
              [&](int i, int j, vec o) { store(to + (i * S::points + j) * cut.out_plane, o); });
        }
      });
    }
  }
}

template <class S>
void transform_gradient(
    const WeightGradient& g, const GradientCut& cut, int64_t first_c, int64_t cs, int64_t first_k,
    int64_t ks, const float* weights) {
  for (int64_t c0 = 0; c0 < cs; c0 += lanes) {
    for (int64_t k0 = 0; k0 < ks; k0 += lanes) {
      const float* const from = weights + c0 * cut.unit_k + k0 * lanes;
      alignas(64) float taps[lanes * 9][lanes];  // [c, tap][k]
      for (int c = 0; c < lanes; ++c) {
        for (int v = 0; v < lanes; v += width) {
          in_two_dimensions<S::weights, 3>(
              S::weight_adjoint,
              [&](int i, int j) {
                return load(from + (i * S::weights + j) * cut.weight_plane + c * lanes + v);
              },
              [&](int i, int j, vec d) { store(taps[9 * c + 3 * i + j] + v, d); });
        }
      }
      scatter_gradient(g, first_c + c0, first_k + k0, taps);
    }
  }
}

// Sums are [matrix][c / 16][k / 16][16 c][16 k]. Points that share a matrix of weights add to the
// same sums.
template <class S>
void run_gradient(
    const WeightGradient& g, const GradientCut& cut, const float* zeros, float* scratch,
    int64_t unit) {
  const int64_t across = divide_up(cut.k, cut.unit_k);
  const int64_t first_c = unit / across * cut.unit_c, first_k = unit % across * cut.unit_k;
  const int64_t cs = std::min(cut.unit_c, cut.c - first_c),
                ks = std::min(cut.unit_k, cut.k - first_k);
  float *const in = scratch, *const out = in + cut.points * cut.in_plane,
               *const weights = out + cut.points * cut.out_plane;
  for (int64_t t = 0; t < cut.tiles; t += cut.block) {
    const int64_t tiles = std::min(cut.block, cut.tiles - t);
    transform_tiles<S>(
        g.shape, cut, g.x, g.style, zeros, t, tiles, first_c, cs, in, cut.in_plane,
        cut.block * lanes);
    transform_results<S>(g, cut, zeros, t, tiles, first_k, ks, out);
    unsigned long long started = 0;  // a bit per matrix
    for (int64_t point = 0; point < cut.points; ++point) {
      const int64_t matrix = matrix_of<S>(point);
      const bool add = t > 0 || (started >> matrix & 1) != 0;
      started |= 1ull << matrix;
      const auto sums = [&](int64_t of) { return weights + matrix_of<S>(of) * cut.weight_plane; };
      for (int64_t c = 0; c < cs; c += lanes) {
        const float* const a = in + point * cut.in_plane + c * cut.block;
        const float* const b = out + point * cut.out_plane;
        float* const sum = sums(point) + c * cut.unit_k;
        // Meanwhile fetch the operands of the next rows, and columns of the next point.
        const bool last = c + lanes >= cs;
        const int64_t next = std::min(point + 1, cut.points - 1);
        const float* const next_a = last ? in + next * cut.in_plane : a + lanes * cut.block;
        const float* const next_sum = last ? sums(next) : sum + lanes * cut.unit_k;
        product_of<Rows::channels>(
            {a,
             0,
             b,
             cut.block * lanes,
             tiles,
             sum,
             lanes,
             lanes * lanes,
             add,
             {next_a, next_sum, b + cut.out_plane + c * cut.block, next_sum + tiles * lanes}},
            lanes, ks / lanes);
      }
    }
  }
  transform_gradient<S>(g, cut, first_c, cs, first_k, ks, weights);
}

}  // namespace
}  // namespace fg::FG_CPU_LEVEL
