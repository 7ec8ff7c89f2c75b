// The convolutions in terms of tensors. ops/conv2d/grouped.py calls them where
// cpu_has_amx().
#include "../common/cpu_level.h"
#include "../common/integers.h"
#include "../common/stable.h"
#include "problem.h"

#include <algorithm>
#include <cstdint>

namespace fg::amx {
namespace {

// A number for each axis.
struct Pair {
  std::int64_t y, x;
};

// stride, padding and dilation.
struct Options {
  Pair stride, padding, dilation;
  std::int64_t groups;
};

void parallel(std::int64_t units, const auto& f) { torch::stable::parallel_for(0, units, 1, f); }

const Bits* bits(const Tensor& t) { return static_cast<const Bits*>(t.const_data_ptr()); }
Bits* mutable_bits(Tensor& t) { return static_cast<Bits*>(t.mutable_data_ptr()); }

Tensor image(const Tensor& t) { return torch::stable::contiguous(channels_last_view(t)); }

Tensor packed(const Tensor& like, std::int64_t elements) {
  // Tiles start at cache lines.
  return empty(like, {elements + 32});
}
Bits* aligned(Tensor& t) {
  return reinterpret_cast<Bits*>(
      (reinterpret_cast<std::uintptr_t>(t.mutable_data_ptr()) + 63) / 64 * 64);
}

void check(const Tensor& t, const char* name) {
  STD_TORCH_CHECK(
      t.dim() == 4 && t.scalar_type() == ScalarType::BFloat16, name,
      " of a convolution on AMX must be a bfloat16 tensor of 4 dimensions");
}

Geometry geometry(
    const Tensor& x, std::int64_t h, std::int64_t w, std::int64_t oh, std::int64_t ow,
    std::int64_t c, std::int64_t k, std::int64_t kh, std::int64_t kw, const Options& o) {
  return {x.size(0),    h,       w,          c,          oh,          ow,          k / o.groups,
          kh,           kw,      o.stride.y, o.stride.x, o.padding.y, o.padding.x, o.dilation.y,
          o.dilation.x, o.groups};
}

std::int64_t reach(
    std::int64_t size, std::int64_t pad, std::int64_t dilation, std::int64_t kernel,
    std::int64_t stride) {
  return (size + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1;
}

Weights weights_of(const Tensor& w, Tensor& kept) {
  kept = torch::stable::contiguous(w);
  return {bits(kept), kept.stride(0), kept.stride(1)};
}

// Memory of packed weights, zero where no weight is.
Bits* packed_memory(Tensor& t, std::int64_t elements, bool has_gaps) {
  Bits* const to = aligned(t);
  if (has_gaps) {
    std::fill_n(to, elements, Bits{0});
  }
  return to;
}

// An image with zeros around it, if walks can load tiles from it as it is.
struct Padded {
  Tensor memory;
  std::int64_t top = 0, left = 0, h = 0, w = 0;
  bool is_used = false;
};

// First and last offset of an axis' taps for all walks.
struct Reach {
  std::int64_t first = 0, last = 0;

  void include(const std::vector<std::int32_t>& at) {
    for (std::int32_t t : at) {
      first = std::min<std::int64_t>(first, t);
      last = std::max<std::int64_t>(last, t);
    }
  }
};

// Pad x [n, h, w, c] by zeros. Its pixels are `rows` and `columns` of taps, `step` apart.
Padded padded(
    const Tensor& x, std::int64_t channels, std::int64_t rows, std::int64_t columns, Pair step,
    const Reach& y, const Reach& across) {
  if (channels % tile_depth != 0 || columns % tile_rows != 0) {
    return {x};
  }
  const std::int64_t n = x.size(0), h = x.size(1), w = x.size(2), c = x.size(3);
  const std::int64_t bottom = std::max(h, (rows - 1) * step.y + y.last + 1),
                     right = std::max(w, (columns - 1) * step.x + across.last + 1);
  Padded p{x, -y.first, -across.first, bottom - y.first, right - across.first, true};
  if (p.h == h && p.w == w) {
    return p;
  }
  p.memory = empty(x, {n, p.h, p.w, c});
  const Bits* const from = bits(x);
  Bits* const to = mutable_bits(p.memory);
  parallel(n * p.h, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row) {
      Bits* at = to + row * p.w * c;
      const std::int64_t source = row % p.h - p.top;
      if (source < 0 || source >= h) {
        std::fill_n(at, p.w * c, Bits{0});
        continue;
      }
      at = std::fill_n(at, p.left * c, Bits{0});
      at = std::copy_n(from + (row / p.h * h + source) * w * c, w * c, at);
      std::fill_n(at, (p.w - p.left - w) * c, Bits{0});
    }
  });
  return p;
}

void run(Walk walk, const Padded& p) {
  walk.depth = walk.taps_y * walk.taps_x * walk.in_c;
  walk.pixels = walk.n * walk.rows * walk.columns;
  if (p.is_used) {
    // Offsets of taps stay as they are: the image begins behind the zeros.
    walk.in = bits(p.memory) + (p.top * p.w + p.left) * walk.in_c * walk.groups;
    walk.in_h = p.h;
    walk.in_w = p.w;
  }
  walk.is_padded = p.is_used && walk.columns % tile_rows == 0;
  parallel(divide_up(walk.pixels, block_pixels), [&](std::int64_t first, std::int64_t last) {
    run_walk(walk, first, last);
  });
}

// Return a result [n, c, h, w] in channels_last memory. `finished` converts it unless the layouts
// are the same but for strides of one element.
Tensor result(
    const Tensor& like, bool channels_last, std::int64_t n, std::int64_t c, std::int64_t h,
    std::int64_t w) {
  return empty_images(like, channels_last || (c > 1 && h * w > 1), n, c, h, w);
}

Tensor finished(const Tensor& y, bool channels_last) {
  return channels_last ? y : torch::stable::contiguous(y);
}

Tensor conv2d(
    const Tensor& x_, const Tensor& w, bool channels_last, std::int64_t stride_y,
    std::int64_t stride_x, std::int64_t pad_y, std::int64_t pad_x, std::int64_t dilation_y,
    std::int64_t dilation_x, std::int64_t groups) {
  check(x_, "x");
  check(w, "w");
  const std::int64_t h = x_.size(2), wide = x_.size(3), kh = w.size(2), kw = w.size(3);
  const std::int64_t oh = reach(h, pad_y, dilation_y, kh, stride_y),
                     ow = reach(wide, pad_x, dilation_x, kw, stride_x);
  const Geometry g = geometry(
      x_, h, wide, oh, ow, w.size(1), w.size(0), kh, kw,
      {{stride_y, stride_x}, {pad_y, pad_x}, {dilation_y, dilation_x}, groups});
  Tensor y = result(x_, channels_last, g.n, w.size(0), oh, ow);
  if (y.numel() == 0) {
    return finished(y, channels_last);
  }
  const Tensor x = image(x_);
  Tensor kept;
  const Weights weights = weights_of(w, kept);
  const std::int64_t taps = kh * kw, depth = taps * g.c, each = packed_weights(g.k, depth);
  Tensor memory = packed(x, groups * each);
  Bits* const to =
      packed_memory(memory, groups * each, depth % tile_depth != 0 || g.k % tile_rows != 0);
  std::vector<Place> places;
  for (std::int64_t t = 0; t < taps; ++t) {
    places.push_back({to, each, divide_up(depth, tile_depth), t * g.c});
  }
  parallel(groups, [&](std::int64_t first, std::int64_t last) {
    pack_weights(g, weights, false, places.data(), first, last);
  });
  std::vector<std::int32_t> at_y, at_x;
  for (std::int64_t t = 0; t < kh; ++t) {
    at_y.push_back(static_cast<std::int32_t>(t * g.dilation_y - g.pad_y));
  }
  for (std::int64_t t = 0; t < kw; ++t) {
    at_x.push_back(static_cast<std::int32_t>(t * g.dilation_x - g.pad_x));
  }
  Reach y_reach, x_reach;
  y_reach.include(at_y);
  x_reach.include(at_x);
  const Padded source = padded(x, g.c, oh, ow, {stride_y, stride_x}, y_reach, x_reach);
  Walk walk{};
  walk.n = g.n;
  walk.groups = groups;
  walk.in = bits(x);
  walk.in_h = h;
  walk.in_w = wide;
  walk.in_c = g.c;
  walk.out = mutable_bits(y);
  walk.out_h = walk.rows = oh;
  walk.out_w = walk.columns = ow;
  walk.out_c = g.k;
  walk.every_y = walk.every_x = 1;
  walk.step_y = g.stride_y;
  walk.step_x = g.stride_x;
  walk.at_y = at_y.data();
  walk.at_x = at_x.data();
  walk.taps_y = kh;
  walk.taps_x = kw;
  walk.weights = to;
  run(walk, source);
  return finished(y, channels_last);
}

// Taps of an axis that reach the pixels first, first + stride, …, and their offsets in dy.
struct Reaching {
  std::vector<std::int64_t> taps;
  std::vector<std::int32_t> at;

