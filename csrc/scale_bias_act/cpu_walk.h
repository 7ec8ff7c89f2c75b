// Walk of the CPU kernels over the units of a Partition. It is local to the including file, for the
// reason in cpu_block.h.
#pragma once

#include "cpu_partition.h"

namespace fg::FG_CPU_LEVEL {
namespace {

using scale_bias_act::Partition;

// Return the sum of a row. A few elements are added up directly, more of them in lanes.
template <class R>
FG_LOCAL R row_sum(const R* p, int n) {
  if (n >= 16) {
    return sum(p, n);
  }
  R total = 0;
  for (int i = 0; i < n; ++i) {
    total += p[i];
  }
  return total;
}

// Rows and columns of a unit, and their division into blocks: `together` short rows, or `step`
// columns of a long row.
struct Cut {
  std::int64_t image, row, column;
  int rows, width, together, step;

  Cut(const Partition& p, std::int64_t unit)
      : image(unit / p.chunks / p.groups), row(unit / p.chunks % p.groups * p.rows),
        column(unit % p.chunks * p.width) {
    rows = static_cast<int>(std::min(p.rows, p.major - row));
    width = static_cast<int>(std::min(p.width, p.minor - column));
    together = p.chunks == 1 ? std::clamp(block_size / width, 1, rows) : 1;
    const std::int64_t even = divide_up(width, divide_up(width, block_size));
    step = static_cast<int>(std::min<std::int64_t>(block_size, divide_up(even, 16) * 16));
  }
};

// Partial sums of one gradient. Without a place for them, it does nothing.
template <class R>
class Sum {
 public:
  void take(R* partial, bool over_rows) {
    partial_ = partial;
    over_rows_ = over_rows;
  }

  void start(const Cut& c) {
    if (partial_ && over_rows_) {
      std::fill_n(columns_, c.width * c.together, R(0));
    }
  }

  // Add `count` rows of `width` values, which start at column `column` of the unit.
  void add(
      const Partition& p, const Cut& c, int row, int column, int count, int width,
      const R* values) {
    if (!partial_) {
      return;
    }
    if (over_rows_) {
      R* const to = columns_ + column;
      for (int i = 0; i < count * width; ++i) {
        to[i] += values[i];
      }
      return;
    }
    R* to = partial_ + (c.image * p.major + c.row + row) * p.chunks + c.column / p.width;
    for (int j = 0; j < count; ++j, to += p.chunks) {
      const R total = row_sum(values + j * width, width);
      *to = column == 0 ? total : *to + total;
    }
  }

  // Return the sums over rows from a column of the unit on, for the caller to add to.
  R* columns(int column) { return columns_ + column; }

  void finish(const Partition& p, const Cut& c) {
    if (partial_ && over_rows_) {
      for (int i = c.width; i < c.width * c.together; ++i) {
        columns_[i % c.width] += columns_[i];
      }
      R* const to = partial_ + (c.image * p.groups + c.row / p.rows) * p.minor + c.column;
      std::copy_n(columns_, c.width, to);
    }
  }

 private:
  R* partial_ = nullptr;
  bool over_rows_ = false;
  alignas(64) R columns_[Partition::widest];
};

}  // namespace
}  // namespace fg::FG_CPU_LEVEL
