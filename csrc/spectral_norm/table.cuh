// The layers of a launch, passed by value: no copy to the device, so that a launch can be captured in a graph. Each kernel
// cuts every layer into blocks of its own, and a block looks up which layer it is of.
#pragma once

#include <algorithm>

#include "../common/fg_platform.cuh"
#include "problem.h"

namespace fg::spectral_norm {

inline constexpr int warp = 32, threads = 256;
inline constexpr std::int64_t grid_limit = 0x7fffffff;

struct Entry {
  const void *weight, *u, *v, *grad, *direction;
  void *out, *out_weight;
  std::int64_t vectors_at, partial_at;  // partial_at: in the workspace
  unsigned rows, run, columns;
  bool wide;  // 16 bytes of a row's run at a time
  bool one_run;

  FG_HOST_DEVICE unsigned numel() const { return rows * columns; }
  // Where column c of row 0 is; row r is r·run behind.
  FG_HOST_DEVICE unsigned at(unsigned c) const {
    return one_run ? c : c / run * rows * run + c % run;
  }
};

struct Table {
  static constexpr int most =
      40;  // of 4 KB, which the parameters of a kernel may take on any architecture

  Entry layers[most];
  unsigned starts[most + 1];  // the first block of each layer, and their end
  int count;

  FG_DEVICE int layer_of(unsigned block) const {
    int i = 0;
    while (starts[i + 1] <= block) {
      ++i;
    }
    return i;
  }
};
static_assert(sizeof(Table) <= 4000);

// What all kernels share besides; R is the accumulation type.
template <class R>
struct Common {
  R *vectors, *sigmas, *workspace;
  const R* dsigmas;
  R *out_ddsigmas, *out_dsigmas;  // of the launch's layers, as sigmas and dsigmas are
  R eps;
};

inline std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// ---- how each kernel cuts a layer

inline constexpr int chunk_rows = 64;  // rows that a block of columns_kernel adds up
inline constexpr unsigned tile_elements = 32 * threads;  // of the elementwise kernels

// Warps that share a row: more for long ones.
FG_HOST_DEVICE int warps_of_row(unsigned columns) {
  return columns <= 1024 ? 1 : columns <= 4096 ? 2 : columns <= 16384 ? 4 : 8;
}

template <class T>
constexpr int columns_of_tile = warp * vec_width<T>;

inline std::int64_t chunks_of(std::int64_t rows) { return divide_up(rows, chunk_rows); }
inline std::int64_t tiles_of(std::int64_t numel) {
  return std::max<std::int64_t>(1, divide_up(numel, tile_elements));
}

inline constexpr int sums_of(Pass pass) { return pass == Pass::backward ? 1 : 3; }

inline std::int64_t partials_of(const Arguments& a, const Layer& l) {
  return a.pass != Pass::forward     ? sums_of(a.pass) * tiles_of(l.numel())
         : a.n_power_iterations == 0 ? l.rows
                                     : chunks_of(l.rows) * l.columns();
}

inline std::int64_t workspace_of(const Arguments& a) {
  std::int64_t most = 0;
  for (std::int64_t first = 0; first < a.count; first += Table::most) {
    std::int64_t size = 0;
    for (std::int64_t i = first; i < std::min<std::int64_t>(a.count, first + Table::most); ++i) {
      size += partials_of(a, a.layers[i]);
    }
    most = std::max(most, size);
  }
  return most;
}

}  // namespace fg::spectral_norm
