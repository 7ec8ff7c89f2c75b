// Minimal filtering in one dimension, as functions of vectors. Two dimensions are one after the other.
//
// A scheme computes `outputs` results from `inputs` values, which lie `step` values further on for the next tile, by
// `points` products with transformed weights: Y = Aᵀ[(G g) ∘ (Bᵀ d)] (Winograd 1980; Lavin & Gray 2016).
#pragma once

#include "vector.h"

namespace fg::FG_CPU_LEVEL {
namespace {

// F(4, 3): interpolation at 0, ±1, ±2 and infinity.
struct Convolution {
  static constexpr int inputs = 6, points = 6, outputs = 4, step = 4, first = 0, weights = 6, edges = 0;
  static constexpr int weight_of(int point) { return point; }

  static constexpr auto input = [](const vec* d, vec* o) __attribute__((always_inline)) {
    const vec a = d[4] - 4 * d[2], b = d[3] - 4 * d[1], c = d[4] - d[2], e = 2 * (d[3] - d[1]);
    o[0] = 4 * d[0] - 5 * d[2] + d[4];
    o[1] = a + b;
    o[2] = a - b;
    o[3] = c + e;
    o[4] = c - e;
    o[5] = 4 * d[1] - 5 * d[3] + d[5];
  };

  static constexpr auto output = [](const vec* m, vec* y) __attribute__((always_inline)) {
    const vec s = m[1] + m[2], d = m[1] - m[2], t = m[3] + m[4], e = m[3] - m[4];
    y[0] = m[0] + s + t;
    y[1] = d + 2 * e;
    y[2] = s + 4 * t;
    y[3] = d + 8 * e + m[5];
  };

  // The adjoint of `output`.
  static constexpr auto output_adjoint = [](const vec* y, vec* o) __attribute__((always_inline)) {
    const vec a = y[0] + y[2], b = y[1] + y[3], c = y[0] + 4 * y[2], e = 2 * y[1] + 8 * y[3];
    o[0] = y[0];
    o[1] = a + b;
    o[2] = a - b;
    o[3] = c + e;
    o[4] = c - e;
    o[5] = y[3];
  };

  static constexpr auto weight = [](const vec* g, vec* u) __attribute__((always_inline)) {
    const vec a = (g[0] + g[2]) * (-1.f / 6), b = g[1] * (-1.f / 6);
    const vec c = g[0] * (1.f / 24) + g[2] * (1.f / 6), d = g[1] * (1.f / 12);
    u[0] = g[0] * 0.25f;
    u[1] = a + b;
    u[2] = a - b;
    u[3] = c + d;
    u[4] = c - d;
    u[5] = g[2];
  };

  // The adjoint of `weight`.
  static constexpr auto weight_adjoint = [](const vec* u, vec* g) __attribute__((always_inline)) {
    const vec s = u[1] + u[2], d = u[1] - u[2], t = u[3] + u[4], e = u[3] - u[4];
    g[0] = u[0] * 0.25f - s * (1.f / 6) + t * (1.f / 24);
    g[1] = e * (1.f / 12) - d * (1.f / 6);
    g[2] = (t - s) * (1.f / 6) + u[5];
  };
};

// The transposed convolution with stride 2: of t[2j] = w0 x[j] + w2 x[j - 1] and t[2j + 1] = w1 x[j], the even results
// by F(4, 2), interpolation at 0, 1, -1, 2 and infinity, and the odd ones as they are. A tile yields 8 of the 2h + 1; where h
// is a multiple of 4 the last one is left to `edges`, which needs plain weights.
struct Upsampling {
  static constexpr int inputs = 5, points = 9, outputs = 8, step = 4, first = -1, weights = 6, edges = 5;
  static constexpr int weight_of(int point) { return point < 5 ? point : 5; }

  static constexpr auto input = [](const vec* d, vec* o) __attribute__((always_inline)) {
    const vec a = d[3] - d[1];
    o[0] = 2 * (d[0] - d[2]) + a;
    o[1] = d[3] - d[2] - 2 * d[1];
    o[2] = d[3] - 3 * d[2] + 2 * d[1];
    o[3] = a;
    o[4] = d[4] - d[2] - 2 * a;
    o[5] = d[1];
    o[6] = d[2];
    o[7] = d[3];
    o[8] = d[4];
  };

  static constexpr auto output = [](const vec* m, vec* y) __attribute__((always_inline)) {
    const vec s = m[1] + m[2], d = m[1] - m[2];
    y[0] = m[0] + s + m[3];
    y[2] = d + 2 * m[3];
    y[4] = s + 4 * m[3];
    y[6] = d + 8 * m[3] + m[4];
    y[1] = m[5];
    y[3] = m[6];
    y[5] = m[7];
    y[7] = m[8];
  };

  static constexpr auto weight = [](const vec* w, vec* u) __attribute__((always_inline)) {
    u[0] = w[2] * 0.5f;
    u[1] = (w[2] + w[0]) * -0.5f;
    u[2] = (w[0] - w[2]) * (1.f / 6);
    u[3] = w[2] * (1.f / 6) + w[0] * (1.f / 3);
    u[4] = w[0];
    u[5] = w[1];
  };
};

}  // namespace
}  // namespace fg::FG_CPU_LEVEL
