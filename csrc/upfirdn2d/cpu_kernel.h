// CPU kernel of upfirdn2d as a plain function over blocks of the output. Torch-free.
#pragma once

#include <cstdint>

#include "../common/cpu_block.h"
#include "../common/cpu_level.h"
#include "problem.h"

namespace fg::upfirdn2d {

// One tap of a phase: its input relative to q·advance, its weight, and its index in the filter.
template <class R>
struct Term {
  std::int64_t at;
  R weight;
  std::int64_t tap;
};

// The kernel's form of an axis. Phase r has terms[begin[r]] to terms[begin[r + 1]], ordered by
// `at`.
template <class R>
struct Bank {
  std::int64_t period, advance;
  // The least `at` of all terms, and the number of inputs from there to the greatest.
  std::int64_t lowest, reach;
  const std::int64_t* begin;
  const Term<R>* terms;
};

// Division of the output into blocks. It changes no result: every output is summed in the order of
// its taps.
struct Cut {
  std::int64_t width, height;                    // of a block, in periods
  std::int64_t across, down;                     // blocks per image
  std::int64_t split;                            // pixels of a staged row per array, if it is split
  std::int64_t staged_row;                       // elements of a staged row
  std::int64_t staged, planar, result, widened;  // elements of a thread's buffers
};

template <class R>
struct Plan {
  Bank<R> y;
  const Bank<R>* x;  // one for a separable filter, else one for each row of taps
  Cut cut;
  std::int64_t planes;  // that a block has side by side: `group`, or 1
};

// Memory of one thread. The caller allocates it because kernels must not. In a group, `widened` has
// its images, `result` its results, and `planar` either one as the tensor has it, for half types or
// an epilogue. `parameters` has the epilogue's scale and b of an image in channels_last.
template <class R>
struct Workspace {
  R *staged, *planar, *result, *widened, *parameters;
  const R** sources;
  R* weights;
};

// From so many channels on, each pixel has a loop over them.
static constexpr std::int64_t long_inner = 16;

// Small images of one channel are worked on in groups, with their planes side by side like
// channels. A group's buffers stay in L1.
static constexpr std::int64_t group = 16, group_pixels = 256;

// Test if a staged row is split into an array for each remainder of the advance.
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
