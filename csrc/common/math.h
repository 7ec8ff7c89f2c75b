// The functions that activations need: exp and expm1 for x <= 0, and log1p for 0 <= x <= 1.
// On the host, those of float have a form that compilers vectorise in a plain loop. On the device
// they are the CUDA library's.
#pragma once

#include <cmath>

#if defined(FG_EMU) || defined(__CUDACC__)
#include "fg_platform.cuh"
#define FG_INLINE FG_HOST_DEVICE
#else
#include <bit>
#include <cstdint>
#define FG_INLINE inline __attribute__((always_inline))
#endif

namespace fg {

FG_INLINE double exp_(double x) { return ::exp(x); }
FG_INLINE double expm1_(double x) { return ::expm1(x); }
FG_INLINE double log1p_(double x) { return ::log1p(x); }

#if defined(FG_EMU) || defined(__CUDACC__)

FG_INLINE float exp_(float x) { return ::expf(x); }
FG_INLINE float expm1_(float x) { return ::expm1f(x); }
FG_INLINE float log1p_(float x) { return ::log1pf(x); }

#else

// Range reduction: x = n·ln 2 + r with |r| <= ln 2 / 2. Then e^x = 2^n · (1 + q), q = e^r - 1. The
// error is about 1 ulp.
struct Reduced {
  float q, scale;  // scale = 2^n, or 0 where e^x is below the normal range
};

FG_INLINE Reduced reduce_exp(float x) {
  const float above = x < -87.f ? -87.f : x;  // NaN passes
  constexpr float round_magic = 12582912.f;   // 1.5 · 2^23: adding it rounds to an integer
  const float n = (above * 1.44269504088896341f + round_magic) - round_magic;
  const float r = (above - n * 0.693359375f) - n * -2.12194440e-4f;
  float p = 1.f / 5040.f;
  p = p * r + 1.f / 720.f;
  p = p * r + 1.f / 120.f;
  p = p * r + 1.f / 24.f;
  p = p * r + 1.f / 6.f;
  p = p * r + 0.5f;
  const float scale = std::bit_cast<float>((static_cast<int>(n) + 127) << 23);
  return {p * r * r + r, x < -87.f ? 0.f : scale};
}

FG_INLINE float exp_(float x) {
  const Reduced e = reduce_exp(x);
  return e.scale + e.q * e.scale;
}

FG_INLINE float expm1_(float x) {
  const Reduced e = reduce_exp(x);
  return e.q * e.scale + (e.scale - 1.f);
}

// For 0 <= x <= 1: 2 artanh(x / (2 + x)), the series to s^15.
FG_INLINE float log1p_(float x) {
  const float s = x / (2.f + x), t = s * s;
  float p = 1.f / 15.f;
  p = p * t + 1.f / 13.f;
  p = p * t + 1.f / 11.f;
  p = p * t + 1.f / 9.f;
  p = p * t + 1.f / 7.f;
  p = p * t + 1.f / 5.f;
  p = p * t + 1.f / 3.f;
  return 2.f * s * (p * t + 1.f);
}

#endif

}  // namespace fg
