// The general kernels of upfirdn2d: any factors, taps and layout.
//
// - Separable: a thread has one column of the tile. Rows are read from global memory, where the L1
//   cache serves neighbours. Their sums go through shared memory.
// - Direct: one pass over the taps.
//
// In both, a table per block has the inputs and taps of each row and column of the tile. Only its
// computation divides.
#pragma once

#include "axis.cuh"
#include "epilogue.cuh"

namespace fg::upfirdn2d {

// Inputs of one output along its axis, inside the image: `count` inputs from `first` on. The tap of
// each is `up` further.
struct Line {
  std::int64_t first, tap;
  int count;
};

FG_DEVICE Line line_of(const Axis& a, std::int64_t o) {
  const std::int64_t start = o * a.down - a.pad;
  const std::int64_t floor = start / a.up - (start % a.up < 0),
                     first = floor + (floor * a.up < start);
  const std::int64_t tap = first * a.up - start,
                     end = tap < a.taps ? first + (a.taps - 1 - tap) / a.up + 1 : first;
  const std::int64_t begin = first < 0 ? 0 : first < a.in ? first : a.in;
  const std::int64_t last = end < begin ? begin : end < a.in ? end : a.in;
  return {begin, tap + (begin - first) * a.up, last > begin ? static_cast<int>(last - begin) : 0};
}

// A block has threads along inner, x and y. Each thread computes V elements of `inner` of one
// column, in every blockDim.z-th row.
struct Blocks {
  static constexpr int widest = 64, highest = 16;

