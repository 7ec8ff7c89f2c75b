// Division of scale_bias_act into blocks on a GPU.
//
// Memory is [batch][rows][columns]. Rows are channels and columns are pixels; in channels_last it
// is the other way round. A block has `lanes` threads along a row by `height` rows. A thread has a
// few columns and walks down rows.
#pragma once

#include "../common/launch.cuh"
#include "problem.h"

namespace fg::scale_bias_act {

// The plan depends on the shape, the type and the alignment of rows to 16 bytes. So do the partial
// sums.
struct Plan {
  // Steps are rows of a thread.
  static constexpr std::int64_t enough_blocks = 2048, least_steps = 2, most_steps = 64;

  std::int64_t batch, rows, columns;
  std::int64_t tiles, chunks;  // blocks along a row, and along the rows
  int lanes, height;           // powers of two; at least a warp together
  int block_rows;
  bool channels_last, wide;

  // Partial sums are [batch][parts][channels] and [batch][parts][pixels].
  std::int64_t channel_parts() const { return channels_last ? chunks : tiles; }
  std::int64_t pixel_parts() const { return channels_last ? tiles : chunks; }
  std::int64_t channel_sums(const Layout& l) const { return batch * channel_parts() * l.channels; }
  std::int64_t pixel_sums(const Layout& l) const { return batch * pixel_parts() * l.pixels; }
  std::int64_t workspace(const Arguments& a) const {
    const int by_channel = (a.dscale != nullptr) + (a.db != nullptr);
    return by_channel * channel_sums(a.layout) + (a.dnoise ? pixel_sums(a.layout) : 0);
  }

  bool fits_a_grid() const {
    return tiles <= grid_limit / batch && chunks <= grid_limit / (batch * tiles);
  }
};

// Plan a walk over images. `aligned` is true if 128-bit accesses can start at every row.
inline Plan make_plan(const Layout& l, DType dtype, bool aligned) {
  const std::int64_t element_bytes = bytes_of(dtype);
  Plan p{};
  p.batch = l.batch;
  p.channels_last = l.channels_last;
  p.rows = l.channels_last ? l.pixels : l.channels;
  p.columns = l.channels_last ? l.channels : l.pixels;
  p.wide = aligned && dtype != DType::f64 && p.columns * element_bytes % 16 == 0;
  const std::int64_t elements = p.wide ? 16 / element_bytes : 1;  // of a thread, along a row
  p.lanes = power_of_two(divide_up(p.columns, elements), 1, warp);
  p.height = power_of_two(p.rows, warp / p.lanes, block_threads / p.lanes);
  p.tiles = divide_up(p.columns, p.lanes * elements);
  const std::int64_t steps = divide_up(p.rows, p.height), blocks = p.batch * p.tiles * steps;
  const std::int64_t most =
      std::clamp(blocks / Plan::enough_blocks, Plan::least_steps, Plan::most_steps);
  // All chunks get about the same number of steps.
  const std::int64_t block_steps = divide_up(steps, divide_up(steps, most));
  p.block_rows = static_cast<int>(p.height * block_steps);
  p.chunks = divide_up(steps, block_steps);
  return p;
}

inline Plan make_plan(const Arguments& a) {
  const bool last = a.layout.channels_last;
  const bool aligned =
      are_aligned({a.x, a.dy, a.ddx, a.out, a.out_x}) &&
      (last ? are_aligned({a.scale, a.b, a.ddscale, a.ddb}) : are_aligned({a.noise, a.ddnoise}));
  return make_plan(a.layout, a.dtype, aligned);
}

// Call f with constants of a kernel: curved activation, channels_last, and columns of a thread.
// Kernels with one column are slow anyway, and work for any activation.
template <class T, class F>
cudaError_t with_variant(const Plan& p, bool curved, F&& f) {
  return with_flag(p.channels_last, [&](auto last) {
    constexpr int wide = access_width<T>;
    if constexpr (wide > 1) {
      if (p.wide) {
        return with_flag(curved, [&](auto is_curved) {
          return f(is_curved, last, std::integral_constant<int, wide>{});
        });
      }
    }
    return f(std::true_type{}, last, std::integral_constant<int, 1>{});
  });
}

}  // namespace fg::scale_bias_act
