// Filters in the order in which they meet the image, for the CPU runs of upfirdn2d and
// filtered_lrelu.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace fg::upfirdn2d {

struct Taps {
  std::vector<double> values;

  Taps(const float* f, std::int64_t count, bool flip, double gain) : values(f, f + count) {
    if (!flip) {
      std::reverse(values.begin(), values.end());
    }
    for (double& v : values) {
      v *= gain;
    }
  }
};

// Factorise a filter of rank 1 into a column and a row. Outer products of [1, 3, 3, 1] are common
// filters.
inline bool separates(
    const Taps& f, std::int64_t rows, std::int64_t columns, double tolerance, Taps& column,
    Taps& row) {
  const auto largest = std::max_element(f.values.begin(), f.values.end(), [](double a, double b) {
    return std::abs(a) < std::abs(b);
  });
  const std::int64_t at = largest - f.values.begin(), r = at / columns, c = at % columns;
  if (*largest == 0) {
    return false;
  }
  column.values.clear();
  row.values.clear();
  for (std::int64_t y = 0; y < rows; ++y) {
    column.values.push_back(f.values[y * columns + c] / *largest);
  }
  for (std::int64_t x = 0; x < columns; ++x) {
    row.values.push_back(f.values[r * columns + x]);
  }
  for (std::int64_t y = 0; y < rows; ++y) {
    for (std::int64_t x = 0; x < columns; ++x) {
      if (std::abs(column.values[y] * row.values[x] - f.values[y * columns + x]) >
          tolerance * std::abs(*largest)) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace fg::upfirdn2d
