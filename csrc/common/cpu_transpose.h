// Transposes of matrices in memory, for the CPU kernels.
#pragma once

#include <cstdint>
#include <type_traits>

#include "cpu_block.h"

namespace fg {

typedef float eight __attribute__((vector_size(32)));
typedef eight unaligned_eight __attribute__((aligned(4), may_alias));

// Set to[j][i] = from[i][j] for 8 x 8: swap pairs, then fours, then halves.
FG_LOCAL void transpose(const float* from, std::int64_t from_row, float* to, std::int64_t to_row) {
  eight a[8], b[8];
  for (int i = 0; i < 8; ++i) {
    a[i] = *reinterpret_cast<const unaligned_eight*>(from + i * from_row);
  }
  for (int i = 0; i < 8; i += 2) {
    b[i] = __builtin_shufflevector(a[i], a[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
    b[i + 1] = __builtin_shufflevector(a[i], a[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (int i = 0; i < 8; i += 4) {
    for (int j = i; j < i + 2; ++j) {
      a[j] = __builtin_shufflevector(b[j], b[j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      a[j + 2] = __builtin_shufflevector(b[j], b[j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  }
  for (int i = 0; i < 4; ++i) {
    b[i] = __builtin_shufflevector(a[i], a[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    b[i + 4] = __builtin_shufflevector(a[i], a[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
  for (int i = 0; i < 8; ++i) {
    *reinterpret_cast<unaligned_eight*>(to + i * to_row) = b[i];
  }
}

// The same for rows x columns.
template <class R>
FG_LOCAL void transpose(
    const R* from, std::int64_t from_row, R* to, std::int64_t to_row, std::int64_t rows,
    std::int64_t columns) {
  std::int64_t whole_rows = 0, whole_columns = 0;
  if constexpr (std::is_same_v<R, float>) {
    whole_rows = rows / 8 * 8;
    whole_columns = columns / 8 * 8;
    for (std::int64_t i = 0; i < whole_rows; i += 8) {
      for (std::int64_t j = 0; j < whole_columns; j += 8) {
        transpose(from + i * from_row + j, from_row, to + j * to_row + i, to_row);
      }
    }
  }
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = i < whole_rows ? whole_columns : 0; j < columns; ++j) {
      to[j * to_row + i] = from[i * from_row + j];
    }
  }
}

}  // namespace fg
