// One run of minibatch_stddev or of a derivative, in plain types: what the glue fills in and every kernel reads.
#pragma once

#include <cstdint>

#include "../common/dtype.h"
#include "../common/math.h"

namespace fg::minibatch_stddev {

// An image without (narrow) or with (wide) the appended channels. A part of the channels lies in rows of `length` elements:
// one row of all its positions in contiguous memory, a row for each pixel in channels_last.
struct Layout {
  std::int64_t group, groups, parts;  // samples of a group, of which sample k is k·groups + m
  std::int64_t channels, pixels;
  bool channels_last;

  FG_INLINE std::int64_t rows() const { return channels_last ? pixels : 1; }
  FG_INLINE std::int64_t length() const { return channels / parts * (channels_last ? 1 : pixels); }
  FG_INLINE std::int64_t positions() const { return rows() * length(); }
  FG_INLINE std::int64_t narrow_sample() const { return channels * pixels; }
  FG_INLINE std::int64_t wide_sample() const { return (channels + parts) * pixels; }
  FG_INLINE std::int64_t narrow_row() const {
    return channels;
  }  // from row to row, of channels_last alone
  FG_INLINE std::int64_t wide_row() const { return channels + parts; }

  // Where part f's appended channel is at a pixel of a wide sample.
  FG_INLINE std::int64_t appended(std::int64_t f, std::int64_t pixel) const {
    return channels_last ? pixel * (channels + parts) + channels + f
                         : (channels + f) * pixels + pixel;
  }
};

// z, sigma: of fastgan/ops/minibatch_stddev/README.md; m and f: group and part.
//
// forward          wide = x, and behind it s[m, f]                            sum = Σ σ
// backward         narrow = wide_in + w·z/σ, from x and wide_in = dy
// double_backward  wide = ddx, and behind it q[m, f]                          sum = Σ b/σ, b = Σ_k ddx·z
//                  narrow = w·((ddx - its mean)/σ - b·z/(G·σ³)), from x, ddx and dy's last channels
enum class Pass { forward, backward, double_backward };

struct Arguments {
  Pass pass;
  DType dtype;
  Layout layout;
  // Null where absent or not wanted.
  const void *x = nullptr, *ddx = nullptr;  // narrow
  const void* dy = nullptr;                 // wide
  void* narrow = nullptr;
  void* wide = nullptr;
  void* workspace = nullptr;  // as many elements of the accumulation type as the device asked for

  bool wants_sums() const { return wide != nullptr; }
  bool wants_weights() const { return narrow != nullptr; }
};

constexpr double eps = 1e-8;  // under the root

}  // namespace fg::minibatch_stddev
