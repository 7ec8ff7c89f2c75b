// Reading and writing of element blocks for the CPU kernels. Half types become float in a buffer
// that stays in L1.
// All functions are local to the including file, which is compiled for several instruction sets.
// The linker would keep one copy of a shared function, of any instruction set.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "dtype.h"
#include "integers.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define FG_LOCAL static inline __attribute__((always_inline))

// Put this before a loop that reads nothing it writes: compilers can't prove it of many pointers.
#if defined(__clang__)
#define FG_NO_ALIAS _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define FG_NO_ALIAS _Pragma("GCC ivdep")
#else
#define FG_NO_ALIAS
#endif

namespace fg {

struct f16 {
  std::uint16_t bits;
};
struct bf16 {
  std::uint16_t bits;
};

// Results of this size are stored past the cache. A smaller one is still cached when it is read.
constexpr bool is_worth_streaming(DType dtype, std::int64_t elements) {
  return elements * bytes_of(dtype) >= std::int64_t{16} << 20;
}

// Elements; L1 holds a handful of such buffers.
inline constexpr int block_size = 512;

// Call f(first element, n) for every block of `length` elements.
template <int Size = block_size, class F>
FG_LOCAL void for_each_block(std::int64_t length, F&& f) {
  for (std::int64_t at = 0; at < length; at += Size) {
    f(at, static_cast<int>(std::min<std::int64_t>(Size, length - at)));
  }
}

FG_LOCAL float widen(bf16 h) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(h.bits) << 16);
}

FG_LOCAL bf16 narrow_bf16(float f) {
  const std::uint32_t u = std::bit_cast<std::uint32_t>(f);
  const std::uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;  // to nearest even
  return {static_cast<std::uint16_t>(f != f ? 0x7fc0u : rounded)};
}

FG_LOCAL float widen(f16 h) {
  const std::uint32_t magnitude = static_cast<std::uint32_t>(h.bits & 0x7fffu) << 13;
  const std::uint32_t sign = static_cast<std::uint32_t>(h.bits & 0x8000u) << 16;
  // A multiplication changes the exponent's bias from 15 to 127; it is right for denormals too.
  const float scaled = std::bit_cast<float>(magnitude) * 0x1p112f;
  const bool special = magnitude >= 0x0f800000u;  // infinity or NaN
  const std::uint32_t bits =
      special ? magnitude | 0x7f800000u : std::bit_cast<std::uint32_t>(scaled);
  return std::bit_cast<float>(bits | sign);
}

FG_LOCAL f16 narrow_f16(float f) {
  const std::uint32_t u = std::bit_cast<std::uint32_t>(f), sign = (u >> 16) & 0x8000u,
                      magnitude = u & 0x7fffffffu;
  // Adding 2^(e+13) makes the float unit round to nearest even at the last bit that float16 keeps.
  // Below the normal range that bit is always 2^-24.
  const std::uint32_t exponent = magnitude & 0x7f800000u;
  const std::uint32_t clipped = exponent < 0x38800000u   ? 0x38800000u
                                : exponent > 0x47800000u ? 0x47800000u
                                                         : exponent;
  const float anchor = std::bit_cast<float>(clipped + (13u << 23));
  const float sum = std::bit_cast<float>(magnitude) + anchor;
  const std::uint32_t steps =
      std::bit_cast<std::uint32_t>(sum) - std::bit_cast<std::uint32_t>(anchor);
  // The exponent field of the result, less its implicit one.
  const std::uint32_t base = (clipped - 0x38800000u) >> 13;
  const std::uint32_t finite = base + steps;
  const std::uint32_t capped = finite > 0x7c00u ? 0x7c00u : finite;
  const std::uint32_t nan = 0x7e00u;
  const std::uint32_t bits = magnitude > 0x7f800000u    ? nan
                             : magnitude >= 0x47800000u ? 0x7c00u
                                                        : capped;
  return {static_cast<std::uint16_t>(bits | sign)};
}

FG_LOCAL const float* widen_into(const bf16* p, float* buffer, int n) {
  for (int i = 0; i < n; ++i) {
    buffer[i] = widen(p[i]);
  }
  return buffer;
}

FG_LOCAL const float* widen_into(const f16* p, float* buffer, int n) {
  int i = 0;
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8) {
    _mm256_storeu_ps(
        buffer + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + i))));
  }
#endif
  for (; i < n; ++i) {
    buffer[i] = widen(p[i]);
  }
  return buffer;
}

// Store past the cache: a result too large for the cache needn't fetch lines before writing them.
template <class T>
FG_LOCAL void stream(T* p, const T* from, int n) {
#if defined(__SSE2__)
  auto* to = reinterpret_cast<char*>(p);
  const auto* source = reinterpret_cast<const char*>(from);
  std::size_t bytes = static_cast<std::size_t>(n) * sizeof(T);
  std::size_t head = (64 - reinterpret_cast<std::uintptr_t>(to) % 64) % 64;
  head = head < bytes ? head : bytes;
  std::memcpy(to, source, head);
  std::size_t i = head;
#if defined(__AVX__)
  for (; i + 32 <= bytes; i += 32) {
    _mm256_stream_si256(
        reinterpret_cast<__m256i*>(to + i),
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source + i)));
  }
