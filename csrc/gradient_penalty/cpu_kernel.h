// The CPU kernel of a sweep as a plain function over units of work. Torch-free.
#pragma once

#include <algorithm>
#include <cstdint>

#include "../common/cpu_block.h"
#include "../common/cpu_level.h"
#include "problem.h"

namespace fg::gradient_penalty {

// A unit is one segment of one sample, whatever the number of threads, so that sums come out the same bit for bit.
struct Partition {
  static constexpr std::int64_t segment = 8192, task_elements = 32768;

  Layout layout;
  std::int64_t
      segments;  // of a sample; one at the least, which leaves a sum of 0 where there are no elements

  explicit Partition(const Layout& l)
      : layout(l), segments(std::max<std::int64_t>(1, (l.elements + segment - 1) / segment)) {}

  std::int64_t units() const { return layout.samples * segments; }

  // Units that make a task worth handing to a thread.
  std::int64_t grain() const {
    return std::max<std::int64_t>(
        1, task_elements / std::clamp<std::int64_t>(layout.elements, 16, segment));
  }
};

// In the workspace: the partial sum of each unit, and the total of each sample.
template <class R>
struct Sums {
  R *partial, *total;

  Sums(const Arguments& a, const Partition& p)
      : partial(static_cast<R*>(a.workspace)), total(partial ? partial + p.units() : nullptr) {}
};

// `sums`: whether the sweep, backward or double_backward, leaves partial sums.
using Sweep = void (*)(
    const Arguments&, const Partition&, Pass, bool sums, bool streaming, std::int64_t begin,
    std::int64_t end);

}  // namespace fg::gradient_penalty

FG_DECLARE_PER_LEVEL(gradient_penalty::Sweep, gradient_penalty_sweep)
