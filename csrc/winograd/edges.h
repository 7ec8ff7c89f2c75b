// The last row and column of an upsampled image, which are no part of a tile:
// t[2i] = r0[i] + r2[i - 1] and t[2i + 1] = r1[i]. r are the products of the last pixels.
#pragma once

#include "products.h"
#include "transforms.h"
#include "weights.h"

namespace fg::FG_CPU_LEVEL {
namespace {

inline constexpr int edge_rows = Edges::block + 1;
inline constexpr int64_t edge_size = 3 * edge_rows * Cut::bundle;

// A block of pairs of results of the last row or column of a sample.
struct Edge {
  int64_t n;
  bool bottom;
  int64_t first, results, length;

  Edge(const Shape& s, int64_t unit) {
    const Edges edges(s);
    const int64_t block = unit % edges.blocks();
    n = unit / edges.blocks();
    bottom = block < edges.bottom_blocks();
    first = (bottom ? block : block - edges.bottom_blocks()) * Edges::block;
    results = bottom ? edges.bottom : edges.right;
    length = bottom ? s.w : s.h;
  }
};

// Multiply by `cs` input channels from c on. `sums` are [3][row][bundle].
FG_LOCAL void multiply_edge(
    const Forward& f, const Cut& cut, int64_t unit, int64_t groups, int64_t c, int64_t cs,
    const float* weights, const float* zeros, float* sums) {
  using S = Upsampling;
  const Shape& s = f.shape;
  const Edge edge(s, unit);
  alignas(64) float in[edge_rows][lanes];
  for (int64_t c0 = c; c0 < c + cs; c0 += lanes) {
    const int channels = valid_lanes(c0, c + cs);
    for (int i = 0; i < edge_rows; ++i) {  // pixel first - 1 + i
      const int64_t at = edge.first - 1 + i;
      const int64_t pixel =
          edge.bottom ? (edge.n * s.h + s.h - 1) * s.w + at : (edge.n * s.h + at) * s.w + s.w - 1;
      const float* const x = at >= 0 && at < edge.length ? f.x + pixel * s.c + c0 : zeros;
      const float* const style = f.style ? f.style + edge.n * s.c + c0 : nullptr;
      for (int j = 0; j < channels; ++j) {
        in[i][j] = style ? x[j] * style[j] : x[j];
      }
    }
    for (int e = 0; e < 3; ++e) {
      const int64_t point = S::weights * S::weights + (edge.bottom ? e : e < 2 ? 3 + e : 2);
      product_of<Rows::tiles>(
          {in[0], 0, weights + point * cut.weight_plane + (c0 - c) * lanes, cut.weight_group,
           channels, sums + e * edge_rows * cut.bundle, cut.bundle, lanes, c0 > 0},
          edge_rows, groups);
    }
  }
}

FG_LOCAL void store_edge(
    const Forward& f, int64_t unit, int64_t first_k, int64_t ks, const float* sums) {
  const Shape& s = f.shape;
  const Edge edge(s, unit);
  const int64_t valid = std::min(ks, s.k - first_k);
  const auto sum = [&](int e, int row) { return sums + (e * edge_rows + row) * Cut::bundle; };
  for (int i = 0; i < Edges::block && edge.first + i < edge.results; ++i) {
    const int64_t at = 2 * (edge.first + i);
    const auto result = [&](int64_t along) {
      const int64_t y = edge.bottom ? s.oh - 1 : along, x = edge.bottom ? along : s.ow - 1;
      return f.y + ((edge.n * s.oh + y) * s.ow + x) * s.k + first_k;
    };
    float* const even = result(at);
    for (int64_t l = 0; l < valid; ++l) {
      even[l] = sum(0, i + 1)[l] + sum(2, i)[l];
    }
    if (at + 1 < 2 * edge.length) {
      float* const odd = result(at + 1);
      for (int64_t l = 0; l < valid; ++l) {
        odd[l] = sum(1, i + 1)[l];
      }
    }
  }
}

}  // namespace
}  // namespace fg::FG_CPU_LEVEL
