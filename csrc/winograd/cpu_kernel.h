// Divisions of a Winograd convolution into units of work, and the kernels that run them.
// `engine.h` runs all units. Torch-free.
#pragma once

#include <algorithm>
#include <cstdint>

#include "../common/cpu_level.h"
#include "problem.h"

namespace fg::winograd {

// Sizes of a kind of convolution per tile, in two dimensions.
struct Scheme {
  std::int64_t points, weight_points, outputs;
  bool edges;  // one result more than whole tiles needs products of its own

  std::int64_t tiles(std::int64_t length) const {
    return divide_up(length - (edges ? 1 : 0), outputs);
  }
};

inline constexpr Scheme convolution{36, 36, 4, false}, upsampling{81, 41, 8, true},
    downsampling{81, 36, 4, false};

// Division of an image into tiles.
struct Tiling {
  std::int64_t points, weight_points;  // products per tile, and matrices of weights
  std::int64_t across, down, tiles;    // tiles per row, rows of tiles per sample, all tiles
  std::int64_t c, k;                   // channels, rounded up to whole groups of lanes

  Tiling(const Shape& s, const Scheme& scheme)
      : points(scheme.points), weight_points(scheme.weight_points), across(scheme.tiles(s.ow)),
        down(scheme.tiles(s.oh)), tiles(s.n * across * down), c(rounded_up(s.c, lanes)),
        k(rounded_up(s.k, lanes)) {}

  std::int64_t zeros() const { return std::max(c, k); }  // channels of a pixel outside the image
};

// Elements from one point to the next. Powers of two would share cache sets.
constexpr std::int64_t plane(std::int64_t elements) { return elements + 3 * lanes; }

// The last row and the last column of an upsampled image, divided into blocks of pairs of results.
struct Edges {
  static constexpr std::int64_t block = 11;

  std::int64_t bottom, right;  // pairs of results along them; 0 if the tiles cover them

  explicit Edges(const Shape& s)
      : bottom(s.h % 4 == 0 ? s.w + 1 : 0), right(s.w % 4 == 0 ? s.h + (bottom ? 0 : 1) : 0) {}

  std::int64_t bottom_blocks() const { return divide_up(bottom, block); }
  std::int64_t blocks() const { return bottom_blocks() + divide_up(right, block); }
};

// Tiles that products of an instruction set multiply at once, and the most of a unit that suit it.
struct Blocking {
  std::int64_t rows, tiles;
};

// Part of the results that shares transformed data.
struct Pass {
  std::int64_t first_tile, tiles, first_k, ks;  // ks is whole groups of lanes
};

// Division of a forward convolution. One operand is transformed for a whole pass, in memory that
// all units share. A unit transforms its part of the other operand in its own scratch memory, which
// stays in L2, multiplies, and transforms the results.
//
// - `by_tiles`: weights are shared, and a unit is some tiles.
// - otherwise, for few tiles: the image is shared, and a unit is some output channels.
//
// Each sum runs over the input channels in order, so the division doesn't change a bit of it. So it
// may depend on the number of threads.
struct Cut : Tiling {
  static constexpr std::int64_t weight_bytes = 12 << 20, image_bytes = 16 << 20,
                                scratch_bytes = 1600 << 10, sum_bytes = 4 << 20, most_shared = 128,
                                bundle = 2 * lanes;

  bool by_tiles;
  std::int64_t pass_tiles, pass_k;          // sizes of a pass
  std::int64_t unit_tiles, unit_k, unit_c;  // sizes of a unit; it adds up the products of unit_c
  std::int64_t bundles;                     // of output channels whose sums a unit keeps
  std::int64_t weight_plane, weight_group, in_plane, in_group, out_plane;
  std::int64_t edge_units = 0, edge_sums = 0;

  Cut(const Shape& s, const Scheme& scheme, const Blocking& blocking, std::int64_t threads)
      : Tiling(s, scheme), by_tiles(tiles > most_shared || tiles >= k) {
    if (by_tiles) {
      pass_k = even(k, weight_bytes / (4 * weight_points * c), lanes);
      pass_tiles = std::min(tiles, sum_bytes / (4 * pass_k));
      unit_k = pass_k;
      unit_c = even(c, 256, lanes);
      bundles = unit_c < c ? divide_up(pass_k, bundle) : 1;
      const std::int64_t most = scratch_bytes / (4 * points * (unit_c + (bundles + 1) * bundle));
      // Few tiles give every thread some units.
      const std::int64_t share = divide_up(pass_tiles, 3 * threads) + blocking.rows - 1;
      unit_tiles = even(pass_tiles, std::min({most, share, blocking.tiles}), blocking.rows);
    } else {
      pass_k = k;
      pass_tiles = even(tiles, image_bytes / (4 * points * c), 1);
      unit_k = k > bundle * threads ? bundle : lanes;
      unit_c = even(c, 4096 / unit_k, lanes);
      bundles = 1;
      unit_tiles = pass_tiles;
    }
    const std::int64_t weight_c = by_tiles ? c : unit_c, in_c = by_tiles ? unit_c : c;
    weight_group = weight_c * lanes;
    weight_plane = plane(weight_c * unit_k);
    in_group = unit_tiles * lanes;
    in_plane = plane(unit_tiles * in_c);
    out_plane = plane(unit_tiles * std::min(bundle, unit_k));
    if (scheme.edges) {
      const std::int64_t blocks = s.n * Edges(s).blocks();
      edge_units = by_tiles ? blocks : 0;
      edge_sums = 3 * (Edges::block + 1) * bundle * (by_tiles ? 1 : blocks);
    }
  }

