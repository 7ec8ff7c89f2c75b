// Convolutions in bfloat16 on the tile registers of AMX, in plain types. Images are channels_last.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fg::amx {

using Bits = std::uint16_t;  // bits of a bfloat16

// y [n, oh, ow, groups · k] = x [n, h, w, groups · c] ⋆ w [groups · k, c, kh, kw].
struct Geometry {
  std::int64_t n, h, w, c, oh, ow, k, kh, kw, stride_y, stride_x, pad_y, pad_x, dilation_y,
      dilation_x, groups;
};

// weight(k, c, tap) = data[k · of_k + c · of_c + tap], with tap = ty · kw + tx.
struct Weights {
  const Bits* data;
  std::int64_t of_k, of_c;
};

// A product of pixels and weights: out[u, v] = Σ over taps of in[u · step + tap] · weights[tap].
// A convolution is one; the gradient of an image is one for each phase of the stride.
struct Walk {
  std::int64_t n, groups;
  const Bits* in;
  std::int64_t in_h, in_w, in_c;  // channels per group
  Bits* out;
  std::int64_t out_h, out_w, out_c;  // channels per group
  // Rows and columns of `out` that are written: first + i · every.
  std::int64_t rows, columns, first_y, first_x, every_y, every_x;
  std::int64_t step_y, step_x;
  // Offsets in `in` of each axis' taps, and the number of these.
  std::int32_t *at_y, *at_x;
  std::int64_t taps_y, taps_x;
  const Bits* weights;         // packed
  std::int64_t depth, pixels;  // taps · in_c, n · rows · columns
  // `in` has all taps of all pixels, and each 16 pixels lie in one row. The channels are whole
  // tiles, so that tiles are loaded from `in` as it is.
  bool is_padded;
};

// Sizes of registers and blocks.
inline constexpr std::int64_t tile_rows = 16, tile_depth = 32, tile_size = tile_rows * tile_depth;
inline constexpr std::int64_t block_pixels = 256, block_depth = 512;

// Elements of packed weights [ceil(out / 16)][ceil(depth / 32)] tiles.
std::int64_t packed_weights(std::int64_t out, std::int64_t depth);

// Place of a tap in the packed weights of its walk.
struct Place {
  Bits* weights;          // of the first group
  std::int64_t in_group;  // elements between groups
  std::int64_t tiles;     // tiles along the depth
  std::int64_t first;     // depth of the tap's first channel
};

// Pack the weights of groups [first, last): from c to k channels, or back if `transposed`.
void pack_weights(
    const Geometry& g, const Weights& w, bool transposed, const Place* places, std::int64_t first,
    std::int64_t last);

// Compute blocks [first, last) of `block_pixels` pixels.
void run_walk(const Walk& walk, std::int64_t first, std::int64_t last);

// Pixels of the image whose coordinates have this remainder by the stride.
struct Phase {
  std::int64_t y, x;
};

// Distance of the pixel that a tap reads from a place of the grid, in a phase.
struct Reached {
  std::int64_t phase, places;
};

// dw[groups · k, c, kh, kw] = Σ over pixels of dy · x.
//
// Both lie on a grid of n · grid_h · grid_w places, with zeros around them. dy is at its start, and
// each phase of x `top` rows and `left` columns behind it. A row's zeros may be those of the next
// one. So a tap reads at a constant distance, and tiles of pairs of pixels serve all taps.
struct WeightGradient {
  Geometry shape;
  const Bits *x, *dy;
  Bits* columns;  // dy with places as columns, packed: groups · ceil(k / 16) · column_tiles
  Bits* dw;
  std::int64_t grid_h, grid_w, top, left;
  const Phase* phases;
  std::int64_t phase_count;
  const Reached* taps;
  std::int64_t reach;  // of the farthest tap
};

// Tiles of 32 places.
std::int64_t column_tiles(const WeightGradient& a);
std::int64_t packed_columns(const WeightGradient& a);

// Pack tiles [first, last) of dy.
void pack_columns(const WeightGradient& a, std::int64_t first, std::int64_t last);

std::int64_t weight_units(const Geometry& g);

// Compute units [first, last) of `weight_units`.
void run_weight_gradient(const WeightGradient& a, std::int64_t first, std::int64_t last);

}  // namespace fg::amx
