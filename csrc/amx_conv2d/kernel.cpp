// The kernels. This file alone is compiled for AMX and shares no inline function with others.
#include "problem.h"

#include <cstdlib>
#include <immintrin.h>
#include <new>

#define FG_LOCAL static inline __attribute__((always_inline))

namespace fg::amx {
namespace {

constexpr std::int64_t most_steps = block_depth / tile_depth;

FG_LOCAL std::int64_t tiles_of(std::int64_t n, std::int64_t size) { return (n + size - 1) / size; }
FG_LOCAL std::int64_t least(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
FG_LOCAL std::int64_t most(std::int64_t a, std::int64_t b) { return a > b ? a : b; }

// Memory of a thread, which it keeps.
struct Scratch {
  void* data = nullptr;
  std::size_t bytes = 0;

  void* of(std::size_t wanted) {
    if (wanted > bytes) {
      std::free(data);
      bytes = (wanted + 4095) / 4096 * 4096;
      data = std::aligned_alloc(64, bytes);
      if (data == nullptr) {
        throw std::bad_alloc();
      }
    }
    return data;
  }
  ~Scratch() { std::free(data); }
};

thread_local Scratch scratch;

// Registers of 16 rows of 64 bytes, while this lives.
struct Tiles {
  Tiles() {
    alignas(64) struct {
      std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
      std::uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } config;
    _tile_loadconfig(&config);
  }
  ~Tiles() { _tile_release(); }
};

// Left side of a product: two tiles of rows `of_row` elements apart. A tile's place along the depth
// is its `offsets` element.
struct Left {
  const Bits *low, *high;
  std::int64_t of_row;
  const std::int64_t* offsets;
};

// c [32, 32] += a · b for two tiles of a and two of b along `steps` tiles of depth. With one tile,
// the other half isn't computed.
template <int M, int N>
FG_LOCAL void multiply(
    const Left& a, const Bits* b, std::int64_t of_b_tile, std::int64_t steps, float* c,
    bool first) {
  if (first) {
    _tile_zero(0);
    if (N > 1) _tile_zero(1);
    if (M > 1) _tile_zero(2);
    if (M > 1 && N > 1) _tile_zero(3);
  } else {
    _tile_loadd(0, c, 128);
    if (N > 1) _tile_loadd(1, c + 16, 128);
    if (M > 1) _tile_loadd(2, c + 512, 128);
    if (M > 1 && N > 1) _tile_loadd(3, c + 528, 128);
  }
  const std::int64_t row = a.of_row * 2;
  for (std::int64_t s = 0; s < steps; ++s) {
    _tile_loadd(4, a.low + a.offsets[s], row);
    _tile_loadd(6, b + s * tile_size, 64);
    _tile_dpbf16ps(0, 4, 6);
    if (N > 1) {
      _tile_loadd(7, b + of_b_tile + s * tile_size, 64);
      _tile_dpbf16ps(1, 4, 7);
    }
    if (M > 1) {
      _tile_loadd(5, a.high + a.offsets[s], row);
      _tile_dpbf16ps(2, 5, 6);
    }
    if (M > 1 && N > 1) {
      _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, c, 128);
  if (N > 1) _tile_stored(1, c + 16, 128);
  if (M > 1) _tile_stored(2, c + 512, 128);
  if (M > 1 && N > 1) _tile_stored(3, c + 528, 128);
}

FG_LOCAL void multiply(
    std::int64_t m, std::int64_t n, const Left& a, const Bits* b, std::int64_t of_b_tile,
    std::int64_t steps, float* c, bool first) {
  if (m > 1) {
    n > 1 ? multiply<2, 2>(a, b, of_b_tile, steps, c, first)
          : multiply<2, 1>(a, b, of_b_tile, steps, c, first);
  } else {
    n > 1 ? multiply<1, 2>(a, b, of_b_tile, steps, c, first)
          : multiply<1, 1>(a, b, of_b_tile, steps, c, first);
  }
}

// Transpose 16 x 16 numbers of 32 bits.
FG_LOCAL void transpose(__m512i r[16]) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    for (int j = 0; j < 2; ++j) {
      r[i + 2 * j] = _mm512_unpacklo_epi64(t[i + j], t[i + j + 2]);
      r[i + 2 * j + 1] = _mm512_unpackhi_epi64(t[i + j], t[i + j + 2]);
    }
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
  for (int i = 0; i < 8; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
  }
}

FG_LOCAL __mmask32 first_bits(std::int64_t n) { return n >= 32 ? 0xffffffffu : (1u << n) - 1u; }
FG_LOCAL __mmask16 first_bits16(std::int64_t n) {
  return static_cast<__mmask16>(n >= 16 ? 0xffffu : (1u << n) - 1u);
}

// Return pairs of `n` elements of two rows, either null for zeros.
FG_LOCAL __m512i pairs(const Bits* a, const Bits* b, __mmask16 mask) {
  const __m256i zero = _mm256_setzero_si256();
  const __m256i low = a ? _mm256_maskz_loadu_epi16(mask, a) : zero;
  const __m256i high = b ? _mm256_maskz_loadu_epi16(mask, b) : zero;
  return _mm512_or_si512(
      _mm512_cvtepu16_epi32(low), _mm512_slli_epi32(_mm512_cvtepu16_epi32(high), 16));
}

// A pixel of a walk: its place in both images, and its coordinates in the input before a tap's
// offset.
struct Pixel {
  const Bits* in;
  Bits* out;
  std::int32_t y, x;
};

// Test if a tap of a pixel lies in the image.
FG_LOCAL bool is_inside(std::int64_t y, std::int64_t x, std::int64_t h, std::int64_t w) {
  return static_cast<std::uint64_t>(y) < static_cast<std::uint64_t>(h) &&
         static_cast<std::uint64_t>(x) < static_cast<std::uint64_t>(w);
}

alignas(64) const Bits zeros[tile_depth] = {};

constexpr std::int64_t chunk_steps = 16, chunk_pixels = chunk_steps * tile_depth;

// A pixel of a weight gradient: the image's pixel under the kernel's corner.
struct Center {
  const Bits* x_at;
  std::int32_t y, x;
};

FG_LOCAL void list_places(
    const WeightGradient& a, Center* to, std::int64_t first, std::int64_t count) {
  const Geometry& g = a.shape;
  std::int64_t x = first % g.ow, y = first / g.ow % g.oh, image = first / g.ow / g.oh;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t in_y = y * g.stride_y, in_x = x * g.stride_x;
    to[i] = {
        a.x + ((image * g.h + in_y) * g.w + in_x) * g.c * g.groups, static_cast<std::int32_t>(in_y),
        static_cast<std::int32_t>(in_x)};
    if (++x == g.ow) {
      x = 0;
      if (++y == g.oh) {
        y = 0;
        ++image;
      }
    }
  }
}

// Tiles of 16 channels in a unit: few enough for the sums to stay in L2, and for four units.
FG_LOCAL std::int64_t unit_tiles(const Geometry& g) {
  constexpr std::int64_t memory = 768 << 10;
  const std::int64_t one = tiles_of(g.k, tile_rows) * tile_rows * g.kh * g.kw * tile_rows * 4;
  return most(1, least(memory / one, tiles_of(g.c, tile_rows) / 4));
}

// A walk's pixels from `first` on.
FG_LOCAL void list_pixels(const Walk& w, Pixel* to, std::int64_t first, std::int64_t count) {
  std::int64_t x = first % w.columns, y = first / w.columns % w.rows,
               image = first / w.columns / w.rows;
  const std::int64_t in_c = w.in_c * w.groups, out_c = w.out_c * w.groups;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t in_y = y * w.step_y, in_x = x * w.step_x;
    to[i] = {
        w.in + ((image * w.in_h + in_y) * w.in_w + in_x) * in_c,
        w.out +
            ((image * w.out_h + w.first_y + y * w.every_y) * w.out_w + w.first_x + x * w.every_x) *
                out_c,
        static_cast<std::int32_t>(in_y), static_cast<std::int32_t>(in_x)};
    if (++x == w.columns) {
      x = 0;
      if (++y == w.rows) {
        y = 0;
        ++image;
      }
    }
  }
}

// Offset of a walk's tap in its input.
struct Tap {
  std::int64_t y, x, in;
};

FG_LOCAL Tap tap_of(const Walk& w, std::int64_t t) {
  const std::int64_t y = w.at_y[t / w.taps_x], x = w.at_x[t % w.taps_x];
  return {y, x, (y * w.in_w + x) * w.in_c * w.groups};
}

// Return the channels of a pixel's tap, or null outside of the image.
FG_LOCAL const Bits* source_of(const Walk& w, const Pixel& p, const Tap& t) {
  return is_inside(p.y + t.y, p.x + t.x, w.in_h, w.in_w) ? p.in + t.in : nullptr;
}

// Pack depth [from, to) of the pixels' taps as tiles [pixels / 16][steps][16][32].
FG_LOCAL void pack_pixels(
    const Walk& w, std::int64_t group, const Pixel* pixels, std::int64_t count, std::int64_t from,
    std::int64_t to, std::int64_t steps, Bits* panel) {
  const std::int64_t c = w.in_c, end = least(to, w.depth), skipped = group * c;
  const __m512i zero = _mm512_setzero_si512();
  const bool whole = c % tile_depth == 0;
  for (std::int64_t m = 0; m < count; m += tile_rows) {
    const std::int64_t rows = least(tile_rows, count - m);
    Bits* const tiles = panel + m * steps * tile_depth;
    if (c == 16) {
      // Two taps fill a row.
      for (std::int64_t s = 0; s < steps; ++s) {
        const std::int64_t t = (from / tile_depth + s) * 2, taps = w.taps_y * w.taps_x;
        const Tap first = tap_of(w, t), second = tap_of(w, least(t + 1, taps - 1));
        for (std::int64_t i = 0; i < rows; ++i) {
          const Bits* const low = source_of(w, pixels[m + i], first);
          const Bits* const high = t + 1 < taps ? source_of(w, pixels[m + i], second) : nullptr;
          _mm512_store_si512(
              tiles + s * tile_size + i * tile_depth,
              _mm512_inserti64x4(
                  _mm512_castsi256_si512(_mm256_loadu_si256(
                      reinterpret_cast<const __m256i*>(low ? low + skipped : zeros))),
                  _mm256_loadu_si256(
                      reinterpret_cast<const __m256i*>(high ? high + skipped : zeros)),
                  1));
        }
      }
      continue;
    }
    for (std::int64_t t = from / c; t * c < end; ++t) {
      const std::int64_t lo = most(from, t * c), hi = least(end, (t + 1) * c);
      const std::int64_t at = lo - from, length = hi - lo;
      const Tap tap = tap_of(w, t);
      for (std::int64_t i = 0; i < rows; ++i) {
        const Bits* source = source_of(w, pixels[m + i], tap);
        const bool inside = source != nullptr;
        source += skipped + (lo - t * c);
        Bits* const row = tiles + i * tile_depth;
        if (whole) {
          Bits* place = row + at / tile_depth * tile_size;
          for (std::int64_t j = 0; j < length; j += tile_depth, place += tile_size) {
            _mm512_store_si512(place, inside ? _mm512_loadu_si512(source + j) : zero);
          }
          continue;
        }
        for (std::int64_t j = 0; j < length;) {
          const std::int64_t place = (at + j) % tile_depth;
          const std::int64_t n = least(length - j, tile_depth - place);
          const __mmask32 mask = first_bits(n);
          _mm512_mask_storeu_epi16(
              row + (at + j) / tile_depth * tile_size + place, mask,
              inside ? _mm512_maskz_loadu_epi16(mask, source + j) : zero);
          j += n;
        }
      }
    }
    // Zeros behind the depth: whatever is in memory there may be NaN.
    for (std::int64_t r = end - from; r < steps * tile_depth;) {
      const std::int64_t place = r % tile_depth;
      for (std::int64_t i = 0; i < tile_rows; ++i) {
        _mm512_mask_storeu_epi16(
            tiles + r / tile_depth * tile_size + i * tile_depth + place,
            first_bits(tile_depth - place), zero);
      }
      r += tile_depth - place;
    }
  }
}

// Write the block c [32, 32] of results: `m` pixels from `pixels` on, `n` channels from `at` on.
FG_LOCAL void write_block(
    const Pixel* pixels, std::int64_t m, std::int64_t at, std::int64_t n, const float* c) {
  const __mmask32 mask = first_bits(n);
  for (std::int64_t i = 0; i < m; ++i) {
    const __m512bh halves =
        _mm512_cvtne2ps_pbh(_mm512_load_ps(c + 32 * i + 16), _mm512_load_ps(c + 32 * i));
    _mm512_mask_storeu_epi16(pixels[i].out + at, mask, (__m512i)halves);
  }
}

}  // namespace

