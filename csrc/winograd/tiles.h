// Tiles of an image, as vectors of channels.
#pragma once

#include "cpu_kernel.h"
#include "vector.h"

namespace fg::FG_CPU_LEVEL {
namespace {

using namespace fg::winograd;
using std::int64_t;

struct Tile {
  int64_t n, y, x;  // sample, and position of the tile in it

  Tile(const Tiling& tiling, int64_t t)
      : n(t / (tiling.across * tiling.down)), y(t / tiling.across % tiling.down),
        x(t % tiling.across) {}
};

// Return the number of existing channels in a group of lanes. Others are read as zero and not
// written.
FG_LOCAL int valid_lanes(int64_t first, int64_t channels) {
  return static_cast<int>(channels - first < lanes ? channels - first : lanes);
}

FG_LOCAL void copy_lanes(float* to, const float* from, int n) {
  for (int i = 0; i < lanes; ++i) {
    to[i] = i < n ? from[i] : 0.f;
  }
}

// Size x Size pixels from (y, x) on of an image [h, w, channels]. Pixels outside are zeros.
template <int Size>
struct Pixels {
  const float* pixel[Size * Size];
  alignas(64) float padded[Size * Size][lanes];

  FG_LOCAL void set(
      Pixels& p, const float* image, const float* zeros, int64_t h, int64_t w, int64_t channels,
      int64_t y, int64_t x) {
    for (int i = 0; i < Size; ++i) {
      for (int j = 0; j < Size; ++j) {
        const bool inside = y + i >= 0 && y + i < h && x + j >= 0 && x + j < w;
        p.pixel[i * Size + j] = inside ? image + ((y + i) * w + x + j) * channels : zeros;
      }
    }
  }

  // Call f(get), where get(i, j, v) returns a pixel's lanes from v on of a group of channels.
  template <class F>
  FG_LOCAL void at(Pixels& p, int64_t first, int64_t channels, F f) {
    if (const int valid = valid_lanes(first, channels); valid < lanes) {
      for (int i = 0; i < Size * Size; ++i) {
        copy_lanes(p.padded[i], p.pixel[i] + first, valid);
      }
      f([&](int i, int j, int v) { return load(p.padded[i * Size + j] + v); });
    } else {
      f([&](int i, int j, int v) { return load(p.pixel[i * Size + j] + first + v); });
    }
  }
};

// Transform the columns and then the rows of the values of get(i, j). put(i, j, value) stores
// results.
template <int From, int To, class Transform, class Get, class Put>
FG_LOCAL void in_two_dimensions(Transform transform, Get get, Put put) {
  vec between[To][From];
#pragma GCC unroll 9
  for (int j = 0; j < From; ++j) {
    vec column[From], o[To];
#pragma GCC unroll 9
    for (int i = 0; i < From; ++i) {
      column[i] = get(i, j);
    }
    transform(column, o);
#pragma GCC unroll 9
    for (int i = 0; i < To; ++i) {
      between[i][j] = o[i];
    }
  }
#pragma GCC unroll 9
  for (int i = 0; i < To; ++i) {
    vec o[To];
    transform(between[i], o);
#pragma GCC unroll 9
    for (int j = 0; j < To; ++j) {
      put(i, j, o[j]);
    }
  }
}

// Transform tiles of `cs` channels, a multiple of 16 or up to the last, of an image x·style to
// [point][c / 16][tile][16].
template <class S>
FG_LOCAL void transform_tiles(
    const Shape& s, const Tiling& tiling, const float* x, const float* style, const float* zeros,
    int64_t first_tile, int64_t tiles, int64_t first_c, int64_t cs, float* in, int64_t in_plane,
    int64_t in_group) {
  Pixels<S::inputs> pixels;
  alignas(64) float factors[lanes];
  std::fill_n(factors, lanes, 1.f);
  for (int64_t t = 0; t < tiles; ++t) {
    const Tile tile(tiling, first_tile + t);
    pixels.set(
        pixels, x + tile.n * s.h * s.w * s.c, zeros, s.h, s.w, s.c,
        tile.y * S::step + S::first - s.pad_y, tile.x * S::step + S::first - s.pad_x);
    for (int64_t c = 0; c < cs; c += lanes) {
      if (style) {
        copy_lanes(factors, style + tile.n * s.c + first_c + c, valid_lanes(first_c + c, s.c));
      }
      pixels.at(pixels, first_c + c, s.c, [&](auto get) {
        for (int v = 0; v < lanes; v += width) {
          float* const to = in + c / lanes * in_group + t * lanes + v;
          const vec factor = load(factors + v);
          in_two_dimensions<S::inputs, S::points>(
              S::input, [&](int i, int j) { return get(i, j, v) * factor; },
              [&](int i, int j, vec o) { store(to + (i * S::points + j) * in_plane, o); });
        }
      });
    }
  }
}

}  // namespace
}  // namespace fg::FG_CPU_LEVEL
