// grid_sample on the CPU. A block of points is located once for all channels. The loops run over
// the points of a plane, or in channels_last over the channels of one point.
#include <type_traits>
#include <vector>

#include "../common/cpu.h"
#include "place.h"
#include "problem.h"

namespace fg::grid_sample {

// L1 holds the positions of so many points, and their pixels of one channel.
inline constexpr int point_block = 256;

// Division of the work into units: blocks of points for the sweep over points, groups of an image's
// channels for the sweep into pixels. No two units write to the same pixel, and each adds to its
// own in the order of the points.
struct Partition {
  static constexpr std::int64_t task_elements = 32768;

  std::int64_t blocks;            // per image, of its points
  std::int64_t channels, groups;  // channels per group, the last may have fewer; groups per image

  explicit Partition(const Layout& l) : blocks(divide_up(l.points, point_block)) {
    const std::int64_t least = l.channels_last ? 16 : 1, most = l.channels_last ? 64 : 4;
    channels = std::max<std::int64_t>(
        1, std::min(std::clamp(l.images * l.channels / 16, least, most), l.channels));
    groups = divide_up(l.channels, channels);
  }
};

// Compute units from `begin` to `end` of images * blocks.
using Points = void (*)(const Arguments&, const Partition&, std::int64_t begin, std::int64_t end);

// Compute the unit of a group of an image. For half types, `sums` has a zero for each of its
// elements; otherwise it is null.
using Pixels = void (*)(const Arguments&, const Partition&, std::int64_t unit, float* sums);

}  // namespace fg::grid_sample

FG_DECLARE_PER_LEVEL(grid_sample::Points, grid_sample_points)
FG_DECLARE_PER_LEVEL(grid_sample::Pixels, grid_sample_pixels)

#if defined(FG_CPU_LEVEL)