std::int64_t packed_weights(std::int64_t out, std::int64_t depth) {
  return tiles_of(out, tile_rows) * tiles_of(depth, tile_depth) * tile_size;
}

void pack_weights(
    const Geometry& g, const Weights& w, bool transposed, const Place* places, std::int64_t first,
    std::int64_t last) {
  const std::int64_t taps = g.kh * g.kw;
  const std::int64_t deep = transposed ? g.k : g.c, wide = transposed ? g.c : g.k;
  const std::int64_t of_deep = transposed ? w.of_k : w.of_c, of_wide = transposed ? w.of_c : w.of_k;
  alignas(64) Bits order[32];
  for (int i = 0; i < 16; ++i) {
    order[2 * i] = static_cast<Bits>(i);
    order[2 * i + 1] = static_cast<Bits>(16 + i);
  }
  const __m512i interleave = _mm512_load_si512(order);
  const __mmask16 mask = first_bits16(taps);
  for (std::int64_t group = first; group < last; ++group) {
    const Bits* const data = w.data + group * g.k * w.of_k;
    const auto to = [&](const Place& p, std::int64_t r, std::int64_t n) {
      const std::int64_t depth = p.first + r;
      return p.weights + group * p.in_group +
             (n / tile_rows * p.tiles + depth / tile_depth) * tile_size +
             depth % tile_depth / 2 * tile_depth + n % tile_rows * 2 + depth % 2;
    };
    for (std::int64_t n = 0; n < wide; n += tile_rows) {
      const std::int64_t columns = least(tile_rows, wide - n);
      const Bits* const from = data + n * of_wide;
      if (taps == 1 && of_deep == 1 && deep % tile_depth == 0) {
        for (std::int64_t r = 0; r < deep; r += tile_depth) {
          __m512i rows[16];
          for (int i = 0; i < 16; ++i) {
            rows[i] =
                i < columns ? _mm512_loadu_si512(from + i * of_wide + r) : _mm512_setzero_si512();
          }
          transpose(rows);
          for (int i = 0; i < 16; ++i) {
            _mm512_store_si512(to(*places, r + 2 * i, n), rows[i]);
          }
        }
      } else if (taps == 1 && of_wide == 1 && deep % 2 == 0) {
        for (std::int64_t r = 0; r < deep; r += 2) {
          _mm512_store_si512(
              to(*places, r, n),
              pairs(from + r * of_deep, from + (r + 1) * of_deep, first_bits16(columns)));
        }
      } else if (taps <= 16 && deep % 2 == 0) {
        for (std::int64_t r = 0; r < deep; r += 2) {
          __m512i rows[16];
          for (int i = 0; i < 16; ++i) {
            const Bits* const at = from + i * of_wide + r * of_deep;
            rows[i] = i < columns
                          ? _mm512_permutexvar_epi16(
                                interleave,
                                _mm512_inserti64x4(
                                    _mm512_castsi256_si512(_mm256_maskz_loadu_epi16(mask, at)),
                                    _mm256_maskz_loadu_epi16(mask, at + of_deep), 1))
                          : _mm512_setzero_si512();
          }
          transpose(rows);
          for (std::int64_t t = 0; t < taps; ++t) {
            _mm512_store_si512(to(places[t], r, n), rows[t]);
          }
        }
      } else {
        for (std::int64_t i = 0; i < columns; ++i) {
          for (std::int64_t r = 0; r < deep; ++r) {
            for (std::int64_t t = 0; t < taps; ++t) {
              *to(places[t], r, n + i) = from[i * of_wide + r * of_deep + t];
            }
          }
        }
      }
    }
  }
}