#else
  for (; i + 16 <= bytes; i += 16) {
    _mm_stream_si128(
        reinterpret_cast<__m128i*>(to + i),
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + i)));
  }
#endif
  std::memcpy(to + i, source + i, bytes - i);
#else
  std::memcpy(p, from, static_cast<std::size_t>(n) * sizeof(T));
#endif
}

FG_LOCAL void stream_fence() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

// Run one of two kernels by the dtype of its arguments. Streamed results are then in memory.
template <auto Single, auto Double, class Arguments, class... Params>
static void by_dtype(const Arguments& a, Params... params) {
  (a.dtype == DType::f64 ? Double : Single)(a, params...);
  stream_fence();
}

template <class T>
FG_LOCAL void put(T* p, const T* from, int n, bool streaming) {
  if (streaming) {
    stream(p, from, n);
  } else {
    std::memcpy(p, from, static_cast<std::size_t>(n) * sizeof(T));
  }
}

FG_LOCAL void narrow_and_put(bf16* p, const float* computed, int n, bool streaming) {
  bf16 narrow[block_size];
  for (int i = 0; i < n; ++i) {
    narrow[i] = narrow_bf16(computed[i]);
  }
  put(p, narrow, n, streaming);
}

FG_LOCAL void narrow_and_put(f16* p, const float* computed, int n, bool streaming) {
  f16 narrow[block_size];
  int i = 0;
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8) {
    _mm_storeu_si128(
        reinterpret_cast<__m128i*>(narrow + i),
        _mm256_cvtps_ph(_mm256_loadu_ps(computed + i), _MM_FROUND_TO_NEAREST_INT));
  }
#endif
  for (; i < n; ++i) {
    narrow[i] = narrow_f16(computed[i]);
  }
  put(p, narrow, n, streaming);
}

// The same for a run-time type, from element `first` on. R is double for f64, else float.

FG_LOCAL const float* load(DType dtype, const void* p, std::int64_t first, float* buffer, int n) {
  switch (dtype) {
    case DType::f16:
      return widen_into(as<f16>(p) + first, buffer, n);
    case DType::bf16:
      return widen_into(as<bf16>(p) + first, buffer, n);
    default:
      return as<float>(p) + first;
  }
}

FG_LOCAL const double* load(DType, const void* p, std::int64_t first, double*, int) {
  return as<double>(p) + first;
}

// Set `to` to `length` elements.
template <class R>
FG_LOCAL void load_into(
    R* to, DType dtype, const void* p, std::int64_t first, std::int64_t length) {
  for_each_block(length, [&](std::int64_t at, int n) {
    const R* const from = load(dtype, p, first + at, to + at, n);
    if (from != to + at) {
      std::copy_n(from, n, to + at);
    }
  });
}

// Return one number, or `if_absent` if `p` is null.
template <class R>
FG_LOCAL R load_one(DType dtype, const void* p, std::int64_t at, R if_absent = R(0)) {
  R one[1];
  return p ? *load(dtype, p, at, one, 1) : if_absent;
}

// Return the place to compute a block of results: the result itself if possible, else the buffer,
// which `store` then writes.
template <class R>
FG_LOCAL R* target(DType dtype, void* p, std::int64_t first, R* buffer, bool streaming) {
  const bool in_place = !streaming && dtype != DType::f16 && dtype != DType::bf16;
  return in_place ? as<R>(p) + first : buffer;
}

template <class R>
FG_LOCAL void store(
    DType dtype, void* p, std::int64_t first, const R* computed, int n, bool streaming) {
  if constexpr (sizeof(R) == sizeof(float)) {
    if (dtype == DType::f16) {
      return narrow_and_put(as<f16>(p) + first, computed, n, streaming);
    }
    if (dtype == DType::bf16) {
      return narrow_and_put(as<bf16>(p) + first, computed, n, streaming);
    }
  }
  if (streaming) {
    stream(as<R>(p) + first, computed, n);
  }
}

// Return Σ term(i) over i < n, added up in 32 interleaved lanes, which hide the latency of
// additions. The order is always the same, and compilers vectorise it without being allowed to
// reorder. `before(i)` is called every 32 terms.
template <class R, class Term, class Before>
FG_LOCAL R sum_of(int n, Term term, Before before) {
  constexpr int lanes = 32;
  R lane[lanes] = {};
  int i = 0;
  for (; i + lanes <= n; i += lanes) {
    before(i);
    for (int j = 0; j < lanes; ++j) {
      lane[j] += term(i + j);
    }
  }
  for (int j = 0; i + j < n; ++j) {
    lane[j] += term(i + j);
  }
  for (int width = lanes / 2; width > 0; width /= 2) {
    for (int j = 0; j < width; ++j) {
      lane[j] += lane[j + width];
    }
  }
  return lane[0];
}

template <class R>
FG_LOCAL R sum(const R* p, int n) {
  return sum_of<R>(n, [=](int i) { return p[i]; }, [](int) {});
}

// Return Σ a·b.
template <class R>
FG_LOCAL R dot(const R* a, const R* b, int n) {
  return sum_of<R>(n, [=](int i) { return a[i] * b[i]; }, [](int) {});
}

}  // namespace fg
