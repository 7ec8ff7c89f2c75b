// The matrix product that does most of the work: out[r][0..16) (+)= Σ_i a[r · a_row + i · a_step] ·
// b[16 i + 0..16).
#pragma once

#include <array>
#include <utility>

#include "vector.h"

namespace fg::FG_CPU_LEVEL {
namespace {

struct Product {
  const float* a;
  std::int64_t a_row, a_step;
  const float* b;
  std::int64_t steps;
  float* out;
  std::int64_t out_row;
  bool add;
};

template <int Rows>
void product(const Product& p) {
  using fg::winograd::lanes;
  vec sum[Rows][vectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) {
      sum[r][v] = p.add ? load(p.out + r * p.out_row + v * width) : vec{};
    }
  }
  const float *a = p.a, *b = p.b;
  const std::int64_t row = p.a_row, step = p.a_step;
  for (std::int64_t i = p.steps; i > 0; --i) {
    vec column[vectors];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) {
      column[v] = load(b + v * width);
    }
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const vec factor = a[r * row] - vec{};
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) {
        sum[r][v] += factor * column[v];
      }
    }
    a += step;
    b += lanes;
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) {
      store(p.out + r * p.out_row + v * width, sum[r][v]);
    }
  }
}

// Compute product<rows>(p) for any number of rows. Each call has as many rows as there are
// registers for, in even shares.
FG_LOCAL void product_of_rows(Product p, std::int64_t rows) {
  static constexpr auto by_rows = []<int... R>(std::integer_sequence<int, R...>) {
    return std::array<void (*)(const Product&), sizeof...(R)>{product<R + 1>...};
  }(std::make_integer_sequence<int, most_rows>{});
  for (std::int64_t calls = divide_up(rows, most_rows); calls > 0; --calls) {
    const std::int64_t now = divide_up(rows, calls);
    by_rows[now - 1](p);
    p.a += now * p.a_row;
    p.out += now * p.out_row;
    rows -= now;
  }
}

}  // namespace
}  // namespace fg::FG_CPU_LEVEL
