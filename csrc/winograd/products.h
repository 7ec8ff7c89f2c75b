// The matrix product that does most of the work, for a row r and a group g of 16 columns:
// out[r · out_row + g · out_group + 0..16) (+)= Σ_i a(r, i) · b[g · b_group + 16 i + 0..16).
#pragma once

#include <array>
#include <utility>

#include "vector.h"

namespace fg::FG_CPU_LEVEL {
namespace {

struct Product {
  const float* a;
  std::int64_t a_group;  // from 16 steps to the next 16, if rows are tiles
  const float* b;
  std::int64_t b_group;
  std::int64_t steps;
  float* out;
  std::int64_t out_row, out_group;
  bool add;
  // Lines to fetch meanwhile, one per step: those of call i are at fetch[i % 4]. Null for none.
  std::array<const float*, 4> fetch = {};
};

// Rows are tiles, [steps / 16][tile][16], or channels, [step][16 channels].
enum class Rows { tiles, channels };

inline constexpr int steps_ahead = 8;  // of the columns that are fetched from L2 to L1

template <Rows Of, int Number, int Groups>
void product(const Product& p, const float* fetch) {
  using fg::winograd::lanes;
  constexpr int columns = Groups * vectors;
  constexpr std::int64_t row = Of == Rows::tiles ? lanes : 1, step = Of == Rows::tiles ? 1 : lanes;
  vec sum[Number][columns];
  const auto place = [&](int r, int v) {
    return p.out + r * p.out_row + v / vectors * p.out_group + v % vectors * width;
  };
#pragma GCC unroll 16
  for (int r = 0; r < Number; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < columns; ++v) {
      sum[r][v] = p.add ? load(place(r, v)) : vec{};
    }
  }
  const float *a = p.a, *b = p.b;
  const std::int64_t b_group = p.b_group;
  const auto add_step = [&](std::int64_t i) __attribute__((always_inline)) {
    // Weights go to L2: they are larger than L1.
    __builtin_prefetch(fetch, 0, Of == Rows::tiles ? 2 : 3);
    fetch += lanes;
    // Narrower products have no loads to spare.
    if constexpr (Of == Rows::tiles && most_groups > 1) {
      __builtin_prefetch(a + p.a_group + i * lanes, 0, 3);
#pragma GCC unroll 4
      for (int g = 0; g < Groups; ++g) {
        __builtin_prefetch(b + g * b_group + steps_ahead * lanes, 0, 3);
      }
    }
    vec column[columns];
#pragma GCC unroll 4
    for (int v = 0; v < columns; ++v) {
      column[v] = load(b + v / vectors * b_group + v % vectors * width);
    }
#pragma GCC unroll 16
    for (int r = 0; r < Number; ++r) {
      const vec factor = a[r * row + i * step] - vec{};
#pragma GCC unroll 4
      for (int v = 0; v < columns; ++v) {
        sum[r][v] += factor * column[v];
      }
    }
    b += lanes;
  };
  if constexpr (Of == Rows::channels) {
    for (std::int64_t i = 0; i < p.steps; ++i) {
      add_step(0);
      a += step;
    }
  } else {
    for (std::int64_t left = p.steps; left > 0; left -= lanes) {
      const std::int64_t now = left < lanes ? left : lanes;
      for (std::int64_t i = 0; i < now; ++i) {
        add_step(i);
      }
      a += p.a_group;
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Number; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < columns; ++v) {
      store(place(r, v), sum[r][v]);
    }
  }
}

// Compute the product for any number of rows and groups of columns. Each call has as many as there
// are registers for, in even shares.
template <Rows Of>
FG_LOCAL void product_of(Product p, std::int64_t rows, std::int64_t groups) {
  using fg::winograd::lanes;
  using Call = void (*)(const Product&, const float*);
  static constexpr auto by_rows = []<int Groups, int... R>(
                                      std::integral_constant<int, Groups>,
                                      std::integer_sequence<int, R...>) {
    return std::array<Call, sizeof...(R)>{product<Of, R + 1, Groups>...};
  };
  static constexpr auto all_rows = std::make_integer_sequence<int, most_rows>{};
  static constexpr std::array<Call, most_rows> calls_by_rows[] = {
      by_rows(std::integral_constant<int, 1>{}, all_rows),
      by_rows(std::integral_constant<int, most_groups>{}, all_rows)};
  int call = 0;
  for (std::int64_t g = 0; g < groups; g += most_groups) {
    const bool whole = groups - g >= most_groups;
    Product q = p;
    std::int64_t left = rows;
    for (std::int64_t calls = divide_up(rows, most_rows); calls > 0; --calls) {
      const std::int64_t now = divide_up(left, calls);
      const float* const fetch = p.fetch[call++ % 4];
      calls_by_rows[whole][now - 1](q, fetch ? fetch : q.b);
      q.a += now * (Of == Rows::tiles ? lanes : 1);
      q.out += now * q.out_row;
      left -= now;
    }
    p.b += most_groups * p.b_group;
    p.out += most_groups * p.out_group;
  }
}

}  // namespace
}  // namespace fg::FG_CPU_LEVEL
