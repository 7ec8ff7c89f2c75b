// Minimal filtering in one dimension, as functions of vectors. Two dimensions apply it twice.
//
// A scheme computes `outputs` results from `inputs` values by `points` products with transformed
// weights: Y = Aᵀ[(G g) ∘ (Bᵀ d)] (Winograd 1980; Lavin & Gray 2016). The next tile is `step`
// values further.
#pragma once

#include "vector.h"

namespace fg::FG_CPU_LEVEL {
namespace {

// The usual points are small integers, which make the largest error three times as large. These are
// the result of a search over pairs of eighths, which are exact in binary. a2 and b2 are squares of
// a and b, and so on.

// F(4, 3): interpolation at 0, ±a, ±b and infinity.
struct Convolution {
  static constexpr int inputs = 6, points = 6, outputs = 4, step = 4, first = 0, weights = 6,
                       edges = 0;
  static constexpr int weight_of(int point) { return point; }

  static constexpr float a = 0.625f, b = 1.5f, a2 = a * a, b2 = b * b, a3 = a * a2, b3 = b * b2;
  static constexpr float product = a2 * b2, sum = a2 + b2;
  static constexpr float at_zero = 1 / product, at_a = 1 / (2 * a2 * (a2 - b2)),
                         at_b = 1 / (2 * b2 * (b2 - a2));

  static constexpr auto input = [](const vec* d, vec* o) __attribute__((always_inline)) {
    const vec even_a = d[4] - b2 * d[2], odd_a = a * (d[3] - b2 * d[1]);
    const vec even_b = d[4] - a2 * d[2], odd_b = b * (d[3] - a2 * d[1]);
    o[0] = product * d[0] - sum * d[2] + d[4];
    o[1] = even_a + odd_a;
    o[2] = even_a - odd_a;
    o[3] = even_b + odd_b;
    o[4] = even_b - odd_b;
    o[5] = product * d[1] - sum * d[3] + d[5];
  };

  static constexpr auto output = [](const vec* m, vec* y) __attribute__((always_inline)) {
    const vec even_a = m[1] + m[2], odd_a = m[1] - m[2], even_b = m[3] + m[4], odd_b = m[3] - m[4];
    y[0] = m[0] + even_a + even_b;
    y[1] = a * odd_a + b * odd_b;
    y[2] = a2 * even_a + b2 * even_b;
    y[3] = a3 * odd_a + b3 * odd_b + m[5];
  };

  // The adjoint of `output`.
  static constexpr auto output_adjoint = [](const vec* y, vec* o) __attribute__((always_inline)) {
    const vec even_a = y[0] + a2 * y[2], odd_a = a * y[1] + a3 * y[3];
    const vec even_b = y[0] + b2 * y[2], odd_b = b * y[1] + b3 * y[3];
    o[0] = y[0];
    o[1] = even_a + odd_a;
    o[2] = even_a - odd_a;
    o[3] = even_b + odd_b;
    o[4] = even_b - odd_b;
    o[5] = y[3];
  };

  static constexpr auto weight = [](const vec* g, vec* u) __attribute__((always_inline)) {
    const vec even_a = at_a * g[0] + at_a * a2 * g[2], odd_a = at_a * a * g[1];
    const vec even_b = at_b * g[0] + at_b * b2 * g[2], odd_b = at_b * b * g[1];
    u[0] = at_zero * g[0];
    u[1] = even_a + odd_a;
    u[2] = even_a - odd_a;
    u[3] = even_b + odd_b;
    u[4] = even_b - odd_b;
    u[5] = g[2];
  };

  // The adjoint of `weight`.
  static constexpr auto weight_adjoint = [](const vec* u, vec* g) __attribute__((always_inline)) {
    const vec even_a = at_a * (u[1] + u[2]), odd_a = at_a * (u[1] - u[2]);
    const vec even_b = at_b * (u[3] + u[4]), odd_b = at_b * (u[3] - u[4]);
    g[0] = at_zero * u[0] + even_a + even_b;
    g[1] = a * odd_a + b * odd_b;
    g[2] = a2 * even_a + b2 * even_b + u[5];
  };
};

// The transposed convolution with stride 2: t[2j] = w0 x[j] + w2 x[j - 1] and t[2j + 1] = w1 x[j].
// Even results use F(4, 2), interpolation at ±a, ±b and infinity; odd ones need no transform. A
// tile has 8 of the 2h + 1 results. If h is a multiple of 4, `edges` computes the last one from
// plain weights.
struct Upsampling {
  static constexpr int inputs = 5, points = 9, outputs = 8, step = 4, first = -1, weights = 6,
                       edges = 5;
  static constexpr int weight_of(int point) { return point < 5 ? point : 5; }

