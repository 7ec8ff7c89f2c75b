// Layers of a launch, passed by value. A copy to the device would prevent capture in a graph. Each
// kernel divides every layer into blocks in its own way; a block looks its layer up.
#pragma once

#include "../common/launch.cuh"
#include "../common/reduce.cuh"
#include "problem.h"

namespace fg::spectral_norm {

inline constexpr int threads = block_threads, block_warps = threads / warp;

struct Entry {
  const void *weight, *u, *v, *grad, *direction;
  void *out, *out_weight;
  std::int64_t vectors_at, partial_at;  // partial_at is an index in the workspace
  unsigned rows, run, columns;
  bool wide;  // a row's run is read in accesses of 16 bytes
  bool one_run;

  FG_HOST_DEVICE unsigned numel() const { return rows * columns; }
  // Return the index of column c of row 0; row r is r·run further.
  FG_HOST_DEVICE unsigned at(unsigned c) const {
    return one_run ? c : c / run * rows * run + c % run;
  }
};

struct Table {
  // The table has at most 4 KB, which kernel parameters may take on any architecture.
  static constexpr int most = 40;

  Entry layers[most];
  unsigned starts[most + 1];  // the first block of each layer, and the number of blocks
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

// Other arguments of all kernels. R is the accumulation type.
template <class R>
struct Common {
  R *vectors, *sigmas, *workspace;
  const R* dsigmas;
  R *out_ddsigmas, *out_dsigmas;  // one per layer of the launch, like sigmas and dsigmas
  R eps;
};

// ---- division of layers by each kernel

inline constexpr int chunk_rows = 64;                    // rows per block of columns_kernel
inline constexpr unsigned tile_elements = 32 * threads;  // per block of elementwise kernels

// Return the number of warps per row, which is larger for long rows.
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

inline std::int64_t workspace_size(const Arguments& a) {
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
