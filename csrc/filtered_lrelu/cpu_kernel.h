// CPU kernel of filtered_lrelu as a plain function over tiles of the output. Torch-free.
#pragma once

#include <cstdint>

#include "../common/cpu_block.h"
#include "../common/cpu_level.h"
#include "problem.h"

namespace fg::filtered_lrelu {

// A bank of small filters, one for each phase. Phase r has `count` weights, its first input is at
// `first` relative to the period.
template <class R>
struct Phase {
  std::int64_t first, count;
  const R* weights;
};

// Division of the output into tiles: strips of rows of some columns and channels. It changes no
// result: every pixel is summed in the order of its taps.
struct Cut {
  std::int64_t lanes;   // channels of a tile; 1 if images are contiguous
  std::int64_t width;   // outputs along x, a multiple of period_out
  std::int64_t height;  // outputs along y; its upsampled rows start at a byte of codes
  std::int64_t slices, across, strips;  // tiles of an image
  std::int64_t length;                  // input pixels along x of a tile
  // Elements of an array of the input, of a plane and of the result: whole vectors. What lies
  // beyond the tile is computed too, from any numbers, and is not used.
  std::int64_t staged, plane, result;
  std::int64_t input_rows, rows;  // rows of both rings
};

// Upsampled columns are split into `planes` arrays by their remainder, and input columns into
// `advance` arrays. All sums then run over neighbouring elements. A period has `planes` upsampled
// columns, `advance` input columns and `period_out` outputs.
template <class R>
struct Plan {
  std::int64_t planes, advance, period_out;
  std::int64_t lowest;  // the least `first` of the phases along x
  // [rows of the filter, 1 if separable][planes]
  const Phase<R>* up_x;
  // [up]; the weights of a filter that isn't separable are 1.
  const Phase<R>* up_y;
  // Row of the filter of the first tap of each phase of up_y.
  const std::int64_t* up_row;
  // [rows of the filter, 1 if separable][taps_down]
  const R* down_x;
  const R* down_y;
  // Columns that the phases of upsampling and the outputs of a period meet.
  std::int64_t input_columns, plane_columns;
  bool up_separable, down_separable;
  R slope, clamp;
  Cut cut;
};

// Memory of one thread. The caller allocates it because kernels must not.
template <class R>
struct Workspace {
  R* bias;                            // [lanes]
  R* line;                            // an input row or an output row
  R* input;                           // ring of input rows, [advance] arrays each
  R* tall;                            // an input row filtered along y
  R* ring;                            // ring of upsampled rows, [planes] arrays each
  R* flat;                            // upsampled rows filtered along y
  R* result;                          // [period_out] arrays
  std::uint32_t* codes;               // the codes of four rows, [planes] arrays
  std::uint8_t* bytes;                // the same in the order of columns
  std::int64_t *input_at, *plane_at;  // places of columns in arrays
  const R** sources;
  R* weights;
};

template <class R>
using RunTiles = void (*)(
    const Arguments&, const Plan<R>&, const Workspace<R>&, std::int64_t begin, std::int64_t end);

struct Kernels {
  RunTiles<float> single;
  RunTiles<double> twice;
};

}  // namespace fg::filtered_lrelu

FG_DECLARE_PER_LEVEL(filtered_lrelu::Kernels, filtered_lrelu_kernels)
