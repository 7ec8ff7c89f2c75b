// CUDA kernels of grid_sample and its derivatives, and their launches. Torch-free; the emulation
// runs them unchanged.
//
// A block has threads along channels and along points of one image. Contiguous images have 1 thread
// along channels, channels_last ones up to a warp.
//
// - points_kernel reads pixels.
// - bound_kernel, add_kernel and finish_kernel write to pixels. The first finds the largest value
//   of each image. The second adds whole numbers of a unit that this bound allows
//   (fixed_point.cuh). The last converts these to numbers.
#pragma once

#include "../common/launch.cuh"
#include "../common/reduce.cuh"
#include "fixed_point.cuh"
#include "place.h"

namespace fg::grid_sample {

template <class T>
struct Sweep {
  using R = accumulate_t<T>;
  const T *p, *q, *v;
  const R *grid, *b;
  T *out, *image;
  R* dgrid;
  Sums sums;
  Axis<R> x, y;
  int width, points, channels;
  unsigned blocks;                      // per image, of its points
  std::int64_t pixels;                  // per image
  std::int64_t image_step, point_step;  // from channel to channel, of pixels and of points
  int place_step;                       // from pixel to pixel, and from point to point

  FG_DEVICE const T* images_at(const T* from, std::int64_t n) const {
    return from + n * channels * pixels;
  }
  FG_DEVICE std::int64_t value_at(std::int64_t n, int point) const {
    return n * channels * points + static_cast<std::int64_t>(point) * place_step;
  }
};

// A point and its four pixels.
template <class R>
struct Spot {
  std::int64_t n, first;  // image; the upper left pixel, which may be outside
  int point;
  bool there;                          // true for a point, false for a thread past the last one
  bool inside[2][2];                   // down, across
  R tx, ty, slope_x, slope_y, bx, by;  // b is 0 if absent
};

template <class T, class R = accumulate_t<T>>
FG_DEVICE Spot<R> spot_of(const Sweep<T>& s) {
  Spot<R> k{};
  k.n = blockIdx.x / s.blocks;
  k.point = static_cast<int>(blockIdx.x % s.blocks * blockDim.y + threadIdx.y);
  k.there = k.point < s.points;
  if (!k.there) {
    return k;
  }
  const std::int64_t at = 2 * (k.n * s.points + k.point);
  const Place<R> x = place_of(s.x, s.grid[at]), y = place_of(s.y, s.grid[at + 1]);
  k.first = static_cast<std::int64_t>(y.first) * s.width + x.first;
  k.inside[0][0] = y.has_first && x.has_first;
  k.inside[0][1] = y.has_first && x.has_next;
  k.inside[1][0] = y.has_next && x.has_first;
  k.inside[1][1] = y.has_next && x.has_next;
  k.tx = x.t;
  k.ty = y.t;
  k.slope_x = x.slope;
  k.slope_y = y.slope;
  if (s.b) {
    k.bx = s.b[at];
    k.by = s.b[at + 1];
  }
  return k;
}

// Compute a channel whose upper left pixel is at `from`.
template <class T, class R = accumulate_t<T>>
FG_DEVICE Jet<R> jet_at(const Sweep<T>& s, const Spot<R>& k, const T* from) {
  const std::int64_t step = s.place_step, row = step * s.width;
  const R v00 = k.inside[0][0] ? to_accumulate(from[0]) : R(0),
          v01 = k.inside[0][1] ? to_accumulate(from[step]) : R(0);
  const R v10 = k.inside[1][0] ? to_accumulate(from[row]) : R(0);
  const R v11 = k.inside[1][1] ? to_accumulate(from[row + step]) : R(0);
  return jet_of(v00, v01, v10, v11, k.tx, k.ty, k.slope_x, k.slope_y);
}

// Needed results. The first two are of p alone.
enum class Wanted { out_of_p, dgrid_of_p, any };

template <Wanted W, class T>
__global__ void __launch_bounds__(block_threads) points_kernel(Sweep<T> s) {
  using R = accumulate_t<T>;
  const Spot<R> k = spot_of(s);
  R sum_x = 0, sum_y = 0;
  if (k.there) {
    const std::int64_t corner = k.first * s.place_step, value = s.value_at(k.n, k.point);
    for (int c = threadIdx.x; c < s.channels; c += blockDim.x) {
      const std::int64_t from = corner + c * s.image_step, at = value + c * s.point_step;
      Jet<R> p{}, q{};
      if (W != Wanted::any || s.p) {
        p = jet_at(s, k, s.images_at(s.p, k.n) + from);
      }
      if (W == Wanted::any && s.q) {
        q = jet_at(s, k, s.images_at(s.q, k.n) + from);
      }
      if (W == Wanted::out_of_p || (W == Wanted::any && s.out)) {
        s.out[at] =
            from_accumulate<T>(W == Wanted::any ? p.value + (k.bx * q.x + k.by * q.y) : p.value);
      }
      if (W == Wanted::dgrid_of_p || (W == Wanted::any && s.dgrid)) {
        const R v = to_accumulate(s.v[at]);
        sum_x += v * (W == Wanted::any ? p.x + k.by * q.xy : p.x);
        sum_y += v * (W == Wanted::any ? p.y + k.bx * q.xy : p.y);
      }
    }
  }
  if (W == Wanted::dgrid_of_p || (W == Wanted::any && s.dgrid)) {
    sum_x = sum_of_lanes(sum_x, blockDim.x);
    sum_y = sum_of_lanes(sum_y, blockDim.x);
    if (k.there && threadIdx.x == 0) {
      R* const to = s.dgrid + 2 * (k.n * s.points + k.point);
      to[0] = sum_x;
      to[1] = sum_y;
    }
  }
}

// Find the bound of each image. A pixel's term is at most the value of its point, or with b this
// value times the slopes along b.
template <class T>
__global__ void __launch_bounds__(block_threads) bound_kernel(Sweep<T> s) {
  using R = accumulate_t<T>;
  const Spot<R> k = spot_of(s);
  R largest = 0;
  if (k.inside[0][0] || k.inside[0][1] || k.inside[1][0] || k.inside[1][1]) {
    const R along = s.b ? std::fabs(k.bx * k.slope_x) + std::fabs(k.by * k.slope_y) : R(1);
    const std::int64_t value = s.value_at(k.n, k.point);
    for (int c = threadIdx.x; c < s.channels; c += blockDim.x) {
      const R v = std::fabs(to_accumulate(s.v[value + c * s.point_step])) * along;
      largest = v > largest || v != v ? v : largest;
    }
  }
  int code = bound_code(largest);
  for (int step = warp / 2; step > 0; step /= 2) {
    const int other = __shfl_xor_sync(0xffffffffu, code, step);
    code = other > code ? other : code;
  }
  const int linear = threadIdx.y * blockDim.x + threadIdx.x;
  if (linear % warp == 0 && code > 0) {
    atomicMax(s.sums.bounds + k.n, static_cast<unsigned long long>(code));
  }
}

template <class T>
__global__ void __launch_bounds__(block_threads) add_kernel(Sweep<T> s) {
  using R = accumulate_t<T>;
  const Spot<R> k = spot_of(s);
  const int code = static_cast<int>(s.sums.bounds[k.n]);
  if (!k.there || code == 0 || code == not_finite) {
    return;
  }
  const Unit<R> unit = unit_of<R>(code, s.points);
  const std::int64_t corner = k.n * s.channels * s.pixels + k.first * s.place_step,
                     value = s.value_at(k.n, k.point);
  const R along_x = k.bx * k.slope_x, along_y = k.by * k.slope_y;
  for (int c = threadIdx.x; c < s.channels; c += blockDim.x) {
    const R v = to_accumulate(s.v[value + c * s.point_step]);
    const std::int64_t first = corner + c * s.image_step;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const bool down = i / 2, across = i % 2;
      if (k.inside[down][across]) {
        const R share = s.b ? share_along(down, across, k.tx, k.ty, along_x, along_y)
                            : share_of(down, across, k.tx, k.ty);
        s.sums.add(
            first +
                ((down ? s.width : 0) + (across ? 1 : 0)) * static_cast<std::int64_t>(s.place_step),
            share * v, unit);
      }
    }
  }
}

