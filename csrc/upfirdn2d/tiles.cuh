// The fast paths of upfirdn2d. A block copies the input of a tile to shared memory. It filters rows
// into a second array, and columns of that into the output.
//
// A thread has a patch of outputs: 4 columns in the first pass, V columns by a few rows in the
// second. A window slides over its inputs, so each value is loaded once for all outputs of the
// patch. Taps, phases and the window's offset in a vector are compile-time constants, which keeps
// windows in registers.
//
// Tiles have up to 4,096 outputs and are 128 or 64 wide, as far as 48 KB of shared memory go. A
// tile of 64 by 64 with 4 taps takes 36 KB in float32. An SM of an H100 then has room for six
// blocks, and 5% of the rows are read twice, mostly from the L2 cache. Small images share a block,
// so that each of its threads has work.
//
// A filter with fewer taps than the next larger path (3, 5, ...) is extended by coefficients of 0,
// which changes nothing for finite pixels.
#pragma once

#include "axis.cuh"
#include "epilogue.cuh"

namespace fg::upfirdn2d {

// Call f with `value` as a compile-time constant. It must be one of 0 .. N-1 and the same for the
// whole block.
template <int N, class F>
FG_DEVICE void with_constant(int value, F&& f) {
  if constexpr (N > 1) {
    if (value < N - 1) {
      return with_constant<N - 1>(value, f);
    }
  }
  f(std::integral_constant<int, N - 1>{});
}

// Quotient n / d without a division, for n · d < 2^18.
struct Divisor {
  unsigned magic;