  Axis x, y;
  std::int64_t outer, inner;
  unsigned chunks, tiles_x, tiles_y;
  int height;  // outputs of a tile along y; along x it is blockDim.y
  int rows;    // inputs along y, at most
  Filter filter;
  double gain;
  bool separable;
};

// Dynamic and static arrays together stay within the shared memory of a block without opt-in.
static_assert(shared_limit + (Blocks::widest + Blocks::highest) * sizeof(Line) <= 48 * 1024);

// Outputs of a thread.
struct Place {
  std::int64_t outer, y0, x, c;
  int height;
  bool inside;
};

FG_DEVICE Place place_of(const Blocks& b, int elements) {
  const unsigned chunk = blockIdx.x % b.chunks, rest = blockIdx.x / b.chunks;
  const unsigned tile_x = rest % b.tiles_x, above = rest / b.tiles_x;
  Place p;
  p.outer = above / b.tiles_y;
  p.y0 = static_cast<std::int64_t>(above % b.tiles_y) * b.height;
  p.x = static_cast<std::int64_t>(tile_x) * blockDim.y + threadIdx.y;
  p.c = (static_cast<std::int64_t>(chunk) * blockDim.x + threadIdx.x) * elements;
  p.height = p.y0 + b.height <= b.y.out ? b.height : static_cast<int>(b.y.out - p.y0);
  p.inside = p.x < b.x.out && p.c < b.inner;
  return p;
}

// Compute the table. All divisions are here, once per row and column of the tile.
FG_DEVICE void fill_lines(
    Line (&xs)[Blocks::widest], Line (&ys)[Blocks::highest], const Blocks& b, const Place& p) {
  const int linear = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  const int threads = blockDim.x * blockDim.y * blockDim.z, columns = blockDim.y;
  for (int i = linear; i < columns + p.height; i += threads) {
    if (i < columns) {
      xs[i] = line_of(b.x, p.x - threadIdx.y + i);
    } else {
      ys[i - columns] = line_of(b.y, p.y0 + i - columns);
    }
  }
}

// Return the output of a thread in the first row of the tile.
template <class T>
FG_DEVICE T* output_at(T* output, const Blocks& b, std::int64_t image, const Place& p) {
  return output + ((image * b.y.out + p.y0) * b.x.out + p.x) * b.inner + p.c;
}

// Filtered rows are stored in shared memory as [row][part][thread of the row][Q]. The parts are a
// thread's V sums in units of 128 bits.
template <class R, int V>
inline constexpr int part_width = V * sizeof(R) < 16 ? V : static_cast<int>(16 / sizeof(R));

template <class E>
inline constexpr bool ends = !std::is_same_v<E, Nothing>;

// Without a minimum number of blocks per SM, ptxas spills to make room for one more block.
template <class T, int V, class E>
__global__ void __launch_bounds__(block_threads, ends<E> || V > 4 ? 3 : 4) separable_kernel(
    const T* input, T* output, Blocks b, E ending) {
  using R = accumulate_t<T>;
  constexpr int Q = part_width<R, V>, parts = V / Q, at_once = 2;
  FG_DYN_SHARED(R, memory);
  FG_SHARED(Line, xs, [Blocks::widest]);
  FG_SHARED(Line, ys, [Blocks::highest]);
  const Place p = place_of(b, V);
  const int lanes = blockDim.x * blockDim.y, lane = threadIdx.y * blockDim.x + threadIdx.x,
            pitch = parts * lanes * Q;
  R* const filtered = memory;
  R* const taps = memory + b.rows * pitch;
  fill_lines(xs, ys, b, p);
  for (int k = threadIdx.z * lanes + lane; k < b.x.taps; k += lanes * blockDim.z) {
    taps[k] = b.filter.at(b.filter.index(k, b.x.taps));
  }
  __syncthreads();

  const std::int64_t top = ys[0].first;
  const int rows = static_cast<int>(ys[p.height - 1].first - top) + ys[p.height - 1].count;
  const int step_y = blockDim.z;
  if (p.inside) {
    const Line line = xs[threadIdx.y];
    const std::int64_t row_step = b.x.in * b.inner;
    const T* const from = input + ((p.outer * b.y.in + top) * b.x.in + line.first) * b.inner + p.c;
    const int first_tap = static_cast<int>(line.tap), tap_step = static_cast<int>(b.x.up);
#pragma unroll 1
    for (int row = threadIdx.z; row < rows; row += at_once * step_y) {
      R sums[at_once][V] = {};
      const T* rows_from[at_once];
#pragma unroll
      for (int k = 0; k < at_once; ++k) {
        const int wanted = row + k * step_y;
        rows_from[k] = from + (wanted < rows ? wanted : row) * row_step;
      }
#pragma unroll 2
      for (int j = 0; j < line.count; ++j) {
        const R h = taps[first_tap + j * tap_step];
#pragma unroll
        for (int k = 0; k < at_once; ++k) {
          const Vec<T, V> in = load_vec<V>(rows_from[k] + j * b.inner);
#pragma unroll
          for (int e = 0; e < V; ++e) {
            sums[k][e] += h * to_accumulate(in[e]);
          }
        }
      }
#pragma unroll
      for (int k = 0; k < at_once; ++k) {
        if (row + k * step_y < rows) {
#pragma unroll
          for (int part = 0; part < parts; ++part) {
            Vec<R, Q> values;
#pragma unroll
            for (int e = 0; e < Q; ++e) {
              values[e] = sums[k][part * Q + e];
            }
            store_shared(filtered + (row + k * step_y) * pitch + (part * lanes + lane) * Q, values);
          }
        }
      }
    }
  }
  __syncthreads();

  if (p.inside) {
    const int tap_step = static_cast<int>(b.y.up);
    const R gain = static_cast<R>(b.gain);
    const std::int64_t row_step = b.x.out * b.inner;
    T* const to = output_at(output, b, p.outer, p);
    const auto image = ending.image(p.outer);
#pragma unroll 1
    for (int row = threadIdx.z; row < p.height; row += step_y) {
      const Line line = ys[row];
      const R* from = filtered + static_cast<int>(line.first - top) * pitch + lane * Q;
      const int first_tap = static_cast<int>(line.tap);
      R sums[V] = {};
#pragma unroll 4
      for (int j = 0; j < line.count; ++j) {
        const R h = taps[first_tap + j * tap_step];
#pragma unroll
        for (int part = 0; part < parts; ++part) {
          const Vec<R, Q> in = load_vec<Q>(from + j * pitch + part * lanes * Q);
#pragma unroll
          for (int e = 0; e < Q; ++e) {
            sums[part * Q + e] += h * in[e];
          }
        }
      }
      store_sums<T, V>(
          to + row * row_step, sums, gain, ending, image, (p.y0 + row) * b.x.out + p.x, p.c);
    }
  }
}

// A thread computes the same place of several images, for which it looks taps up once.
template <int V>
inline constexpr int images_at_once = V == 1 ? 4 : 2;

template <class T, int V, class E>
__global__ void __launch_bounds__(block_threads, 3) direct_kernel(
    const T* input, T* output, Blocks b, E ending) {
  using R = accumulate_t<T>;
  constexpr int N = images_at_once<V>;
  FG_SHARED(Line, xs, [Blocks::widest]);
  FG_SHARED(Line, ys, [Blocks::highest]);
  Place p = place_of(b, V);
  p.outer *= N;
  fill_lines(xs, ys, b, p);
  __syncthreads();
  if (!p.inside) {
    return;
  }
  const Line lx = xs[threadIdx.y];
  const std::int64_t image = b.x.in * b.y.in * b.inner, step = b.filter.step(b.x.up);
  const std::int64_t row_step = b.x.out * b.inner, image_step = b.y.out * row_step;
  const R gain = static_cast<R>(b.gain);
  T* const to = output_at(output, b, p.outer, p);
  const T* first[N];
#pragma unroll
  for (int n = 0; n < N; ++n) {
    first[n] =
        input + (p.outer + n < b.outer ? p.outer + n : p.outer) * image + lx.first * b.inner + p.c;
  }
#pragma unroll 1
  for (int row = threadIdx.z; row < p.height; row += blockDim.z) {
    const Line ly = ys[row];
    R sums[N][V] = {};
#pragma unroll 1
    for (int k = 0; k < ly.count; ++k) {
      const std::int64_t ky = ly.tap + k * b.y.up;
      const R hy = b.separable ? static_cast<R>(b.filter.at(b.filter.index(ky, b.y.taps))) : R(1);
      std::int64_t tap = b.separable ? b.filter.index(lx.tap, b.x.taps)
                                     : b.filter.index(ky * b.x.taps + lx.tap, b.x.taps * b.y.taps);
      const T* from[N];
#pragma unroll
      for (int n = 0; n < N; ++n) {
        from[n] = first[n] + (ly.first + k) * b.x.in * b.inner;
      }
#pragma unroll 1
      for (int j = 0; j < lx.count; ++j, tap += step) {
        const R h = hy * static_cast<R>(b.filter.at(tap));
#pragma unroll
        for (int n = 0; n < N; ++n) {
          const Vec<T, V> in = load_vec<V>(from[n]);
          from[n] += b.inner;
#pragma unroll
          for (int e = 0; e < V; ++e) {
            sums[n][e] += h * to_accumulate(in[e]);
          }
        }
      }
    }
#pragma unroll
    for (int n = 0; n < N; ++n) {
      if (p.outer + n < b.outer) {
        store_sums<T, V>(
            to + n * image_step + row * row_step, sums[n], gain, ending, ending.image(p.outer + n),
            (p.y0 + row) * b.x.out + p.x, p.c);
      }
    }
  }
}

// ---- host side

template <class T, int V, class E>
cudaError_t run_blocks(const Arguments& a, cudaStream_t stream, const E& ending) {
  using R = accumulate_t<T>;
  Blocks b{a.x, a.y, a.outer, a.inner, 0, 0, 0, 0, 0, {a.filter, a.flip}, a.gain, a.separable};
  const std::int64_t vectors = a.inner / V,
                     lanes = std::min<std::int64_t>(vectors, 128 / (V * sizeof(R)));
  const std::int64_t wide = std::clamp<std::int64_t>(64 / lanes, 16, Blocks::widest);
  int width = even_tile(a.x.out, std::min(wide, block_threads / lanes), 1);
  b.height = even_tile(a.y.out, Blocks::highest, 1);
  const std::int64_t jx = most_taps(a.x), jy = most_taps(a.y);
  const auto rows = [&] {
    return std::min(a.y.in, divide_up((b.height - 1) * a.y.down, a.y.up) + jy);
  };
  const auto bytes = [&] {
    return (rows() * width * lanes * V + a.x.taps) * static_cast<std::int64_t>(sizeof(R));
  };
  bool two_passes = a.separable && a.x.up <= grid_limit && a.y.up <= grid_limit;
  if (two_passes) {
    const int full[] = {width, b.height};
    while (bytes() > shared_limit && (b.height > 4 || width > 8)) {
      (b.height > 4 ? b.height : width) /= 2;
    }
    two_passes = bytes() <= shared_limit && rows() * jx + b.height * jy < b.height * jx * jy;
    if (!two_passes) {
      width = full[0];
      b.height = full[1];
    }
  }
  b.rows = two_passes ? static_cast<int>(rows()) : 0;
  const std::int64_t depth = std::clamp<std::int64_t>(block_threads / (lanes * width), 1, b.height);
  const std::int64_t chunks = divide_up(vectors, lanes), tiles_x = divide_up(a.x.out, width);
  const std::int64_t tiles_y = divide_up(a.y.out, b.height);
  const std::int64_t groups = two_passes ? a.outer : divide_up(a.outer, images_at_once<V>);
  std::int64_t total = 1;
  for (const std::int64_t factor : {chunks, tiles_x, tiles_y, groups}) {
    if (factor > grid_limit / total) {
      return cudaErrorInvalidConfiguration;
    }
    total *= factor;
  }
  b.chunks = static_cast<unsigned>(chunks);
  b.tiles_x = static_cast<unsigned>(tiles_x);
  b.tiles_y = static_cast<unsigned>(tiles_y);
  const dim3 grid(static_cast<unsigned>(total));
  const dim3 block(static_cast<unsigned>(lanes), width, static_cast<unsigned>(depth));
  const T* input = as<T>(a.input);
  T* output = as<T>(a.output);
  return two_passes
             ? fg_launch(
                   separable_kernel<T, V, E>, grid, block, static_cast<std::size_t>(bytes()),
                   stream, input, output, b, ending)
             : fg_launch(direct_kernel<T, V, E>, grid, block, 0, stream, input, output, b, ending);
}

}  // namespace fg::upfirdn2d