template <class T>
__global__ void __launch_bounds__(block_threads) finish_kernel(
    T* image, Sums sums, std::int64_t elements, unsigned blocks, std::int64_t points) {
  using R = accumulate_t<T>;
  const std::int64_t n = blockIdx.x / blocks,
                     i = static_cast<std::int64_t>(blockIdx.x % blocks) * block_threads +
                         threadIdx.x;
  if (i < elements) {
    const int code = static_cast<int>(sums.bounds[n]);
    image[n * elements + i] = from_accumulate<T>(sums.total<R>(n * elements + i, code, points));
  }
}

// ---- host side

template <class T>
cudaError_t over_points(
    void (*kernel)(Sweep<T>), Sweep<T>& s, const Layout& l, cudaStream_t stream) {
  const int lanes = l.channels_last ? power_of_two(l.channels, 1, warp) : 1;
  const int points = power_of_two(l.points, warp / lanes, block_threads / lanes);
  const std::int64_t blocks = divide_up(l.points, points);
  s.blocks = static_cast<unsigned>(blocks);
  return launch_blocks(kernel, blocks * l.images, dim3(lanes, points), stream, s);
}

template <class T>
cudaError_t into_pixels(Sweep<T>& s, const Layout& l, cudaStream_t stream) {
  const std::int64_t elements = l.channels * l.pixels(),
                     blocks = divide_up(elements, block_threads);
  if (blocks == 0) {
    return cudaSuccess;
  }
  cudaError_t error = cudaSuccess;
  if (l.points > 0) {
    error = over_points(bound_kernel<T>, s, l, stream);
    error = error == cudaSuccess ? over_points(add_kernel<T>, s, l, stream) : error;
  }
  return error != cudaSuccess
             ? error
             : launch_blocks(
                   finish_kernel<T>, blocks * l.images, block_threads, stream, s.image, s.sums,
                   elements, static_cast<unsigned>(blocks), l.points);
}

