// Stages of a Winograd convolution, each a plain function over units of work. Torch-free.
// `engine.h` runs them in order.
#pragma once

#include <algorithm>
#include <cstdint>

#include "../common/cpu_level.h"
#include "problem.h"

namespace fg::winograd {

// Sizes of a kind of convolution per tile, in two dimensions.
struct Scheme {
  std::int64_t points, weight_points, outputs;
  bool edges;  // one result more than whole tiles needs a separate stage

  std::int64_t tiles(std::int64_t length) const {
    return divide_up(length - (edges ? 1 : 0), outputs);
  }
};

inline constexpr Scheme convolution{36, 36, 4, false}, upsampling{81, 41, 8, true},
    downsampling{81, 36, 4, false};

// Division of a convolution into parts: `chunk` output channels at a time, and for these `block`
// tiles at a time. Transformed weights, inputs and results of a part stay in the cache together,
// below 32 MB for any size. The division depends on the shape alone, so results don't depend on the
// number of threads.
struct Cut {
  static constexpr std::int64_t weight_bytes = 12 << 20, image_bytes = 12 << 20;

  std::int64_t points, weight_points;  // products per tile, and matrices of weights
  std::int64_t across, down, tiles;    // tiles per row, rows of tiles per sample, all tiles
  std::int64_t c, k, chunk, block;     // c and k are rounded up to whole groups of lanes
  std::int64_t zeros;                  // channels of a pixel outside the image
  // Elements from one point to the next. Powers of two would share cache sets.
  std::int64_t weight_plane, in_plane, out_plane;

  Cut(const Shape& s, const Scheme& scheme)
      : points(scheme.points), weight_points(scheme.weight_points), across(scheme.tiles(s.ow)),
        down(scheme.tiles(s.oh)), tiles(s.n * across * down), c(rounded_up(s.c, lanes)),
        k(rounded_up(s.k, lanes)) {
    const std::int64_t line = 4 * lanes;
    chunk = std::clamp(weight_bytes / (4 * weight_points * c) / lanes * lanes, lanes, k);
    // All chunks, and all blocks, get even shares.
    chunk = rounded_up(divide_up(k, divide_up(k, chunk)), lanes);
    block = std::clamp<std::int64_t>(
        image_bytes / (4 * points * (c + chunk)) / 12 * 12, 12, rounded_up(tiles, 12));
    block = rounded_up(divide_up(tiles, divide_up(tiles, block)), 12);
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
  std::int64_t first_tile, tiles, first_k, ks;  // ks is whole groups of lanes
};

struct Buffers {
  float *weights, *in, *out;  // transformed
  float* sums;                // [block, chunk], per tile, if a sum over pixels is needed
  const float* zeros;         // cut.zeros elements
};

using ForwardStage = void (*)(
    const Forward&, const Cut&, const Part&, const Buffers&, std::int64_t begin, std::int64_t end);
using GradientStage = void (*)(
    const WeightGradient&, const Cut&, const Part&, const Buffers&, std::int64_t begin,
    std::int64_t end);

// Units of each stage: groups of `ks`; tiles; points by groups of `ks`; tiles; see `edge_units`.
struct ForwardStages {
  ForwardStage weights, in, products, out, edges;
};

// Units of each stage: tiles; groups of c by matrices of weights; groups of c by groups of `ks`.
struct GradientStages {
  GradientStage in, products, out;
};

struct Kernels {
  ForwardStages convolution, upsampling, downsampling;
  ForwardStage sums;  // units: groups of `ks`
  GradientStages gradient, downsampling_gradient;
};

// The last row and the last column of an upsampled image, divided into blocks of pairs of results.
struct Edges {
  static constexpr std::int64_t block = 11;

  std::int64_t bottom, right;  // pairs of results along them; 0 if the tiles cover them

  explicit Edges(const Shape& s)
      : bottom(s.h % 4 == 0 ? s.w + 1 : 0), right(s.w % 4 == 0 ? s.h + (bottom ? 0 : 1) : 0) {}

  std::int64_t bottom_blocks() const { return divide_up(bottom, block); }
  std::int64_t blocks() const { return bottom_blocks() + divide_up(right, block); }
};

inline std::int64_t edge_units(const Shape& s, const Part& part) {
  return s.n * Edges(s).blocks() * (part.ks / lanes);
}

}  // namespace fg::winograd

FG_DECLARE_PER_LEVEL(winograd::Kernels, winograd_kernels)