  Reaching(
      std::int64_t first, std::int64_t kernel, std::int64_t stride, std::int64_t pad,
      std::int64_t dilation) {
    for (std::int64_t t = 0; t < kernel; ++t) {
      const std::int64_t offset = first + pad - t * dilation;
      if (offset % stride == 0) {
        taps.push_back(t);
        at.push_back(static_cast<std::int32_t>(offset / stride));
      }
    }
  }
};

// Return the gradient of an image of height and width `size`.
Tensor conv2d_input(
    const Tensor& dy_, const Tensor& w, std::int64_t h, std::int64_t wide, bool channels_last,
    std::int64_t stride_y, std::int64_t stride_x, std::int64_t pad_y, std::int64_t pad_x,
    std::int64_t dilation_y, std::int64_t dilation_x, std::int64_t groups) {
  check(dy_, "dy");
  check(w, "w");
  const std::int64_t kh = w.size(2), kw = w.size(3);
  const Geometry g = geometry(
      dy_, h, wide, dy_.size(2), dy_.size(3), w.size(1), w.size(0), kh, kw,
      {{stride_y, stride_x}, {pad_y, pad_x}, {dilation_y, dilation_x}, groups});
  Tensor dx = result(dy_, channels_last, g.n, groups * g.c, h, wide);
  if (dx.numel() == 0) {
    return finished(dx, channels_last);
  }
  const Tensor dy = image(dy_);
  Tensor kept;
  const Weights weights = weights_of(w, kept);
  std::vector<Reaching> rows, columns;
  for (std::int64_t i = 0; i < g.stride_y; ++i) {
    rows.emplace_back(i, kh, g.stride_y, g.pad_y, g.dilation_y);
  }
  for (std::int64_t i = 0; i < g.stride_x; ++i) {
    columns.emplace_back(i, kw, g.stride_x, g.pad_x, g.dilation_x);
  }
  std::int64_t elements = 0;
  bool has_gaps = g.c % tile_rows != 0, is_covered = true;
  std::vector<std::int64_t> starts;
  for (const Reaching& y : rows) {
    for (const Reaching& x : columns) {
      const auto depth = static_cast<std::int64_t>(y.taps.size() * x.taps.size()) * g.k;
      starts.push_back(elements);
      elements += groups * packed_weights(g.c, depth);
      has_gaps = has_gaps || depth % tile_depth != 0;
      is_covered = is_covered && depth > 0;
    }
  }
  if (!is_covered) {
    // Strides pass over these pixels.
    torch::stable::zero_(dx);
  }
  Tensor memory = packed(dy, elements);
  Bits* const to = packed_memory(memory, elements, has_gaps);
  std::vector<Place> places(static_cast<std::size_t>(kh * kw));
  std::size_t phase = 0;
  for (const Reaching& y : rows) {
    for (const Reaching& x : columns) {
      Bits* const start = to + starts[phase++];
      const auto taps = static_cast<std::int64_t>(y.taps.size() * x.taps.size());
      std::int64_t t = 0;
      for (std::int64_t ty : y.taps) {
        for (std::int64_t tx : x.taps) {
          places[static_cast<std::size_t>(ty * kw + tx)] = {
              start, packed_weights(g.c, taps * g.k), divide_up(taps * g.k, tile_depth), t++ * g.k};
        }
      }
    }
  }
  parallel(groups, [&](std::int64_t first, std::int64_t last) {
    pack_weights(g, weights, true, places.data(), first, last);
  });
  Reach y_reach, x_reach;
  for (const Reaching& y : rows) {
    y_reach.include(y.at);
  }
  for (const Reaching& x : columns) {
    x_reach.include(x.at);
  }
  const Padded source = padded(
      dy, g.k, divide_up(h, g.stride_y), divide_up(wide, g.stride_x), {1, 1}, y_reach, x_reach);
  Walk walk{};
  walk.n = g.n;
  walk.groups = groups;
  walk.in = bits(dy);
  walk.in_h = g.oh;
  walk.in_w = g.ow;
  walk.in_c = g.k;
  walk.out = mutable_bits(dx);
  walk.out_h = h;
  walk.out_w = wide;
  walk.out_c = g.c;
  walk.every_y = g.stride_y;
  walk.every_x = g.stride_x;
  walk.step_y = walk.step_x = 1;
  phase = 0;
  for (std::int64_t i = 0; i < g.stride_y; ++i) {
    for (std::int64_t j = 0; j < g.stride_x; ++j) {
      Reaching &y = rows[static_cast<std::size_t>(i)], &x = columns[static_cast<std::size_t>(j)];
      Bits* const start = to + starts[phase++];
      const auto taps_y = static_cast<std::int64_t>(y.taps.size()),
                 taps_x = static_cast<std::int64_t>(x.taps.size());
      const std::int64_t high = divide_up(h - i, g.stride_y),
                         long_ = divide_up(wide - j, g.stride_x);
      if (high <= 0 || long_ <= 0 || taps_y * taps_x == 0) {
        continue;
      }
      walk.rows = high;
      walk.columns = long_;
      walk.first_y = i;
      walk.first_x = j;
      walk.at_y = y.at.data();
      walk.at_x = x.at.data();
      walk.taps_y = taps_y;
      walk.taps_x = taps_x;
      walk.weights = start;
      run(walk, source);
    }
  }
  return finished(dx, channels_last);
}

// A tap of an axis: its phase, and places from the grid's own to the pixel that it reads.
struct Tap {
  std::int64_t phase, places;
};

// An axis of a weight gradient's grid.
struct Axis {
  std::int64_t length, before;  // places, and zeros in front of the image
  std::vector<Tap> taps;

