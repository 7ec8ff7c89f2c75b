// Division of the work on images between the CPU's threads. Torch-free.
#pragma once

#include "../common/cpu.h"
#include "problem.h"

namespace fg::scale_bias_act {

// Division of the work into units, which doesn't depend on the number of threads.
//
// Memory of an image is [major][minor]: channels and pixels if contiguous, pixels and channels if
// channels_last. Parameters of minor indices are a vector beside each row of memory: noise if
// contiguous, scale and b if channels_last. Parameters of major indices are one number per row.
//
// A unit is a group of rows times a chunk of columns. It stores:
//
// - sums over its rows: one per column, at [batch][group][minor]
// - sums over its columns: one per row, at [batch][major][chunk]
struct Partition {
  static constexpr std::int64_t widest = 2048, unit_elements = 65536, task_elements = 16384;

  std::int64_t batch, major, minor;
  std::int64_t width, chunks;  // columns per chunk
  std::int64_t rows, groups;   // rows per group

  explicit Partition(const Layout& l)
      : batch(l.batch), major(l.channels_last ? l.pixels : l.channels),
        minor(l.channels_last ? l.channels : l.pixels) {
    width = std::min(minor, widest);
    chunks = divide_up(minor, width);
    rows = std::clamp<std::int64_t>(unit_elements / width, 1, major);
    groups = divide_up(major, rows);
  }

  std::int64_t units() const { return batch * groups * chunks; }

  // Number of units that make a task worth a thread.
  std::int64_t grain() const { return std::max<std::int64_t>(1, task_elements / (rows * width)); }

  std::int64_t sums_over_rows() const { return batch * groups * minor; }
  std::int64_t sums_over_columns() const { return batch * major * chunks; }
};

}  // namespace fg::scale_bias_act