namespace fg::FG_CPU_LEVEL {
namespace {

using namespace fg::grid_sample;

// One block of points. Its corners are the pixels at (first, next) x (first, next), from upper left
// and upper right to lower left and lower right.
template <class R>
struct Block {
  R tx[point_block], ty[point_block], slope_x[point_block], slope_y[point_block], bx[point_block],
      by[point_block];
  std::int32_t pixel[4][point_block];  // 0 if outside
  std::int32_t inside[4][point_block];
};

template <class R>
FG_LOCAL void place_points(
    const Arguments& a, std::int64_t image, std::int64_t start, int n, Block<R>& k) {
  const Axis<R> x = axis_of<R>(a, a.layout.width), y = axis_of<R>(a, a.layout.height);
  const std::int32_t width = static_cast<std::int32_t>(a.layout.width);
  const R* const grid = as<R>(a.grid) + 2 * (image * a.layout.points + start);
  const auto place = [&](auto padding) {
    Axis<R> along_x = x, along_y = y;
    along_x.padding = along_y.padding = decltype(padding)::value;
    FG_NO_ALIAS
    for (int i = 0; i < n; ++i) {
      const Place<R> u = place_of(along_x, grid[2 * i]), v = place_of(along_y, grid[2 * i + 1]);
      const std::int32_t first = v.first * width + u.first;
      const bool inside[4] = {
          v.has_first && u.has_first, v.has_first && u.has_next, v.has_next && u.has_first,
          v.has_next && u.has_next};
      k.tx[i] = u.t;
      k.ty[i] = v.t;
      k.slope_x[i] = u.slope;
      k.slope_y[i] = v.slope;
      k.pixel[0][i] = inside[0] ? first : 0;
      k.pixel[1][i] = inside[1] ? first + 1 : 0;
      k.pixel[2][i] = inside[2] ? first + width : 0;
      k.pixel[3][i] = inside[3] ? first + width + 1 : 0;
      for (int c = 0; c < 4; ++c) {
        k.inside[c][i] = inside[c];
      }
    }
  };
  switch (a.padding) {
    case Padding::zeros:
      place(std::integral_constant<Padding, Padding::zeros>());
      break;
    case Padding::border:
      place(std::integral_constant<Padding, Padding::border>());
      break;
    case Padding::reflection:
      place(std::integral_constant<Padding, Padding::reflection>());
  }
  const R* const b = a.b ? as<R>(a.b) + 2 * (image * a.layout.points + start) : nullptr;
  for (int i = 0; i < n; ++i) {
    k.bx[i] = b ? b[2 * i] : R(0);
    k.by[i] = b ? b[2 * i + 1] : R(0);
  }
}

// The four pixels of each element of a loop.
template <class R>
struct Corners {
  const R* of[4];
};

FG_LOCAL float number(float x) { return x; }
FG_LOCAL double number(double x) { return x; }
FG_LOCAL float number(f16 x) { return widen(x); }
FG_LOCAL float number(bf16 x) { return widen(x); }

template <class T, class R>
FG_LOCAL Corners<R> gather(const T* plane, const Block<R>& k, int n, R (&buffers)[4][point_block]) {
  for (int c = 0; c < 4; ++c) {
    R* const to = buffers[c];
    const std::int32_t *const pixel = k.pixel[c], *const inside = k.inside[c];
    FG_NO_ALIAS
    for (int i = 0; i < n; ++i) {
      const R found = number(plane[pixel[i]]);
      to[i] = inside[i] ? found : R(0);
    }
  }
  return {{buffers[0], buffers[1], buffers[2], buffers[3]}};
}

// Compute element i of a loop that starts at the point `at`. Step is 1 over points, and 0 over the
// channels of one point.
template <int Step, class R>
FG_LOCAL Jet<R> jet_at(const Corners<R>& c, const Block<R>& k, int at, int i) {
  const int j = at + Step * i;
  return jet_of(
      c.of[0][i], c.of[1][i], c.of[2][i], c.of[3][i], k.tx[j], k.ty[j], k.slope_x[j], k.slope_y[j]);
}

template <int Step, class R>
FG_LOCAL void values(
    const Corners<R>& p, const Corners<R>* q, const Block<R>& k, int at, R* out, int n) {
  if (!q) {
    FG_NO_ALIAS
    for (int i = 0; i < n; ++i) {
      out[i] = jet_at<Step>(p, k, at, i).value;
    }
    return;
  }
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    const Jet<R> turn = jet_at<Step>(*q, k, at, i);
    const int j = at + Step * i;
    out[i] = jet_at<Step>(p, k, at, i).value + (k.bx[j] * turn.x + k.by[j] * turn.y);
  }
}

// Compute each element's term of the gradient of the grid.
template <int Step, class R>
FG_LOCAL void slopes(
    const Corners<R>& p, const Corners<R>* q, const R* v, const Block<R>& k, int at, R* along_x,
    R* along_y, int n) {
  if (!q) {
    FG_NO_ALIAS
    for (int i = 0; i < n; ++i) {
      const Jet<R> jet = jet_at<Step>(p, k, at, i);
      along_x[i] = v[i] * jet.x;
      along_y[i] = v[i] * jet.y;
    }
    return;
  }
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    const Jet<R> jet = jet_at<Step>(p, k, at, i);
    const R turn = jet_at<Step>(*q, k, at, i).xy;
    const int j = at + Step * i;
    along_x[i] = v[i] * (jet.x + k.by[j] * turn);
    along_y[i] = v[i] * (jet.y + k.bx[j] * turn);
  }
}

// ---- over points

template <class T, class R>
FG_LOCAL void points_of_planes(
    const Arguments& a, const Block<R>& k, std::int64_t image, std::int64_t start, int n) {
  alignas(64) R p_buffers[4][point_block] = {}, q_buffers[4][point_block], from[point_block],
                to[point_block];
  alignas(64) R along_x[point_block], along_y[point_block], sums_x[point_block] = {},
                                                            sums_y[point_block] = {};
  const Layout& l = a.layout;
  Corners<R> p = {{p_buffers[0], p_buffers[1], p_buffers[2], p_buffers[3]}}, q{};
  for (std::int64_t c = image * l.channels; c < (image + 1) * l.channels; ++c) {
    if (a.p) {
      p = gather(as<T>(a.p) + c * l.pixels(), k, n, p_buffers);
    }
    if (a.q) {
      q = gather(as<T>(a.q) + c * l.pixels(), k, n, q_buffers);
    }
    const Corners<R>* const turn = a.q ? &q : nullptr;
    const std::int64_t first = c * l.points + start;
    if (a.out) {
      R* const out = target(a.dtype, a.out, first, to, false);
      values<1>(p, turn, k, 0, out, n);
      store(a.dtype, a.out, first, out, n, false);
    }
    if (a.dgrid) {
      slopes<1>(p, turn, load(a.dtype, a.v, first, from, n), k, 0, along_x, along_y, n);
      for (int i = 0; i < n; ++i) {
        sums_x[i] += along_x[i];
        sums_y[i] += along_y[i];
      }
    }
  }
  if (a.dgrid) {
    R* const dgrid = as<R>(a.dgrid) + 2 * (image * l.points + start);
    for (int i = 0; i < n; ++i) {
      dgrid[2 * i] = sums_x[i];
      dgrid[2 * i + 1] = sums_y[i];
    }
  }
}