void run_walk(const Walk& walk, std::int64_t first, std::int64_t last) {
  const Walk w = walk;
  const std::int64_t all_steps = tiles_of(w.depth, tile_depth);
  const std::int64_t wide_tiles = tiles_of(w.out_c, tile_rows);
  const std::int64_t panel = block_pixels * block_depth * 2, block = 32 * 32 * 4;
  const std::int64_t blocks =
      all_steps > most_steps ? block_pixels / 32 * tiles_of(wide_tiles, 2) : 1;
  auto* const memory = static_cast<char*>(scratch.of(
      static_cast<std::size_t>(
          panel + blocks * block + block_pixels * std::int64_t{sizeof(Pixel)})));
  auto* const a = reinterpret_cast<Bits*>(memory);
  auto* const sums = reinterpret_cast<float*>(memory + panel);
  auto* const pixels = reinterpret_cast<Pixel*>(memory + panel + blocks * block);
  const Tiles tiles;
  for (std::int64_t unit = first; unit < last; ++unit) {
    const std::int64_t begin = unit * block_pixels;
    const std::int64_t count = least(block_pixels, w.pixels - begin);
    list_pixels(w, pixels, begin, count);
    const bool as_it_is = w.is_padded && count % 32 == 0;
    for (std::int64_t group = 0; group < w.groups; ++group) {
      const Bits* const b = w.weights + group * wide_tiles * all_steps * tile_size;
      for (std::int64_t s = 0; s < all_steps; s += most_steps) {
        const std::int64_t steps = least(most_steps, all_steps - s);
        std::int64_t offsets[most_steps];
        for (std::int64_t i = 0; i < steps; ++i) {
          const std::int64_t depth = (s + i) * tile_depth;
          offsets[i] = as_it_is ? tap_of(w, depth / w.in_c).in + group * w.in_c + depth % w.in_c
                                : i * tile_size;
        }
        if (!as_it_is) {
          pack_pixels(w, group, pixels, count, s * tile_depth, (s + steps) * tile_depth, steps, a);
        }
        float* sum = sums;
        for (std::int64_t n = 0; n < wide_tiles; n += 2) {
          for (std::int64_t m = 0; m < count; m += 32) {
            const Bits* const packed = a + m * steps * tile_depth;
            const Left left =
                as_it_is
                    ? Left{pixels[m].in, pixels[m + 16].in, w.step_x * w.in_c * w.groups, offsets}
                    : Left{packed, packed + steps * tile_size, tile_depth, offsets};
            multiply(
                tiles_of(count - m, tile_rows), wide_tiles - n, left,
                b + (n * all_steps + s) * tile_size, all_steps * tile_size, steps, sum, s == 0);
            if (s + steps == all_steps) {
              write_block(
                  pixels + m, least(32, count - m), group * w.out_c + n * tile_rows,
                  w.out_c - n * tile_rows, sum);
            }
            sum += blocks > 1 ? 1024 : 0;
          }
        }
      }
    }
  }
}

