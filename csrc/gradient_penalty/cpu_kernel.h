// CPU kernel of a sweep as a plain function over units of work. Torch-free.
#pragma once

#include <algorithm>
#include <cstdint>

#include "../common/cpu_block.h"
#include "../common/cpu_level.h"
#include "problem.h"

namespace fg::gradient_penalty {

// Division of the work into units: one segment of one sample. It doesn't depend on the number of
// threads, so sums have the same bits for any number.
struct Partition {
  static constexpr std::int64_t segment = 8192, task_elements = 32768;

  Layout layout;
  // Segments per sample. At least one, so that a sample without elements has a sum of 0.
  std::int64_t segments;

  explicit Partition(const Layout& l)
      : layout(l), segments(std::max<std::int64_t>(1, divide_up(l.elements, segment))) {}

  std::int64_t units() const { return layout.samples * segments; }

  // Number of units that make a task worth a thread.
  std::int64_t grain() const {
    return std::max<std::int64_t>(
        1, task_elements / std::clamp<std::int64_t>(layout.elements, 16, segment));
  }
};

// Content of the workspace: the partial sum of each unit, and the total of each sample.
template <class R>
struct Sums {
  R *partial, *total;

  Sums(const Arguments& a, const Partition& p)
      : partial(as<R>(a.workspace)), total(partial ? partial + p.units() : nullptr) {}
};

// With `sums`, a sweep backward or double_backward stores partial sums.
using Sweep = void (*)(
    const Arguments&, const Partition&, Pass, bool sums, bool streaming, std::int64_t begin,
    std::int64_t end);

}  // namespace fg::gradient_penalty

FG_DECLARE_PER_LEVEL(gradient_penalty::Sweep, gradient_penalty_sweep)
