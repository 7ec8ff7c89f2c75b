// CPU kernel of adaptive_norm as a plain function over units of work. Torch-free.
#pragma once

#include "../scale_bias_act/cpu_partition.h"
#include "problem.h"

namespace fg::adaptive_norm {

// Memory and work are divided like those of scale_bias_act. In channels_last, a unit stores sums
// over its rows at [batch][group][channel]; else it stores sums over its columns at
// [batch][channel][chunk].
using scale_bias_act::Partition;

inline std::int64_t partial_size(const Arguments& a, const Partition& p) {
  return a.layout.channels_last ? p.sums_over_rows() : p.sums_over_columns();
}

// Places in the workspace.
template <class R>
R* coefficient_of(const Arguments& a, int which) {
  return as<R>(a.workspace) + which * a.numbers();
}

template <class R>
R* total_of(const Arguments& a, int which) {
  return coefficient_of<R>(a, coefficient_count + which);
}

template <class R>
R* partial_of(const Arguments& a, const Partition& p, int which) {
  return total_of<R>(a, total_count) + which * partial_size(a, p);
}

using RunUnits = void (*)(
    const Arguments&, const Partition&, Sweep, bool streaming, std::int64_t begin,
    std::int64_t end);

}  // namespace fg::adaptive_norm

FG_DECLARE_PER_LEVEL(adaptive_norm::RunUnits, adaptive_norm_run)