std::int64_t packed_columns(const Geometry& g) {
  return g.groups * tiles_of(g.k, tile_rows) * tiles_of(g.n * g.oh * g.ow, tile_depth) * tile_size;
}

void pack_columns(const WeightGradient& a, std::int64_t first, std::int64_t last) {
  const Geometry& g = a.shape;
  const std::int64_t pixels = g.n * g.oh * g.ow, channels = g.groups * g.k;
  const std::int64_t tall = tiles_of(g.k, tile_rows), steps = tiles_of(pixels, tile_depth);
  for (std::int64_t s = first; s < last; ++s) {
    for (std::int64_t group = 0; group < g.groups; ++group) {
      for (std::int64_t m = 0; m < tall; ++m) {
        const __mmask16 mask = first_bits16(g.k - m * tile_rows);
        __m512i rows[16];
        for (std::int64_t i = 0; i < 16; ++i) {
          const std::int64_t p = s * tile_depth + 2 * i;
          const Bits* const at = a.dy + p * channels + group * g.k + m * tile_rows;
          rows[i] =
              pairs(p < pixels ? at : nullptr, p + 1 < pixels ? at + channels : nullptr, mask);
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
  const std::int64_t taps = g.kh * g.kw, pixels = g.n * g.oh * g.ow, channels = g.groups * g.c;
  const std::int64_t tall = tiles_of(g.k, tile_rows), all_steps = tiles_of(pixels, tile_depth);
  const std::int64_t in_unit = unit_tiles(g), units = tiles_of(tiles_of(g.c, tile_rows), in_unit);
  const std::int64_t panel = 2 * chunk_pixels * tile_rows * 2;
  const std::int64_t blocks = tiles_of(tall, 2) * tiles_of(taps * in_unit, 2);
  auto* const memory = static_cast<char*>(scratch.of(
      static_cast<std::size_t>(
          panel + blocks * 4096 + chunk_pixels * std::int64_t{sizeof(Center)})));
  auto* const b = reinterpret_cast<Bits*>(memory);
  auto* const sums = reinterpret_cast<float*>(memory + panel);
  auto* const list = reinterpret_cast<Center*>(memory + panel + blocks * 4096);
  std::int64_t offsets[chunk_steps];
  for (std::int64_t i = 0; i < chunk_steps; ++i) {
    offsets[i] = i * tile_size;
  }
  const Tiles tiles;
  for (std::int64_t unit = first; unit < last; ++unit) {
    const std::int64_t group = unit / units, c = unit % units * in_unit * tile_rows;
    const std::int64_t wide = tiles_of(least(in_unit * tile_rows, g.c - c), tile_rows) * taps;
    for (std::int64_t s = 0; s < all_steps; s += chunk_steps) {
      const std::int64_t steps = least(chunk_steps, all_steps - s);
      const std::int64_t begin = s * tile_depth, count = least(chunk_pixels, pixels - begin);
      list_places(a, list, begin, count);
      float* sum = sums;
      for (std::int64_t n = 0; n < wide; n += 2) {
        const std::int64_t both = least(2, wide - n);
        for (std::int64_t i = 0; i < both; ++i) {
          const std::int64_t t = (n + i) % taps, from = c + (n + i) / taps * tile_rows;
          const std::int64_t ty = t / g.kw * g.dilation_y - g.pad_y,
                             tx = t % g.kw * g.dilation_x - g.pad_x;
          const std::int64_t offset = (ty * g.w + tx) * channels + group * g.c + from;
          const __mmask16 mask = first_bits16(g.c - from);
          const auto source = [&](std::int64_t p) -> const Bits* {
            return p < count && is_inside(list[p].y + ty, list[p].x + tx, g.h, g.w)
                       ? list[p].x_at + offset
                       : zeros;
          };
          Bits* const to = b + i * chunk_steps * tile_size;
          for (std::int64_t p = 0; p < steps * tile_depth; p += 2) {
            _mm512_store_si512(to + p * tile_rows, pairs(source(p), source(p + 1), mask));
          }
        }
        for (std::int64_t m = 0; m < tall; m += 2) {
          const Bits* const left = a.columns + ((group * tall + m) * all_steps + s) * tile_size;
          multiply(
              tall - m, both, {left, left + all_steps * tile_size, tile_depth, offsets}, b,
              chunk_steps * tile_size, steps, sum, s == 0);
          sum += 1024;
        }
      }
    }
    // sums are blocks [tiles of columns / 2][k / 32][32 of k, 16 of c for each of two tiles].
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
}

}  // namespace fg::amx
