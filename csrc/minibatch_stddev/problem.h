// One run of minibatch_stddev or of a derivative, in plain types: set by the glue, read by every
// kernel.
#pragma once

#include <cstdint>

#include "../common/problem.h"
#include "../common/math.h"

namespace fg::minibatch_stddev {

// Image batch without (narrow) or with (wide) the appended channels. A part of the channels is
// stored in rows of `length` elements. Contiguous memory has one row with all positions;
// channels_last has a row for each pixel.
struct Layout {
  std::int64_t group, groups, parts;  // group: samples of a group; k·groups + m is its sample k
  std::int64_t channels, pixels;
  bool channels_last;

  FG_INLINE std::int64_t rows() const { return channels_last ? pixels : 1; }
  FG_INLINE std::int64_t length() const { return channels / parts * (channels_last ? 1 : pixels); }
  FG_INLINE std::int64_t positions() const { return rows() * length(); }
  FG_INLINE std::int64_t narrow_sample() const { return channels * pixels; }
  FG_INLINE std::int64_t wide_sample() const { return (channels + parts) * pixels; }
  // Elements from row to row, only for channels_last.
  FG_INLINE std::int64_t narrow_row() const { return channels; }
  FG_INLINE std::int64_t wide_row() const { return channels + parts; }

  // Return the index of part f's appended channel at a pixel of a wide sample.
  FG_INLINE std::int64_t appended(std::int64_t f, std::int64_t pixel) const {
    return channels_last ? pixel * (channels + parts) + channels + f
                         : (channels + f) * pixels + pixel;
  }
};

// Passes and their tensors. z and σ are those of fastgan/ops/minibatch_stddev/README.md; m is a
// group and f a part.
//
// - forward: wide = x with s[m, f] appended. The sum is Σ σ.
// - backward: narrow = dy + w·z/σ, from x and dy.
// - double_backward: wide = ddx with q[m, f] appended. The sum is Σ b/σ with b = Σ_k ddx·z.
// - double_backward: narrow = w·((ddx - its mean)/σ - b·z/(G·σ³)), from x, ddx and the appended
//   channels of dy.
struct Arguments {
  Pass pass;
  DType dtype;
  Layout layout;
  // Null if absent or not needed.
  const void *x = nullptr, *ddx = nullptr;  // narrow
  const void* dy = nullptr;                 // wide
  void* narrow = nullptr;
  void* wide = nullptr;
  void* workspace = nullptr;  // elements of the accumulation type, as many as the device needs

  bool wants_sums() const { return wide != nullptr; }
  bool wants_weights() const { return narrow != nullptr; }
};

std::int64_t workspace(const Arguments& a);
void run(const Arguments& a);
int run(const Arguments& a, void* stream);

constexpr double eps = 1e-8;  // below the root

}  // namespace fg::minibatch_stddev
