// The CPU kernel of upfirdn2d as a plain function over blocks of the output. Torch-free.
#pragma once

#include <cstdint>

#include "../common/cpu_block.h"
#include "../common/cpu_level.h"
#include "problem.h"

namespace fg::upfirdn2d {

// One tap of a phase: the input that it meets, relative to q·advance, what that is multiplied by, and its place in the filter.
template <class R>
struct Term {
  std::int64_t at;
  R weight;
  std::int64_t tap;
};

// An axis, as the kernel reads it: phase r has terms[begin[r]] to terms[begin[r + 1]], in the order of `at`.
template <class R>
struct Bank {
  std::int64_t period, advance;
  std::int64_t lowest,
      reach;  // of all terms: the least `at`, and how many inputs there are from it to the greatest
  const std::int64_t* begin;
  const Term<R>* terms;
};

// How the output is cut into blocks. The cut changes no result: every output is summed in the order of its taps.
struct Cut {
  std::int64_t width, height;  // of a block, in periods
  std::int64_t across, down;   // blocks of an image
  std::int64_t split;          // pixels of a staged row in each array, where it is split
  std::int64_t staged_row;     // elements of a staged row
  std::int64_t staged, planar, result, widened;  // elements of a thread's buffers
};

template <class R>
struct Plan {
  Bank<R> y;
  const Bank<R>* x;  // one of a separable filter, else one for each row of taps
  Cut cut;
};

// What one thread works in; made by the caller, because nothing here may allocate.
template <class R>
struct Workspace {
  R *staged, *planar, *result, *widened;
  const R** sources;
  R* weights;
};

// Channels that are worth a loop of their own at each pixel.
static constexpr std::int64_t long_inner = 16;

// Whether a staged row is split into an array for each remainder of the advance.
static constexpr bool splits(std::int64_t advance, std::int64_t inner) {
  return advance > 1 && inner < long_inner;
}

template <class R>
using RunBlocks = void (*)(
    const Arguments&, const Plan<R>&, const Workspace<R>&, bool streaming, std::int64_t begin,
    std::int64_t end);

struct Kernels {
  RunBlocks<float> single;
  RunBlocks<double> twice;
};

}  // namespace fg::upfirdn2d

FG_DECLARE_PER_LEVEL(upfirdn2d::Kernels, upfirdn2d_kernels)
