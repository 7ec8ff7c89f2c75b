// The CPU kernels of spectral_norm as plain functions over units of work. Torch-free.
#pragma once

#include <cstdint>

#include "../common/cpu_block.h"
#include "../common/cpu_level.h"
#include "problem.h"

namespace fg::spectral_norm {

// Some rows of a layer; the same units for any number of threads.
struct Unit {
  static constexpr std::int64_t elements =
      std::int64_t{1} << 17;  // a megabyte of doubles: what a core's cache holds

  const Layer* layer;
  std::int64_t first_row, rows;
  std::int64_t partial_at;  // in the workspace: what `sweep` leaves, [columns]
};

// What a unit adds to the sums over its layer.
struct Sums {
  double p = 0, q = 0, h = 0;  // <G, W>, <H, G>, and uᵀHv or uᵀWv
};

struct Kernels {
  // u = Wv, not normalised, and the unit's part of Wᵀu at partial_at: rows are read once.
  void (*sweep)(const Arguments&, const Unit&);
  // From those parts the layer's u, v and sigma.
  void (*finish)(
      const Arguments&, const Layer&, const Unit* units, std::int64_t count, void* sigma);
  // uᵀWv
  Sums (*project)(const Arguments&, const Unit&);
  void (*scale)(const Arguments&, const Unit&, double sigma, bool streaming);
  Sums (*sums)(const Arguments&, const Unit&);  // of a derivative
  void (*combine)(
      const Arguments&, const Unit&, double sigma, double along, bool streaming);  // its results
  void (*widen)(DType, const void* from, void* to, std::int64_t n);  // to the accumulation type
};

}  // namespace fg::spectral_norm

FG_DECLARE_PER_LEVEL(spectral_norm::Kernels, spectral_norm_kernels)