// Return the channels from `c` on of the four pixels of point i; zeros for pixels outside.
template <class R>
FG_LOCAL Corners<R> rows_at(
    const Arguments& a, const void* images, std::int64_t image, std::int64_t c, const Block<R>& k,
    int i, int n, const R* zeros, R (&buffers)[4][point_block]) {
  Corners<R> found;
  for (int corner = 0; corner < 4; ++corner) {
    const std::int64_t pixel = image * a.layout.pixels() + k.pixel[corner][i];
    const bool there = images && k.inside[corner][i];
    found.of[corner] =
        there ? load(a.dtype, images, pixel * a.layout.channels + c, buffers[corner], n) : zeros;
  }
  return found;
}

template <class R>
FG_LOCAL void points_of_pixels(
    const Arguments& a, const Block<R>& k, std::int64_t image, std::int64_t start, int points) {
  alignas(64) R p_buffers[4][point_block], q_buffers[4][point_block], from[point_block],
      to[point_block];
  alignas(64) R along_x[point_block], along_y[point_block], zeros[point_block] = {};
  const Layout& l = a.layout;
  for (int i = 0; i < points; ++i) {
    R sum_x = 0, sum_y = 0;
    for_each_block<point_block>(l.channels, [&](std::int64_t c, int n) {
      const std::int64_t first = (image * l.points + start + i) * l.channels + c;
      const Corners<R> p = rows_at(a, a.p, image, c, k, i, n, zeros, p_buffers);
      const Corners<R> q = rows_at(a, a.q, image, c, k, i, n, zeros, q_buffers);
      const Corners<R>* const turn = a.q ? &q : nullptr;
      if (a.out) {
        R* const out = target(a.dtype, a.out, first, to, false);
        values<0>(p, turn, k, i, out, n);
        store(a.dtype, a.out, first, out, n, false);
      }
      if (a.dgrid) {
        slopes<0>(p, turn, load(a.dtype, a.v, first, from, n), k, i, along_x, along_y, n);
        sum_x += sum(along_x, n);
        sum_y += sum(along_y, n);
      }
    });
    if (a.dgrid) {
      R* const dgrid = as<R>(a.dgrid) + 2 * (image * l.points + start + i);
      dgrid[0] = sum_x;
      dgrid[1] = sum_y;
    }
  }
}

template <class T, class R>
void points(const Arguments& a, const Partition& part, std::int64_t begin, std::int64_t end) {
  alignas(64) Block<R> k;
  for (std::int64_t unit = begin; unit < end; ++unit) {
    const std::int64_t image = unit / part.blocks, start = unit % part.blocks * point_block;
    const int n = static_cast<int>(std::min<std::int64_t>(point_block, a.layout.points - start));
    place_points(a, image, start, n, k);
    if (a.layout.channels_last) {
      points_of_pixels(a, k, image, start, n);
    } else {
      points_of_planes<T>(a, k, image, start, n);
    }
  }
}

// ---- into pixels

template <class R>
FG_LOCAL void shares(const Arguments& a, Block<R>& k, int n, R (&share)[4][point_block]) {
  for (int corner = 0; corner < 4; ++corner) {
    const bool down = corner / 2, across = corner % 2;
    FG_NO_ALIAS
    for (int i = 0; i < n; ++i) {
      share[corner][i] =
          a.b ? share_along(
                    down, across, k.tx[i], k.ty[i], k.bx[i] * k.slope_x[i], k.by[i] * k.slope_y[i])
              : share_of(down, across, k.tx[i], k.ty[i]);
    }
  }
}

// Add points to one plane. A pixel outside adds 0 to the first pixel of the plane, instead of 0
// times a possible infinity.
template <class R>
FG_LOCAL void add_to_plane(
    const Block<R>& k, const R (&share)[4][point_block], const R* v, R* plane, int n) {
  alignas(64) R add[4][point_block];
  for (int corner = 0; corner < 4; ++corner) {
    FG_NO_ALIAS
    for (int i = 0; i < n; ++i) {
      const R product = share[corner][i] * v[i];
      add[corner][i] = k.inside[corner][i] ? product : R(0);
    }
  }
  for (int i = 0; i < n; ++i) {
    for (int corner = 0; corner < 4; ++corner) {
      plane[k.pixel[corner][i]] += add[corner][i];
    }
  }
}

template <class R>
FG_LOCAL void add_row(R share, const R* v, R* row, int n) {
  FG_NO_ALIAS
  for (int c = 0; c < n; ++c) {
    row[c] += share * v[c];
  }
}

