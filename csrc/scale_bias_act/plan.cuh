// Division of scale_bias_act into blocks on a GPU.
//
// Memory is [batch][rows][columns]. Rows are channels and columns are pixels; in channels_last it
// is the other way round. A block has `lanes` threads along a row by `height` rows. A thread has a
// few columns and walks down rows.
#pragma once

#include <algorithm>
#include <iterator>
#include <type_traits>

#include "../common/fg_platform.cuh"
#include "problem.h"

namespace fg::scale_bias_act {

constexpr int warp = 32;
constexpr std::int64_t grid_limit = 0x7fffffff;

// The plan depends on the shape, the type and the alignment of rows to 16 bytes. So do the partial
// sums.
struct Plan {
  static constexpr int threads = 256;
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

// Return the columns of a thread: 16 bytes of them, or one. float64 always has one; it serves as a
// check of other types.
constexpr int columns_of_thread(std::int64_t element_bytes, bool wide) {
  return wide && element_bytes < 8 ? 16 / static_cast<int>(element_bytes) : 1;
}

inline std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// Return the smallest power of two from `least` to `most` that is at least `n`, or `most`.
inline int power_of_two(std::int64_t n, int least, int most) {
  int power = least;
  while (power < most && power < n) {
    power *= 2;
  }
  return power;
}

// Test if all accesses along a row are at multiples of 16 bytes.
inline bool is_wide(const Arguments& a, std::int64_t columns, std::int64_t element_bytes) {
  const bool last = a.layout.channels_last;
  const void* const pointers[] = {
      a.x,
      a.dy,
      a.ddx,
      a.out,
      a.out_x,
      last ? a.scale : a.noise,
      last ? a.b : nullptr,
      last ? a.ddscale : a.ddnoise,
      last ? a.ddb : nullptr};
  return columns * element_bytes % 16 == 0 &&
         std::all_of(std::begin(pointers), std::end(pointers), [](const void* p) {
           return reinterpret_cast<std::uintptr_t>(p) % 16 == 0;
         });
}

inline Plan make_plan(const Arguments& a) {
  const Layout& l = a.layout;
  const std::int64_t element_bytes = bytes_of(a.dtype);
  Plan p{};
  p.batch = l.batch;
  p.channels_last = l.channels_last;
  p.rows = l.channels_last ? l.pixels : l.channels;
  p.columns = l.channels_last ? l.channels : l.pixels;
  p.wide = is_wide(a, p.columns, element_bytes);
  const int elements = columns_of_thread(element_bytes, p.wide);
  p.lanes = power_of_two(divide_up(p.columns, elements), 1, warp);
  p.height = power_of_two(p.rows, warp / p.lanes, Plan::threads / p.lanes);
  p.tiles = divide_up(p.columns, std::int64_t{p.lanes} * elements);
  const std::int64_t steps = divide_up(p.rows, p.height), blocks = p.batch * p.tiles * steps;
  const std::int64_t most =
      std::clamp(blocks / Plan::enough_blocks, Plan::least_steps, Plan::most_steps);
  // All chunks get about the same number of steps.
  const std::int64_t block_steps = divide_up(steps, divide_up(steps, most));
  p.block_rows = static_cast<int>(p.height * block_steps);
  p.chunks = divide_up(steps, block_steps);
  return p;
}

// Call f with constants of a kernel: curved activation, channels_last, and columns of a thread.
// Kernels with one column are slow anyway, and work for any activation.
template <class T, class F>
cudaError_t with_variant(const Plan& p, bool curved, F&& f) {
  const auto with_layout = [&](auto of_activation, auto columns) {
    return p.channels_last ? f(of_activation, std::true_type{}, columns)
                           : f(of_activation, std::false_type{}, columns);
  };
  constexpr int wide = columns_of_thread(sizeof(T), true);
  if constexpr (wide > 1) {
    if (p.wide) {
      const std::integral_constant<int, wide> columns{};
      return curved ? with_layout(std::true_type{}, columns)
                    : with_layout(std::false_type{}, columns);
    }
  }
  return with_layout(std::true_type{}, std::integral_constant<int, 1>{});
}

}  // namespace fg::scale_bias_act
