// Gradients of weights.
#include "tiles.h"

namespace fg::amx {
namespace {

constexpr std::int64_t chunk_steps = 16, chunk_places = chunk_steps * tile_depth;

std::int64_t places_of(const WeightGradient& a) { return a.shape.n * a.grid_h * a.grid_w; }

// Tiles of 16 channels in a unit: few enough for the sums to stay in L2, and for four units.
FG_LOCAL std::int64_t unit_tiles(const Geometry& g) {
  constexpr std::int64_t memory = 768 << 10;
  const std::int64_t one = tiles_of(g.k, tile_rows) * tile_rows * g.kh * g.kw * tile_rows * 4;
  return most(1, least(memory / one, tiles_of(g.c, tile_rows) / 4));
}

// Place in the grid, from `first` on row by row.
struct Walker {
  std::int64_t image, row, column;

  Walker(const WeightGradient& a, std::int64_t first)
      : image(first / a.grid_w / a.grid_h), row(first / a.grid_w % a.grid_h),
        column(first % a.grid_w) {}

  void next_row(const WeightGradient& a) {
    column = 0;
    if (++row == a.grid_h) {
      row = 0;
      ++image;
    }
  }
};

// List the image's pixels at `count` places, null where there are zeros.
FG_LOCAL void list_pixels(
    const WeightGradient& a, const Phase& phase, std::int64_t first, std::int64_t count,
    const Bits** to) {
  const Geometry& g = a.shape;
  const std::int64_t channels = g.groups * g.c;
  Walker at(a, first);
  for (std::int64_t i = 0; i < count; at.next_row(a)) {
    const std::int64_t y = (at.row - a.top) * g.stride_y + phase.y;
    const bool is_there = at.image < g.n && y >= 0 && y < g.h;
    const Bits* const row = a.x + (at.image * g.h + y) * g.w * channels;
    std::int64_t x = (at.column - a.left) * g.stride_x + phase.x;
    for (const std::int64_t end = least(count, i + a.grid_w - at.column); i < end; ++i) {
      to[i] = is_there && x >= 0 && x < g.w ? row + x * channels : nullptr;
      x += g.stride_x;
    }
  }
}

// List the gradient's pixels at a tile's places.
FG_LOCAL void list_results(const WeightGradient& a, std::int64_t first, const Bits** to) {
  const Geometry& g = a.shape;
  const std::int64_t channels = g.groups * g.k;
  Walker at(a, first);
  for (std::int64_t i = 0; i < tile_depth; at.next_row(a)) {
    const bool is_there = at.image < g.n && at.row < g.oh;
    const Bits* const row = a.dy + (at.image * g.oh + at.row) * g.ow * channels;
    const std::int64_t end = least(tile_depth, i + a.grid_w - at.column);
    for (std::int64_t x = at.column; i < end; ++i, ++x) {
      to[i] = is_there && x < g.ow ? row + x * channels : nullptr;
    }
  }
}

// Return 16 channels of a pixel as the low halves of 16 numbers.
FG_LOCAL __m512i low_halves(const Bits* pixel, std::int64_t channel, __mmask16 mask) {
  return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, pixel ? pixel + channel : zeros));
}

// Pack pairs of pixels, from even places to `even` and from odd ones to `odd`.
FG_LOCAL void pack_pairs(
    const Bits* const* pixels, std::int64_t pairs, std::int64_t channel, __mmask16 mask, Bits* even,
    Bits* odd) {
  __m512i a = low_halves(pixels[0], channel, mask);
  for (std::int64_t i = 0; i < pairs; ++i) {
    const __m512i b = low_halves(pixels[2 * i + 1], channel, mask);
    const __m512i c = low_halves(pixels[2 * i + 2], channel, mask);
    _mm512_store_si512(even + i * tile_depth, _mm512_or_si512(a, _mm512_slli_epi32(b, 16)));
    _mm512_store_si512(odd + i * tile_depth, _mm512_or_si512(b, _mm512_slli_epi32(c, 16)));
    a = c;
  }
}

// Write the sums of channels [c, c + 16 · tiles) of a group as gradients. Sums are blocks [tiles of
// columns / 2][k / 32][32 of k, 16 of c for each of two tiles].
FG_LOCAL void write_gradient(
    const WeightGradient& a, std::int64_t group, std::int64_t c, std::int64_t wide,
    const float* sums) {
  const Geometry& g = a.shape;
  const std::int64_t taps = g.kh * g.kw, tall = tiles_of(g.k, tile_rows);
  for (std::int64_t k = 0; k < g.k; ++k) {
    const float* const row = sums + k / 32 * 1024 + k % 32 * 32;
    for (std::int64_t n = 0; n < wide; n += taps) {
      const std::int64_t from = c + n / taps * tile_rows;
      Bits* const to = a.dw + ((group * g.k + k) * g.c + from) * taps;
      for (std::int64_t t = 0; t < taps; t += 16) {
        __m512i rows[16];
        for (std::int64_t i = 0; i < 16; ++i) {
          const std::int64_t tile = n + t + i;
          rows[i] =
              t + i < taps
                  ? _mm512_load_si512(row + tile / 2 * tiles_of(tall, 2) * 1024 + tile % 2 * 16)
                  : _mm512_setzero_si512();
        }
        transpose(rows);
        const __mmask16 present = first_bits16(taps - t);
        for (std::int64_t i = 0; i < least(tile_rows, g.c - from); ++i) {
          _mm256_mask_storeu_epi16(
              to + i * taps + t, present,
              (__m256i)_mm512_cvtneps_pbh(_mm512_castsi512_ps(rows[i])));
        }
      }
    }
  }
}

}  // namespace