  struct Sizes {
    std::int64_t in, out, kernel, stride, pad, dilation;
  };

  explicit Axis(const Sizes& s) {
    std::int64_t least = 0, farthest = 0;
    for (std::int64_t t = 0; t < s.kernel; ++t) {
      const std::int64_t at = t * s.dilation - s.pad, phase = (at % s.stride + s.stride) % s.stride,
                         places = (at - phase) / s.stride;
      taps.push_back({phase, places});
      least = std::min(least, places);
      farthest = t == 0 ? places : std::max(farthest, places);
    }
    before = -least;
    for (Tap& tap : taps) {
      tap.places += before;
    }
    const std::int64_t reach = farthest + before,
                       behind = s.out + farthest - divide_up(s.in, s.stride);
    length = s.out + reach - std::clamp<std::int64_t>(behind, 0, std::min(before, reach));
  }
};

Tensor conv2d_weight(
    const Tensor& dy_, const Tensor& x_, std::int64_t kh, std::int64_t kw, std::int64_t stride_y,
    std::int64_t stride_x, std::int64_t pad_y, std::int64_t pad_x, std::int64_t dilation_y,
    std::int64_t dilation_x, std::int64_t groups) {
  check(dy_, "dy");
  check(x_, "x");
  const Geometry g = geometry(
      x_, x_.size(2), x_.size(3), dy_.size(2), dy_.size(3), x_.size(1) / groups, dy_.size(1), kh,
      kw, {{stride_y, stride_x}, {pad_y, pad_x}, {dilation_y, dilation_x}, groups});
  Tensor dw = empty(x_, {groups * g.k, g.c, g.kh, g.kw});
  if (dw.numel() == 0) {
    return dw;
  }
  const std::int64_t pixels = g.n * g.oh * g.ow;
  if (pixels == 0) {
    return torch::stable::fill_(dw, 0.0);
  }
  const Tensor dy = image(dy_), x = image(x_);
  const Axis y_axis({g.h, g.oh, kh, stride_y, pad_y, dilation_y}),
      x_axis({g.w, g.ow, kw, stride_x, pad_x, dilation_x});
  std::vector<Phase> phases;
  std::vector<Reached> taps;
  for (const Tap& ty : y_axis.taps) {
    for (const Tap& tx : x_axis.taps) {
      const auto same = [&](const Phase& p) { return p.y == ty.phase && p.x == tx.phase; };
      const auto found = std::find_if(phases.begin(), phases.end(), same);
      taps.push_back({found - phases.begin(), ty.places * x_axis.length + tx.places});
      if (found == phases.end()) {
        phases.push_back({ty.phase, tx.phase});
      }
    }
  }
  WeightGradient a{};
  a.shape = g;
  a.x = bits(x);
  a.dy = bits(dy);
  a.dw = mutable_bits(dw);
  a.grid_h = y_axis.length;
  a.grid_w = x_axis.length;
  a.top = y_axis.before;
  a.left = x_axis.before;
  a.phases = phases.data();
  a.phase_count = static_cast<std::int64_t>(phases.size());
  a.taps = taps.data();
  for (const Reached& tap : taps) {
    a.reach = std::max(a.reach, tap.places);
  }
  Tensor memory = packed(x, packed_columns(a));
  a.columns = aligned(memory);
  parallel(column_tiles(a), [&](std::int64_t first, std::int64_t last) {
    pack_columns(a, first, last);
  });
  parallel(weight_units(g), [&](std::int64_t first, std::int64_t last) {
    run_weight_gradient(a, first, last);
  });
  return dw;
}

}  // namespace
}  // namespace fg::amx

#define GEOMETRY                                                                       \
  "int stride_y, int stride_x, int pad_y, int pad_x, int dilation_y, int dilation_x, " \
  "int groups"

STABLE_TORCH_LIBRARY_FRAGMENT(fastgan_runtime, m) {
  m.def("amx_is_available() -> bool");
  m.def("amx_conv2d(Tensor x, Tensor w, bool channels_last, " GEOMETRY ") -> Tensor");
  m.def(
      "amx_conv2d_input(Tensor dy, Tensor w, int h, int w_, bool channels_last, " GEOMETRY
      ") -> Tensor");
  m.def("amx_conv2d_weight(Tensor dy, Tensor x, int kh, int kw, " GEOMETRY ") -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(fastgan_runtime, CompositeExplicitAutograd, m) {
  m.impl("amx_is_available", TORCH_BOX(&fg::cpu_has_amx));
  m.impl("amx_conv2d", TORCH_BOX(&fg::amx::conv2d));
  m.impl("amx_conv2d_input", TORCH_BOX(&fg::amx::conv2d_input));
  m.impl("amx_conv2d_weight", TORCH_BOX(&fg::amx::conv2d_weight));
}