  static constexpr float a = 0.5f, b = 1.25f, a2 = a * a, b2 = b * b, a3 = a * a2, b3 = b * b2;
  static constexpr float product = a2 * b2, sum = a2 + b2;
  static constexpr float at_a = 1 / (2 * a * (a2 - b2)), at_b = 1 / (2 * b * (b2 - a2));

  static constexpr auto input = [](const vec* d, vec* o) __attribute__((always_inline)) {
    const vec odd_a = d[3] - b2 * d[1], even_a = a * (d[2] - b2 * d[0]);
    const vec odd_b = d[3] - a2 * d[1], even_b = b * (d[2] - a2 * d[0]);
    o[0] = odd_a + even_a;
    o[1] = odd_a - even_a;
    o[2] = odd_b + even_b;
    o[3] = odd_b - even_b;
    o[4] = product * d[0] - sum * d[2] + d[4];
    o[5] = d[1];
    o[6] = d[2];
    o[7] = d[3];
    o[8] = d[4];
  };

  static constexpr auto output = [](const vec* m, vec* y) __attribute__((always_inline)) {
    const vec even_a = m[0] + m[1], odd_a = m[0] - m[1], even_b = m[2] + m[3], odd_b = m[2] - m[3];
    y[0] = even_a + even_b;
    y[2] = a * odd_a + b * odd_b;
    y[4] = a2 * even_a + b2 * even_b;
    y[6] = a3 * odd_a + b3 * odd_b + m[4];
    y[1] = m[5];
    y[3] = m[6];
    y[5] = m[7];
    y[7] = m[8];
  };

  static constexpr auto weight = [](const vec* w, vec* u) __attribute__((always_inline)) {
    const vec even_a = at_a * w[2], odd_a = at_a * a * w[0], even_b = at_b * w[2],
              odd_b = at_b * b * w[0];
    u[0] = odd_a + even_a;
    u[1] = odd_a - even_a;
    u[2] = odd_b + even_b;
    u[3] = odd_b - even_b;
    u[4] = w[0];
    u[5] = w[1];
  };
};

// The convolution with stride 2, the transpose of `Upsampling`:
// y[j] = w0 x[2j] + w2 x[2j + 2] + w1 x[2j + 1]. Even pixels use F(4, 2) with the same points; odd
// ones need no transform.
struct Downsampling {
  static constexpr int inputs = 9, points = 9, outputs = 4, step = 8, first = 0, weights = 6,
                       edges = 0;
  static constexpr int weight_of(int point) { return Upsampling::weight_of(point); }

  static constexpr float a = Upsampling::a, b = Upsampling::b, a2 = a * a, b2 = b * b, a3 = a * a2,
                         b3 = b * b2;
  static constexpr float at_a = Upsampling::at_a, at_b = Upsampling::at_b;

  static constexpr auto input = [](const vec* d, vec* o) __attribute__((always_inline)) {
    const vec even[5] = {d[0], d[2], d[4], d[6], d[8]};
    vec points[9];
    Upsampling::input(even, points);
    for (int i = 0; i < 5; ++i) {
      o[i] = points[i];
    }
    for (int i = 0; i < 4; ++i) {
      o[5 + i] = d[2 * i + 1];
    }
  };

  static constexpr auto output = [](const vec* m, vec* y) __attribute__((always_inline)) {
    const vec even_a = m[0] + m[1], odd_a = m[0] - m[1], even_b = m[2] + m[3], odd_b = m[2] - m[3];
    y[0] = even_a + even_b + m[5];
    y[1] = a * odd_a + b * odd_b + m[6];
    y[2] = a2 * even_a + b2 * even_b + m[7];
    y[3] = a3 * odd_a + b3 * odd_b + m[4] + m[8];
  };

  // The adjoint of `output`.
  static constexpr auto output_adjoint = [](const vec* y, vec* o) __attribute__((always_inline)) {
    const vec even_a = y[0] + a2 * y[2], odd_a = a * y[1] + a3 * y[3];
    const vec even_b = y[0] + b2 * y[2], odd_b = b * y[1] + b3 * y[3];
    o[0] = even_a + odd_a;
    o[1] = even_a - odd_a;
    o[2] = even_b + odd_b;
    o[3] = even_b - odd_b;
    o[4] = y[3];
    for (int i = 0; i < 4; ++i) {
      o[5 + i] = y[i];
    }
  };

  static constexpr auto weight = [](const vec* w, vec* u) __attribute__((always_inline)) {
    const vec turned[3] = {w[2], w[1], w[0]};
    Upsampling::weight(turned, u);
  };

  // The adjoint of `weight`.
  static constexpr auto weight_adjoint = [](const vec* u, vec* w) __attribute__((always_inline)) {
    w[0] = at_a * (u[0] - u[1]) + at_b * (u[2] - u[3]);
    w[1] = u[5];
    w[2] = at_a * a * (u[0] + u[1]) + at_b * b * (u[2] + u[3]) + u[4];
  };
};

}  // namespace
}  // namespace fg::FG_CPU_LEVEL