template <class T>
cudaError_t run(const Arguments& a, cudaStream_t stream) {
  using R = accumulate_t<T>;
  const Layout& l = a.layout;
  Sweep<T> s{
      as<T>(a.p),
      as<T>(a.q),
      as<T>(a.v),
      as<R>(a.grid),
      as<R>(a.b),
      as<T>(a.out),
      as<T>(a.image),
      as<R>(a.dgrid),
      {},
      axis_of<R>(a, l.width),
      axis_of<R>(a, l.height),
      static_cast<int>(l.width),
      static_cast<int>(l.points),
      static_cast<int>(l.channels),
      1,
      l.pixels(),
      l.channels_last ? 1 : l.pixels(),
      l.channels_last ? 1 : l.points,
      l.channels_last ? static_cast<int>(l.channels) : 1};
  cudaError_t error = cudaSuccess;
  if ((a.out || a.dgrid) && l.points > 0) {
    const bool of_p = a.p && !a.q;
    error = over_points(
        of_p && !a.dgrid ? points_kernel<Wanted::out_of_p, T>
        : of_p && !a.out ? points_kernel<Wanted::dgrid_of_p, T>
                         : points_kernel<Wanted::any, T>,
        s, l, stream);
  }
  if (error == cudaSuccess && a.image) {
    s.sums = Sums(a);
    error = into_pixels(s, l, stream);
  }
  return error;
}

std::int64_t workspace(const Arguments& a) { return a.image ? Sums::size(a) : 0; }

}  // namespace fg::grid_sample
