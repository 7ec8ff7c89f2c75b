// Tile registers and vectors of the kernels, for the files that are compiled for AMX. They share no
// inline function with others, so all of these are static.
#pragma once

#include "problem.h"

#include <cstdlib>
#include <immintrin.h>
#include <new>

#define FG_LOCAL static inline __attribute__((always_inline))

namespace fg::amx {
namespace {

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

// Test if a pixel lies in an image.
FG_LOCAL bool is_inside(std::int64_t y, std::int64_t x, std::int64_t h, std::int64_t w) {
  return static_cast<std::uint64_t>(y) < static_cast<std::uint64_t>(h) &&
         static_cast<std::uint64_t>(x) < static_cast<std::uint64_t>(w);
}

alignas(64) const Bits zeros[tile_depth] = {};

}  // namespace
}  // namespace fg::amx