  // Return a multiple of `unit` of up to `most`, at least one unit, that divides n evenly.
  static std::int64_t even(std::int64_t n, std::int64_t most, std::int64_t unit) {
    most = std::max(most / unit * unit, unit);
    return rounded_up(divide_up(n, divide_up(n, most)), unit);
  }

  std::int64_t weight_elements() const { return weight_points * weight_plane; }
  std::int64_t in_elements() const { return points * in_plane; }
  std::int64_t out_elements() const { return bundles * points * out_plane; }

  std::int64_t shared() const { return by_tiles ? weight_elements() : in_elements(); }
  std::int64_t sums() const { return pass_tiles * pass_k; }
  std::int64_t scratch() const {
    const std::int64_t operand = by_tiles ? in_elements() : weight_elements();
    return rounded_up(operand + out_elements() + edge_sums, lanes);
  }

  // Units of the stage before, which transforms the shared operand.
  std::int64_t first_units(const Pass& p) const {
    return by_tiles ? p.ks / lanes : divide_up(p.tiles, first_tiles);
  }
  static constexpr std::int64_t first_tiles = 4;

  std::int64_t units(const Pass& p) const {
    const std::int64_t edges = p.first_tile == 0 ? edge_units : 0;
    return edges + (by_tiles ? divide_up(p.tiles, unit_tiles) : divide_up(p.ks, unit_k));
  }
};

// Division of the gradient of the weights. A unit is some input channels by some output channels;
// it transforms both images on its own and shares nothing.
//
// Sums run over blocks of tiles, then points, then tiles. So the block may not depend on the number
// of threads.
struct GradientCut : Tiling {
  std::int64_t block;           // tiles at once
  std::int64_t unit_c, unit_k;  // sizes of a unit
  std::int64_t weight_plane, in_plane, out_plane;

  GradientCut(const Shape& s, const Scheme& scheme, std::int64_t threads)
      : Tiling(s, scheme), block(std::min<std::int64_t>(tiles, points > 36 ? 24 : 56)), unit_c(64),
        unit_k(64) {
    while (unit_c > lanes && units() < 2 * threads) {
      (unit_c < unit_k ? unit_k : unit_c) /= 2;
    }
    unit_c = Cut::even(c, unit_c, lanes);
    unit_k = Cut::even(k, unit_k, lanes);
    weight_plane = plane(unit_c * unit_k);
    in_plane = plane(unit_c * block);
    out_plane = plane(unit_k * block);
  }

  std::int64_t scratch() const {
    return weight_points * weight_plane + points * (in_plane + out_plane);
  }
  std::int64_t units() const { return divide_up(c, unit_c) * divide_up(k, unit_k); }
};

struct Buffers {
  float* shared;       // transformed weights, or image
  float* sums;         // [pass_tiles, pass_k], per tile, if a sum over pixels is needed
  const float* zeros;  // a pixel
  float* scratch;      // of the running thread
};

using ForwardUnit =
    void (*)(const Forward&, const Cut&, const Pass&, const Buffers&, std::int64_t unit);
using GradientUnit = void (*)(
    const WeightGradient&, const GradientCut&, const float* zeros, float* scratch,
    std::int64_t unit);

// `shared` transforms the operand that the units share. Units of `sums` are groups of channels.
struct ForwardKernels {
  ForwardUnit shared, unit, sums;
};

using ConvertLayout = void (*)(
    const float* from, float* to, bool to_channels_last, std::int64_t c, std::int64_t pixels,
    std::int64_t first, std::int64_t last);

struct Kernels {
  Blocking blocking;
  ForwardKernels convolution, upsampling, downsampling;
  GradientUnit gradient, downsampling_gradient;
  ConvertLayout convert_layout;
};

}  // namespace fg::winograd

FG_DECLARE_PER_LEVEL(winograd::Kernels, winograd_kernels)
