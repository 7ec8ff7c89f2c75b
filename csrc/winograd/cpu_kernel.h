// The stages of a Winograd convolution, each a plain function over units of work. Torch-free. `engine.h` runs them in order.
#pragma once

#include <algorithm>
#include <cstdint>

#include "../common/cpu_level.h"
#include "problem.h"

namespace fg::winograd {

// What a kind of convolution does tile by tile, in two dimensions.
struct Scheme {
  std::int64_t points, weight_points, outputs;
  bool edges;  // one result more than a whole number of tiles is left to a stage of its own

  std::int64_t tiles(std::int64_t length) const {
    return (length - (edges ? 1 : 0) + outputs - 1) / outputs;
  }
};

inline constexpr Scheme convolution{36, 36, 4, false}, upsampling{81, 41, 8, true},
    downsampling{81, 36, 4, false};

// How a convolution is cut: `chunk` output channels at a time, and for these `block` tiles at a time, so that transformed
// weights, inputs and results together stay in the cache, and below 32 MB, whatever the size. It depends on the shape
// alone: results don't depend on the number of threads.
struct Cut {
  static constexpr std::int64_t weight_bytes = 12 << 20, image_bytes = 12 << 20;

  std::int64_t points, weight_points;  // products per tile, and matrices of weights
  std::int64_t across, down, tiles;    // tiles per row, rows of tiles per sample, tiles in all
  std::int64_t c, k, chunk, block;     // c and k rounded up to whole groups of lanes
  std::int64_t zeros;                  // a pixel outside the image
  std::int64_t weight_plane, in_plane,
      out_plane;  // elements from one point to the next: not a power of two, or they share cache sets

  Cut(const Shape& s, const Scheme& scheme)
      : points(scheme.points), weight_points(scheme.weight_points), across(scheme.tiles(s.ow)),
        down(scheme.tiles(s.oh)), tiles(s.n * across * down), c(rounded_up(s.c, lanes)),
        k(rounded_up(s.k, lanes)) {
    const std::int64_t line = 4 * lanes;
    chunk = std::clamp(weight_bytes / (4 * weight_points * c) / lanes * lanes, lanes, k);
    chunk = rounded_up(
        (k + (k + chunk - 1) / chunk - 1) / ((k + chunk - 1) / chunk), lanes);  // even shares
    block = std::clamp<std::int64_t>(
        image_bytes / (4 * points * (c + chunk)) / 12 * 12, 12, rounded_up(tiles, 12));
    block =
        rounded_up((tiles + (tiles + block - 1) / block - 1) / ((tiles + block - 1) / block), 12);
    zeros = std::max(c, k);
    weight_plane = c * chunk + 3 * line / 4;
    in_plane = block * c + 3 * line / 4;
    out_plane = block * chunk + 3 * line / 4;
  }

  std::int64_t weight_elements() const { return weight_points * weight_plane; }
  std::int64_t in_elements() const { return points * in_plane; }
  std::int64_t out_elements() const { return points * out_plane; }
};

// One block of tiles of one chunk of channels.
struct Part {
  std::int64_t first_tile, tiles, first_k, ks;  // ks in whole groups of lanes
};

struct Buffers {
  float *weights, *in, *out;  // transformed
  float* sums;                // [block, chunk], per tile: where a sum over pixels is wanted
  const float* zeros;         // cut.zeros of them
};

using ForwardStage = void (*)(
    const Forward&, const Cut&, const Part&, const Buffers&, std::int64_t begin, std::int64_t end);
using GradientStage = void (*)(
    const WeightGradient&, const Cut&, const Part&, const Buffers&, std::int64_t begin,
    std::int64_t end);

// Units: groups of `ks`; tiles; points by groups of `ks`; tiles; see `edge_units`.
struct ForwardStages {
  ForwardStage weights, in, products, out, edges;
};

// Units: tiles; groups of c by matrices of weights; groups of c by groups of `ks`.
struct GradientStages {
  GradientStage in, products, out;
};

struct Kernels {
  ForwardStages convolution, upsampling, downsampling;
  ForwardStage sums;  // units: groups of `ks`
  GradientStages gradient, downsampling_gradient;
};

// The last row and the last column of an upsampled image, cut into blocks of results of two.
struct Edges {
  static constexpr std::int64_t block = 11;

  std::int64_t bottom, right;  // results of two along them; 0 where the tiles cover them

  explicit Edges(const Shape& s)
      : bottom(s.h % 4 == 0 ? s.w + 1 : 0), right(s.w % 4 == 0 ? s.h + (bottom ? 0 : 1) : 0) {}

  std::int64_t bottom_blocks() const { return (bottom + block - 1) / block; }
  std::int64_t blocks() const { return bottom_blocks() + (right + block - 1) / block; }
};

inline std::int64_t edge_units(const Shape& s, const Part& part) {
  return s.n * Edges(s).blocks() * (part.ks / lanes);
}

}  // namespace fg::winograd

namespace fg::baseline {
extern const winograd::Kernels winograd_kernels;
}
namespace fg::avx2 {
extern const winograd::Kernels winograd_kernels;
}
namespace fg::avx512 {
extern const winograd::Kernels winograd_kernels;
}