template <class R>
void pixels(const Arguments& a, const Partition& part, std::int64_t unit, float* half_sums) {
  alignas(64) Block<R> k;
  alignas(64) R share[4][point_block], from[point_block];
  const Layout& l = a.layout;
  const std::int64_t image = unit / part.groups, c0 = unit % part.groups * part.channels;
  const std::int64_t channels = std::min(part.channels, l.channels - c0);
  // Memory of the group in the image and in `sums`: lines of `length` elements, `pitch` apart.
  const bool whole = !l.channels_last || channels == l.channels;
  const std::int64_t first = l.channels_last ? image * l.pixels() * l.channels + c0
                                             : (image * l.channels + c0) * l.pixels();
  const std::int64_t lines = whole ? 1 : l.pixels(),
                     length = whole ? channels * l.pixels() : channels;
  const bool is_half = half_sums != nullptr;
  R* const sums = is_half ? reinterpret_cast<R*>(half_sums) : as<R>(a.image) + first;
  // Elements from pixel to pixel in channels_last.
  const std::int64_t pitch = is_half ? channels : l.channels;
  for (std::int64_t line = 0; line < (is_half ? 0 : lines); ++line) {
    std::fill_n(sums + line * pitch, length, R(0));
  }
  for_each_block<point_block>(l.points, [&](std::int64_t start, int n) {
    place_points(a, image, start, n, k);
    shares(a, k, n, share);
    if (!l.channels_last) {
      for (std::int64_t c = 0; c < channels; ++c) {
        const R* const v =
            load(a.dtype, a.v, (image * l.channels + c0 + c) * l.points + start, from, n);
        add_to_plane(k, share, v, sums + c * l.pixels(), n);
      }
      return;
    }
    for (int i = 0; i < n; ++i) {
      const std::int64_t at = (image * l.points + start + i) * l.channels + c0;
      const R* const v = load(a.dtype, a.v, at, from, static_cast<int>(channels));
      for (int corner = 0; corner < 4; ++corner) {
        if (k.inside[corner][i]) {
          add_row(
              share[corner][i], v, sums + k.pixel[corner][i] * pitch, static_cast<int>(channels));
        }
      }
    }
  });
  for (std::int64_t line = 0; line < (is_half ? lines : 0); ++line) {
    for_each_block(length, [&](std::int64_t i, int n) {
      store(a.dtype, a.image, first + line * l.channels + i, sums + line * pitch + i, n, false);
    });
  }
}

void run_points(const Arguments& a, const Partition& part, std::int64_t begin, std::int64_t end) {
  switch (a.dtype) {
    case DType::f16:
      return points<f16, float>(a, part, begin, end);
    case DType::bf16:
      return points<bf16, float>(a, part, begin, end);
    case DType::f32:
      return points<float, float>(a, part, begin, end);
    default:
      return points<double, double>(a, part, begin, end);
  }
}

}  // namespace

extern const Points grid_sample_points = run_points;
extern const Pixels grid_sample_pixels = by_dtype<pixels<float>, pixels<double>>;

}  // namespace fg::FG_CPU_LEVEL

#else  // threads

namespace fg::grid_sample {
namespace {

std::int64_t grain(std::int64_t elements) {
  return std::max<std::int64_t>(1, Partition::task_elements / std::max<std::int64_t>(1, elements));
}

}  // namespace

std::int64_t workspace(const Arguments&) { return 0; }

void run(const Arguments& a) {
  const Layout& l = a.layout;
  const Partition part(l);
  if (a.out || a.dgrid) {
    const Points points = FG_SELECT_LEVEL(grid_sample_points);
    torch::stable::parallel_for(
        0, l.images * part.blocks, grain(point_block * l.channels),
        [&](std::int64_t begin, std::int64_t end) { points(a, part, begin, end); });
  }
  if (a.image) {
    const Pixels pixels = FG_SELECT_LEVEL(grid_sample_pixels);
    const bool is_half = bytes_of(a.dtype) == 2;
    torch::stable::parallel_for(
        0, l.images * part.groups, grain(std::max(l.points, l.pixels()) * part.channels),
        [&](std::int64_t begin, std::int64_t end) {
          std::vector<float> sums;
          for (std::int64_t unit = begin; unit < end; ++unit) {
            if (is_half) {
              sums.assign(part.channels * l.pixels(), 0);
            }
            pixels(a, part, unit, is_half ? sums.data() : nullptr);
          }
        });
  }
}

}  // namespace fg::grid_sample

#endif
