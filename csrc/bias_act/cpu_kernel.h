// The CPU kernel of bias_act as a plain function over units of work. Torch-free.
#pragma once

#include <algorithm>
#include <cstdint>

#include "../common/cpu_block.h"
#include "../common/cpu_level.h"
#include "problem.h"

namespace fg::bias_act {

// Division of the work into units. It doesn't depend on the number of threads, so sums have the
// same bits for any number.
// - by row: channels have long runs of memory. A unit is one segment of a run, which has one bias.
// - by column: runs are short (channels_last, [N, C]). A unit is a block of rows of a column tile.
struct Partition {
  static constexpr std::int64_t segment = 8192, tile = 1024, shortest_run = 32;

  Layout layout;
  bool by_row;
  std::int64_t segments_per_run = 0;                   // by row
  std::int64_t tiles = 0, blocks = 0, block_rows = 0;  // by column

  explicit Partition(Layout l) : layout(l), by_row(l.inner >= shortest_run) {
    if (by_row) {
      segments_per_run = divide_up(l.inner, segment);
    } else {
      tiles = divide_up(l.row(), tile);
      block_rows =
          std::max(divide_up(l.outer, 64), divide_up(2 * segment, std::min(l.row(), tile)));
      blocks = divide_up(l.outer, block_rows);
    }
  }

  std::int64_t units() const {
    return by_row ? layout.outer * layout.channels * segments_per_run : blocks * tiles;
  }

  // Number of units that make a task worth a thread.
  std::int64_t grain() const {
    return by_row ? std::max<std::int64_t>(1, 2 * segment / std::min(layout.inner, segment)) : 1;
  }

  // Number of partial sums of the bias gradient: one per unit by row, one per block and column by
  // column.
  std::int64_t partials() const { return by_row ? units() : blocks * layout.row(); }
};

using RunUnits = void (*)(const Arguments&, const Partition&, std::int64_t begin, std::int64_t end);

}  // namespace fg::bias_act

FG_DECLARE_PER_LEVEL(bias_act::RunUnits, bias_act_run)
