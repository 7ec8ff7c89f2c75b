// The CPU kernel of the sweep over the images as a plain function over units of work. Torch-free.
#pragma once

#include <algorithm>
#include <cstdint>

#include "../common/cpu_block.h"
#include "../common/cpu_level.h"
#include "problem.h"

namespace fg::minibatch_stddev {

// A unit is a segment of a row, or some whole rows, of one part of one group, whatever the number of threads, so that sums
// come out the same bit for bit.
struct Partition {
  static constexpr std::int64_t segment = 4096;

  Layout layout;
  std::int64_t rows, segments;  // rows of a unit, segments of a row
  std::int64_t of_part;         // units of a part

  explicit Partition(const Layout& l)
      : layout(l), rows(std::max<std::int64_t>(1, segment / l.length())),
        segments((l.length() + segment - 1) / segment),
        of_part((l.rows() + rows - 1) / rows * segments) {}

  std::int64_t units() const { return layout.groups * layout.parts * of_part; }
};

// In the workspace: the partial sum of each unit, and one number for each group and part: its weight w.
template <class R>
struct Numbers {
  R *partial, *weight;

  Numbers(const Arguments& a, const Partition& p)
      : partial(static_cast<R*>(a.workspace)), weight(partial + p.units()) {}
};

using Sweep = void (*)(
    const Arguments&, const Partition&, bool streaming, std::int64_t begin, std::int64_t end);

}  // namespace fg::minibatch_stddev

FG_DECLARE_PER_LEVEL(minibatch_stddev::Sweep, minibatch_stddev_sweep)
