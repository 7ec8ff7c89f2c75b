// Vectors of the instruction set of the including file.
#pragma once

#include <cstdint>

#include "../common/cpu_block.h"
#include "problem.h"

namespace fg::FG_CPU_LEVEL {
namespace {

// The sums of a product stay in registers: of up to `most_rows` by `most_groups` groups of lanes.
#if defined(__AVX512F__)
inline constexpr int width = 16, most_rows = 14, most_groups = 2, unit_tiles = 28;
#elif defined(__AVX2__)
inline constexpr int width = 8, most_rows = 6, most_groups = 1, unit_tiles = 18;
#else
inline constexpr int width = 4, most_rows = 2, most_groups = 1, unit_tiles = 18;
#endif

typedef float vec __attribute__((vector_size(width * sizeof(float))));
typedef vec unaligned_vec __attribute__((aligned(4), may_alias));

FG_LOCAL vec load(const float* p) { return *reinterpret_cast<const unaligned_vec*>(p); }
FG_LOCAL void store(float* p, vec v) { *reinterpret_cast<unaligned_vec*>(p) = v; }

inline constexpr int vectors = fg::winograd::lanes / width;  // per group of lanes

}  // namespace
}  // namespace fg::FG_CPU_LEVEL
