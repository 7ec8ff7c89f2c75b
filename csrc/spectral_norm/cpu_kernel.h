// CPU kernels of spectral_norm as plain functions over units of work. Torch-free.
#pragma once

#include <cstdint>

#include "../common/cpu_block.h"
#include "../common/cpu_level.h"
#include "problem.h"

namespace fg::spectral_norm {

// Some rows of a layer. The units don't depend on the number of threads.
struct Unit {
  // The cache of a core holds a megabyte of doubles.
  static constexpr std::int64_t elements = std::int64_t{1} << 17;

  const Layer* layer;
  std::int64_t first_row, rows;
  std::int64_t partial_at;  // index in the workspace of the unit's result of `sweep`, [columns]
};

// A unit's terms of the sums over its layer.
struct Sums {
  double p = 0, q = 0, h = 0;  // <G, W>, <H, G>, and uᵀHv or uᵀWv
};

struct Kernels {
  // Compute u = Wv, not normalised, and at partial_at the unit's part of Wᵀu. It reads rows once.
  void (*sweep)(const Arguments&, const Unit&);
  // Compute a layer's u, v and sigma from these parts.
  void (*finish)(
      const Arguments&, const Layer&, const Unit* units, std::int64_t count, void* sigma);
  // Compute the unit's term of uᵀWv.
  void (*project)(const Arguments&, const Unit&, Sums&);
  void (*scale)(const Arguments&, const Unit&, double sigma, bool streaming);
  // Compute the unit's terms of a derivative's sums.
  void (*sums)(const Arguments&, const Unit&, Sums&);
  // Compute the results of a derivative.
  void (*combine)(const Arguments&, const Unit&, double sigma, double along, bool streaming);
  // Convert to the accumulation type.
  void (*widen)(const Arguments&, const void* from, void* to, std::int64_t n);
};

}  // namespace fg::spectral_norm

FG_DECLARE_PER_LEVEL(spectral_norm::Kernels, spectral_norm_kernels)
