// Convolutions and gradients of images.
#include "tiles.h"

namespace fg::amx {
namespace {

constexpr std::int64_t most_steps = block_depth / tile_depth;

// A pixel of a walk: its place in both images, and its coordinates in the input before a tap's
// offset.
struct Pixel {
  const Bits* in;
  Bits* out;
  std::int32_t y, x;
};

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

}  // namespace fg::amx