  explicit Divisor(int d) : magic((1u << 18) / d + 1) {}
  FG_DEVICE int divide(int n) const { return static_cast<int>(n * magic >> 18); }
};

// The tiles' form of an axis: P phases of J taps. The second phase starts `late` (0 or 1) pixels
// after the first.
struct TileAxis {
  std::int64_t in, out, first, up, taps;
  std::int64_t tap[2];
  int late;
  int tile;  // outputs
  int span;  // inputs
  unsigned tiles;
};

struct Tiles {
  TileAxis x, y;
  std::int64_t images;
  int stacked;      // images per block; their rows are one below the other
  int vectors;      // per input row
  int quad_stride;  // from the even to the odd quads of a row
  bool wide_input, wide_output;
  Filter filter;
  float gain;
  Divisor by_vectors, by_span, by_quads, by_columns, by_patches;
};

template <int V>
inline constexpr int tile_threads = 1024 / V;

// A smaller tile must still give work to as many threads.
template <int A>
inline constexpr int patch_rows = A == 2 ? 2 : 4;

// Clip a position to the tile's indices, from 0 to `limit`.
FG_DEVICE int clipped(std::int64_t position, int limit) {
  return position < 0 ? 0 : position < limit ? static_cast<int>(position) : limit;
}

// Return the place of a quad in a filtered row. Quads have 4 columns. They are in order, or the
// even ones before the odd ones if a thread of the second pass reads two. Neighbours then read
// neighbouring quads, which avoids bank conflicts.
template <int V>
FG_DEVICE int quad_at(int quad, int stride) {
  return quad % (V / 4) * stride + quad / (V / 4) * 4;
}

// Return number i of coefficients[axis][r][j]. Those of y include the gain.
template <int P, int J>
FG_DEVICE float coefficient(const Tiles& t, int i) {
  const bool is_y = i >= P * J;
  const TileAxis& axis = is_y ? t.y : t.x;
  const std::int64_t k = (i / J % P == 0 ? axis.tap[0] : axis.tap[1]) + i % J * axis.up;
  return k < axis.taps ? t.filter.at(t.filter.index(k, axis.taps)) * (is_y ? t.gain : 1.0f) : 0.0f;
}

// Load the input of the tile, with zeros outside the image. `fetch(values, from, column, begin,
// end)` loads V elements of a row of the image, of which those from begin to end are inside.
template <class T, int V, class Fetch>
FG_DEVICE void load_tile(
    T* tile, const T* input, const Tiles& t, std::int64_t first_image, std::int64_t top,
    std::int64_t left, const Fetch& fetch) {
  constexpr int at_once = 4;  // accesses in flight
  const int row_begin = clipped(-top, t.y.span), row_end = clipped(t.y.in - top, t.y.span);
  const int begin = clipped(-left, t.vectors * V), end = clipped(t.x.in - left, t.vectors * V);
  const int images = clipped(t.images - first_image, t.stacked),
            total = t.stacked * t.y.span * t.vectors;
  const T* const images_from = input + first_image * t.y.in * t.x.in;
#pragma unroll 1
  for (int first = threadIdx.x; first < total; first += at_once * tile_threads<V>) {
    Vec<T, V> values[at_once] = {};
#pragma unroll
    for (int k = 0; k < at_once; ++k) {
      const int i = first + k * tile_threads<V>;
      const int line = t.by_vectors.divide(i), column = (i - line * t.vectors) * V;
      const int image = t.by_span.divide(line), row = line - image * t.y.span;
      if (image < images && row >= row_begin && row < row_end) {
        fetch(
            values[k], images_from + (image * t.y.in + top + row) * t.x.in + left + column, column,
            begin, end);
      }
    }
#pragma unroll
    for (int k = 0; k < at_once; ++k) {
      const int i = first + k * tile_threads<V>;
      if (i < total) {
        store_shared(tile + i * V, values[k]);
      }
    }
  }
}

// Filter tile to filtered. Each step computes 4 outputs from a window that starts `Offset` elements
// after a vector of `Width`.
template <class T, int P, int A, int J, int V, int Offset, int Late, int Width>
FG_DEVICE void filter_rows(
    const T* tile, float* filtered, const Tiles& t, int skipped,
    const float (&coefficients)[2][P][J]) {
  constexpr int window = (4 / P - 1) * A + Late * (P - 1) + J,
                reads = (Offset + window + Width - 1) / Width;
  float h[P][J];
#pragma unroll
  for (int i = 0; i < P * J; ++i) {
    h[i / J][i % J] = coefficients[0][i / J][i % J];
  }
  const int quads = t.x.tile / 4;
#pragma unroll 1
  for (int i = threadIdx.x; i < t.stacked * t.y.span * quads; i += blockDim.x) {
    const int line = t.by_quads.divide(i), quad = i - line * quads;
    const T* from = tile + line * t.vectors * V + quad * (4 / P * A) + skipped;
    float in[reads * Width];
#pragma unroll
    for (int k = 0; k < reads; ++k) {
      const Vec<T, Width> values = load_vec<Width>(from + k * Width);
#pragma unroll
      for (int e = 0; e < Width; ++e) {
        in[k * Width + e] = to_accumulate(values[e]);
      }
    }
    Vec<float, 4> out;
#pragma unroll
    for (int o = 0; o < 4; ++o) {
      const int r = o % P, start = Offset + o / P * A + r * Late;
      out[o] = h[r][0] * in[start];
#pragma unroll
      for (int j = 1; j < J; ++j) {
        out[o] += h[r][j] * in[start + j];
      }
    }
    store_shared(filtered + line * (V / 4) * t.quad_stride + quad_at<V>(quad, t.quad_stride), out);
  }
}

// Store the first `count` of V neighbouring columns of a row.
template <class T, int V>
FG_DEVICE void store_columns(T* to, const Vec<T, V>& values, bool wide, int count) {
  if (wide) {
    store_vec(to, values);
    return;
  }
#pragma unroll
  for (int e = 0; e < V; ++e) {
    if (e < count) {
      to[e] = values[e];
    }
  }
}

// Store sums of V neighbouring columns at `to`, and what follows. Activations are piecewise linear.
template <class T, int V, class E>
FG_DEVICE void finish_columns(
    T* to, const float (&sums)[V], bool wide, int count, const E& ending,
    const typename E::Image& image, std::int64_t pixel) {
  Vec<T, V> values;
#pragma unroll
  for (int e = 0; e < V; ++e) {
    values[e] = from_accumulate<T>(sums[e]);
  }
  if constexpr (!std::is_same_v<E, Nothing>) {
    if (ending.filtered) {
      store_columns<T, V>(ending.filtered + image.first + pixel, values, wide, count);
    }
    const float scale = ending.scale ? to_accumulate(ending.scale[image.scale]) : 1.0f,
                b = ending.b ? to_accumulate(ending.b[image.b]) : 0.0f;
    Vec<T, V> noise{};
    if (ending.noise && wide) {
      noise = load_vec<V>(ending.noise + image.noise + pixel);
    } else if (ending.noise) {
#pragma unroll
      for (int e = 0; e < V; ++e) {
        if (e < count) {
          noise[e] = ending.noise[image.noise + pixel + e];
        }
      }
    }
#pragma unroll
    for (int e = 0; e < V; ++e) {
      const float v = sums[e] * scale + to_accumulate(noise[e]) + b;
      values[e] = from_accumulate<T>(forward<Act::piecewise>(v, ending.scalars));
    }
  }
  store_columns<T, V>(to, values, wide, count);
}

// Filter filtered to output. A window slides down a patch of V columns.
template <class T, int P, int A, int J, int V, int Late, class E>
FG_DEVICE void filter_columns(
    const float* filtered, T* output, const Tiles& t, std::int64_t first_image, std::int64_t y0,
    std::int64_t x0, const float (&coefficients)[2][P][J], const E& ending) {
  constexpr int rows = patch_rows<A>, window = (rows / P - 1) * A + Late * (P - 1) + J;
  float h[P][J];
#pragma unroll
  for (int i = 0; i < P * J; ++i) {
    h[i / J][i % J] = coefficients[1][i / J][i % J];
  }
  const int columns = t.x.tile / V, patches = t.y.tile / rows, pitch = V / 4 * t.quad_stride;
  const int width = clipped(t.x.out - x0, t.x.tile), height = clipped(t.y.out - y0, t.y.tile);
  const int images = clipped(t.images - first_image, t.stacked);
  T* const images_to = output + (first_image * t.y.out + y0) * t.x.out + x0;
#pragma unroll 1
  for (int i = threadIdx.x; i < t.stacked * patches * columns; i += blockDim.x) {
    const int strip = t.by_columns.divide(i), column = i - strip * columns;
    const int image = t.by_patches.divide(strip), patch = strip - image * patches;
    const int y = patch * rows, x = column * V;
    if (image >= images || y >= height || x >= width) {
      continue;
    }
    const float* from = filtered + (image * t.y.span + patch * (rows / P * A)) * pitch + column * 4;
    float sums[rows][V] = {};
#pragma unroll
    for (int k = 0; k < window; ++k) {
#pragma unroll
      for (int part = 0; part < V / 4; ++part) {
        const Vec<float, 4> in = load_vec<4>(from + k * pitch + part * t.quad_stride);
#pragma unroll
        for (int o = 0; o < rows; ++o) {
          const int r = o % P, j = k - o / P * A - r * Late;
          if (j >= 0 && j < J) {
#pragma unroll
            for (int e = 0; e < 4; ++e) {
              sums[o][part * 4 + e] += h[r][j] * in[e];
            }
          }
        }
      }
    }
    T* to = images_to + (image * t.y.out + y) * t.x.out + x;
    const auto place = ending.image(first_image + image);
#pragma unroll
    for (int o = 0; o < rows; ++o) {
      if (y + o < height) {
        finish_columns<T, V>(
            to + o * t.x.out, sums[o], t.wide_output, width - x, ending, place,
            (y0 + y + o) * t.x.out + x0 + x);
      }
    }
  }
}

template <class T, int P, int A, int J, int V, class E>
__global__ void __launch_bounds__(tile_threads<V>) tile_kernel(
    const T* input, T* output, Tiles t, E ending) {
  FG_DYN_SHARED(unsigned char, memory);
  FG_SHARED(float, coefficients, [2][P][J]);
  T* tile = reinterpret_cast<T*>(memory);
  float* filtered = reinterpret_cast<float*>(tile + t.stacked * t.y.span * t.vectors * V);

  const unsigned tile_x = blockIdx.x % t.x.tiles, rest = blockIdx.x / t.x.tiles,
                 tile_y = rest % t.y.tiles;
  const std::int64_t first_image = static_cast<std::int64_t>(rest / t.y.tiles) * t.stacked;
  const std::int64_t x0 = static_cast<std::int64_t>(tile_x) * t.x.tile;
  const std::int64_t y0 = static_cast<std::int64_t>(tile_y) * t.y.tile;
  const std::int64_t start = x0 / P * A + t.x.first, top = y0 / P * A + t.y.first;
  const int shift = static_cast<int>(start & (V - 1));
  const std::int64_t left = start - shift;  // a multiple of V

  float mine = 0;  // loaded before the tile, stored after it
  if (threadIdx.x < 2 * P * J) {
    mine = coefficient<P, J>(t, threadIdx.x);
  }
  if (t.wide_input) {
    const auto fetch = [](Vec<T, V>& values, const T* from, int column, int begin, int end) {
      if (column >= begin && column < end) {
        values = load_vec<V>(from);
      }
    };
    load_tile<T, V>(tile, input, t, first_image, top, left, fetch);
  } else {
    const auto fetch = [](Vec<T, V>& values, const T* from, int column, int begin, int end) {
#pragma unroll
      for (int e = 0; e < V; ++e) {
        if (column + e >= begin && column + e < end) {
          values[e] = from[e];
        }
      }
    };
    load_tile<T, V>(tile, input, t, first_image, top, left, fetch);
  }
  if (threadIdx.x < 2 * P * J) {
    coefficients[threadIdx.x / (P * J)][threadIdx.x / J % P][threadIdx.x % J] = mine;
  }
  __syncthreads();

  // All windows start at multiples of this width plus one offset.
  constexpr int width = 4 / P * A < 4 ? 2 : 4;
  with_constant<width>(shift % width, [&](auto offset) {
    with_constant<P>(t.x.late, [&](auto late) {
      filter_rows<T, P, A, J, V, decltype(offset)::value, decltype(late)::value, width>(
          tile, filtered, t, shift - decltype(offset)::value, coefficients);
    });
  });
  __syncthreads();

  with_constant<P>(t.y.late, [&](auto late) {
    filter_columns<T, P, A, J, V, decltype(late)::value>(
        filtered, output, t, first_image, y0, x0, coefficients, ending);
  });
}

// ---- host side

template <class T, int P, int A, int J, class E>
cudaError_t run_tiles(const Arguments& a, cudaStream_t stream, const E& ending) {
  constexpr int V = vec_width<T>, rows = patch_rows<A>, widest = A == 2 ? 64 : 128, highest = 64,
                pixels = 4096;
  const auto axis = [](const Axis& from, int tile) {
    const Phase p = phase(from, 0), q = phase(from, P - 1);
    const int late = static_cast<int>(q.first - p.first), span = (tile / P - 1) * A + late + J;
    const unsigned tiles = static_cast<unsigned>(divide_up(from.out, tile));
    return TileAxis{from.in,        from.out, p.first, from.up, from.taps,
                    {p.tap, q.tap}, late,     tile,    span,    tiles};
  };
  TileAxis x = axis(a.x, even_tile(a.x.out, widest, V)), y{};
  const int vectors = (x.span + 2 * V - 2) / V;  // enough for any offset of a tile in a vector
  const int quad_stride = V == 4 ? x.tile : x.tile / (V / 4) + 16;
  const std::int64_t row_bytes = vectors * V * sizeof(T) + V / 4 * quad_stride * sizeof(float);
  for (int limit = std::min(pixels / x.tile, highest);; limit /= 2) {
    y = axis(a.y, even_tile(a.y.out, std::max(limit, rows), rows));
    if (y.span * row_bytes <= shared_limit || limit <= rows) {
      break;
    }
  }
  // Images of a block: enough to give each thread a vector to load, and more if a GPU still has
  // enough blocks.
  const std::int64_t tiles = divide_up(a.x.out, x.tile) * divide_up(a.y.out, y.tile),
                     enough_blocks = 512;
  const std::int64_t filled = tile_threads<V> / (y.span * vectors);
  const std::int64_t wanted = std::max(filled, a.outer * tiles / enough_blocks);
  const std::int64_t room =
      std::min(shared_limit / (y.span * row_bytes), std::int64_t{pixels / (x.tile * y.tile)});
  const std::int64_t stacked = std::max<std::int64_t>(1, std::min({wanted, room, a.outer}));
  const std::int64_t grid = tiles * divide_up(a.outer, stacked);
  if (divide_up(a.x.out, x.tile) > grid_limit || divide_up(a.y.out, y.tile) > grid_limit ||
      grid > grid_limit) {
    return cudaErrorInvalidConfiguration;
  }
  const T* input = as<T>(a.input);
  T* output = as<T>(a.output);
  const Tiles t{
      x,
      y,
      a.outer,
      static_cast<int>(stacked),
      vectors,
      quad_stride,
      a.x.in % V == 0 && are_aligned({input}),
      a.x.out % V == 0 && are_aligned({output, a.epilogue.noise, a.epilogue.filtered}),
      {a.filter, a.flip},
      static_cast<float>(a.gain),
      Divisor(vectors),
      Divisor(y.span),
      Divisor(x.tile / 4),
      Divisor(x.tile / V),
      Divisor(y.tile / rows)};
  return fg_launch(
      tile_kernel<T, P, A, J, V, E>, dim3(static_cast<unsigned>(grid)), dim3(tile_threads<V>),
      static_cast<std::size_t>(stacked * y.span * row_bytes), stream, input, output, t, ending);
}

// Run one of the tile kernels and return true, or return false if none is for these arguments. At
// least half of a kernel's products must be those of real taps.
template <class T>
bool try_tiles(const Arguments& a, cudaStream_t stream, cudaError_t& error) {
  const std::int64_t p = period(a.x), d = advance(a.x),
                     most = std::max(most_taps(a.x), most_taps(a.y));
  const bool alike = period(a.y) == p && advance(a.y) == d;
  if (a.inner != 1 || !a.separable || !alike || p > 2 || d > 2 || p * d > 2 || most > 12) {
    return false;
  }
  const std::int64_t fewest = std::min(fewest_taps(a.x), fewest_taps(a.y));
  const auto fits = [&](std::int64_t taps) { return most <= taps && taps <= 2 * fewest; };
  if (a.has_epilogue) {
    // A layer that upsamples ends with this filter.
    if (p != 1 || d != 1 || !fits(4) || a.epilogue.act != Act::piecewise) {
      return false;
    }
    error = run_tiles<T, 1, 1, 4>(a, stream, Ending<T>(a));
    return true;
  }
  const auto with_taps = [&](auto period, auto advance, auto... taps) {
    constexpr int P = decltype(period)::value, A = decltype(advance)::value;
    const auto ran = [&](auto j) {
      constexpr int J = decltype(j)::value;
      return fits(J) && (error = run_tiles<T, P, A, J>(a, stream, Nothing()), true);
    };
    return (ran(taps) || ...);
  };
  constexpr std::integral_constant<int, 1> one;
  constexpr std::integral_constant<int, 2> two;
  constexpr std::integral_constant<int, 3> three;
  constexpr std::integral_constant<int, 4> four;
  constexpr std::integral_constant<int, 6> six;
  constexpr std::integral_constant<int, 8> eight;
  constexpr std::integral_constant<int, 12> twelve;
  return p == 2   ? with_taps(two, one, two, three, four, six)
         : d == 2 ? with_taps(one, two, four, six, eight, twelve)
                  : with_taps(one, one, four, six, eight, twelve);
}

}  // namespace fg::upfirdn2d
