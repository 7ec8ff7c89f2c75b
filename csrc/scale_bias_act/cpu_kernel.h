// CPU kernel of scale_bias_act as a plain function over units of work. Torch-free.
#pragma once

#include <algorithm>
#include <cstdint>

#include "../common/cpu_block.h"
#include "../common/cpu_level.h"
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

// Places of each gradient's partial sums in the workspace; null if not needed.
template <class R>
struct Partials {
  R *scale = nullptr, *noise = nullptr, *b = nullptr;
  std::int64_t size = 0;

  Partials(const Arguments& a, const Partition& p) {
    const auto place = [&](void* wanted, bool over_rows) -> R* {
      if (!wanted) {
        return nullptr;
      }
      // The workspace is null while its size is computed.
      R* const here = a.workspace ? as<R>(a.workspace) + size : nullptr;
      size += over_rows ? p.sums_over_rows() : p.sums_over_columns();
      return here;
    };
    scale = place(a.dscale, a.layout.channels_last);
    noise = place(a.dnoise, !a.layout.channels_last);
    b = place(a.db, a.layout.channels_last);
  }
};

using RunUnits = void (*)(
    const Arguments&, const Partition&, bool streaming, std::int64_t begin, std::int64_t end);

}  // namespace fg::scale_bias_act

FG_DECLARE_PER_LEVEL(scale_bias_act::RunUnits, scale_bias_act_run)