std::int64_t column_tiles(const WeightGradient& a) { return tiles_of(places_of(a), tile_depth); }

std::int64_t packed_columns(const WeightGradient& a) {
  return a.shape.groups * tiles_of(a.shape.k, tile_rows) * column_tiles(a) * tile_size;
}

void pack_columns(const WeightGradient& a, std::int64_t first, std::int64_t last) {
  const Geometry& g = a.shape;
  const std::int64_t tall = tiles_of(g.k, tile_rows), steps = column_tiles(a);
  for (std::int64_t s = first; s < last; ++s) {
    const Bits* pixels[tile_depth];
    list_results(a, s * tile_depth, pixels);
    for (std::int64_t group = 0; group < g.groups; ++group) {
      for (std::int64_t m = 0; m < tall; ++m) {
        const __mmask16 mask = first_bits16(g.k - m * tile_rows);
        const std::int64_t channel = group * g.k + m * tile_rows;
        __m512i rows[16];
        for (std::int64_t i = 0; i < 16; ++i) {
          rows[i] = _mm512_or_si512(
              low_halves(pixels[2 * i], channel, mask),
              _mm512_slli_epi32(low_halves(pixels[2 * i + 1], channel, mask), 16));
        }
        transpose(rows);
        Bits* const to = a.columns + ((group * tall + m) * steps + s) * tile_size;
        for (std::int64_t i = 0; i < 16; ++i) {
          _mm512_store_si512(to + i * tile_depth, rows[i]);
        }
      }
    }
  }
}

std::int64_t weight_units(const Geometry& g) {
  return g.groups * tiles_of(tiles_of(g.c, tile_rows), unit_tiles(g));
}

void run_weight_gradient(const WeightGradient& a, std::int64_t first, std::int64_t last) {
  const Geometry g = a.shape;
  const std::int64_t taps = g.kh * g.kw, tall = tiles_of(g.k, tile_rows),
                     all_steps = column_tiles(a);
  const std::int64_t in_unit = unit_tiles(g), units = tiles_of(tiles_of(g.c, tile_rows), in_unit);
  // Pairs of a chunk's places and of those that taps reach behind them.
  const std::int64_t most_pairs = chunk_places / 2 + a.reach / 2 + 1, panel = most_pairs * 64;
  const std::int64_t blocks = tiles_of(tall, 2) * tiles_of(taps * in_unit, 2);
  const std::int64_t panels = in_unit * a.phase_count * 2 * panel;
  auto* const memory = static_cast<char*>(scratch.of(
      static_cast<std::size_t>(
          panels + blocks * 4096 + (2 * most_pairs + 1) * std::int64_t{sizeof(Bits*)})));
  auto* const packed = reinterpret_cast<Bits*>(memory);
  auto* const sums = reinterpret_cast<float*>(memory + panels);
  auto* const pixels = reinterpret_cast<const Bits**>(memory + panels + blocks * 4096);
  std::int64_t offsets[chunk_steps];
  for (std::int64_t i = 0; i < chunk_steps; ++i) {
    offsets[i] = i * tile_size;
  }
  const Tiles tiles;
  for (std::int64_t unit = first; unit < last; ++unit) {
    const std::int64_t group = unit / units, c = unit % units * in_unit * tile_rows;
    const std::int64_t deep = tiles_of(least(in_unit * tile_rows, g.c - c), tile_rows);
    const std::int64_t wide = deep * taps;
    for (std::int64_t s = 0; s < all_steps; s += chunk_steps) {
      const std::int64_t steps = least(chunk_steps, all_steps - s);
      const std::int64_t pairs = steps * tile_rows + a.reach / 2 + 1;
      for (std::int64_t p = 0; p < a.phase_count; ++p) {
        list_pixels(a, a.phases[p], s * tile_depth, 2 * pairs + 1, pixels);
        for (std::int64_t i = 0; i < deep; ++i) {
          const std::int64_t from = c + i * tile_rows;
          Bits* const even = packed + (i * a.phase_count + p) * panel;
          pack_pairs(
              pixels, pairs, group * g.c + from, first_bits16(g.c - from), even, even + panel / 2);
        }
      }
      // Return the tiles of a tap and of 16 channels.
      const auto tiles_at = [&](std::int64_t n) -> const Bits* {
        const Reached& tap = a.taps[n % taps];
        return packed + (n / taps * a.phase_count + tap.phase) * panel +
               tap.places % 2 * (panel / 2) + tap.places / 2 * tile_depth;
      };
      float* sum = sums;
      for (std::int64_t n = 0; n < wide; n += 2) {
        const std::int64_t both = least(2, wide - n);
        const Bits* const b = tiles_at(n);
        const std::int64_t of_b_tile = both > 1 ? tiles_at(n + 1) - b : 0;
        for (std::int64_t m = 0; m < tall; m += 2) {
          const Bits* const left = a.columns + ((group * tall + m) * all_steps + s) * tile_size;
          multiply(
              tall - m, both, {left, left + all_steps * tile_size, tile_depth, offsets}, b,
              of_b_tile, steps, sum, s == 0);
          sum += 1024;
        }
      }
    }
    write_gradient(a, group, c, wide, sums);
  }
}

}  // namespace fg::amx
