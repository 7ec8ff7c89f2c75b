// CPU kernel of the sweep over the images as a plain function over units of work. Torch-free.
#pragma once

#include <algorithm>
#include <cstdint>

#include "../common/cpu_block.h"
#include "../common/cpu_level.h"
#include "problem.h"

namespace fg::minibatch_stddev {

// Division of the work into units: a segment of a row, or some whole rows, of one part of one
// group. It doesn't depend on the number of threads, so sums have the same bits for any number.
struct Partition {
  static constexpr std::int64_t segment = 4096;

  Layout layout;
  std::int64_t rows, segments;  // rows per unit, segments per row
  std::int64_t of_part;         // units per part

  explicit Partition(const Layout& l)
      : layout(l), rows(std::max<std::int64_t>(1, segment / l.length())),
        segments(divide_up(l.length(), segment)), of_part(divide_up(l.rows(), rows) * segments) {}

  std::int64_t units() const { return layout.groups * layout.parts * of_part; }
};

// Content of the workspace: the partial sum of each unit, and the weight w of each group and part.
template <class R>
struct Numbers {
  R *partial, *weight;

  Numbers(const Arguments& a, const Partition& p)
      : partial(as<R>(a.workspace)), weight(partial + p.units()) {}
};

using Sweep = void (*)(
    const Arguments&, const Partition&, bool streaming, std::int64_t begin, std::int64_t end);

}  // namespace fg::minibatch_stddev

FG_DECLARE_PER_LEVEL(minibatch_stddev::Sweep, minibatch_stddev_sweep)
