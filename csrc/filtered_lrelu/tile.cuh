// Tiles of filtered_lrelu in shared memory, and the plan of their launch.
//
// A block has a tile of the output. Everything in between stays in shared memory, in two arrays
// that the passes read and write in turn:
//
//   input → rows upsampled along x → upsampled image → activation → downsampled along x → output
//
// The upsampled tile starts at a pixel that phase 0 belongs to. So taps and window of each phase
// are compile-time constants where the factors and the filters' lengths are: the paths of networks.
// There, a thread computes several neighbouring outputs from a window in registers. Other factors
// and lengths take loops over the taps of a phase. A filter that isn't separable takes one pass.
//
// Lanes go along rows in passes along x, whose pitch is odd, and along columns in the others. So
// neither has bank conflicts.
#pragma once

#include "filters.cuh"
#include "pieces.cuh"

namespace fg::filtered_lrelu {

// The limit is 48 KB without opt-in. Filters of more than 43 to 81 taps opt in, by their factors.
// Those of more than 62 to 119 fit in no tile.
inline constexpr std::int64_t shared_limit = 47 * 1024, shared_opt_in = 96 * 1024;
// Threads of a block along x and y.
inline constexpr int columns_of_threads = 32, rows_of_threads = 8;
// Byte of four codes whose slope is 0.
inline constexpr unsigned all_zero_slopes = 0xaa;

// An axis of a tile: pixels of the input, of the upsampled image and of the output. The upsampled
// ones are a multiple of `up` and start up to up - 1 pixels early.
struct TileAxis {
  Axis a;
  int in, between, out;
  unsigned tiles;
};

struct Tiles {
  TileAxis x, y;
  std::int64_t inner, channels;
  unsigned slices;
  int lanes, lane_bits;                    // channels of a tile; 1 if images are contiguous
  int pitch_in, pitch_between, pitch_out;  // elements of a row, odd
  int second;                              // start of the second array
  int taps;                                // start of the filters
  const float *up_filter, *down_filter;
  std::uint8_t* new_codes;
  const std::uint8_t* codes;
  bool up_separable, down_separable, flip;
  double gain, slope, clamp;
};

// A block's place along an axis.
struct Span {
  std::int64_t out, between, in;  // first pixels
  std::int64_t owned, owned_end;  // upsampled pixels whose codes the block writes
  int skipped;                    // upsampled pixels before the first one that is needed
};

FG_DEVICE Span span_of(const TileAxis& t, unsigned tile) {
  Span s;
  s.out = static_cast<std::int64_t>(tile) * t.out;
  s.owned = s.out * t.a.down;
  const std::int64_t phase = (s.owned - t.a.pad) % t.a.up;
  s.skipped = static_cast<int>(phase < 0 ? phase + t.a.up : phase);
  s.between = s.owned - s.skipped;
  s.in = (s.between - t.a.pad) / t.a.up;
  s.owned_end = s.out + t.out < t.a.out ? (s.out + t.out) * t.a.down : between(t.a);
  return s;
}

// Copy both filters in the order in which they meet the image. Those of x come first, and have the
// gain; a filter that isn't separable has that one alone.
template <class R>
FG_DEVICE void load_filters(R* to, const Tiles& t, int thread, int threads) {
  const int up_x = static_cast<int>(t.x.a.taps_up), up_y = static_cast<int>(t.y.a.taps_up);
  const int down_x = static_cast<int>(t.x.a.taps_down), down_y = static_cast<int>(t.y.a.taps_down);
  const int up = t.up_separable ? up_x : up_x * up_y;
  const int down = t.down_separable ? down_x : down_x * down_y;
  for (int k = thread; k < up; k += threads) {
    const float h = t.up_filter ? t.up_filter[t.flip ? k : up - 1 - k] : 1.0f;
    to[k] = static_cast<R>(t.gain) * static_cast<R>(h);
    if (t.up_separable) {
      to[up + k] = static_cast<R>(h);
    }
  }
  R* const behind = to + (t.up_separable ? 2 : 1) * up;
  for (int k = thread; k < down; k += threads) {
    behind[k] = static_cast<R>(t.down_filter ? t.down_filter[t.flip ? k : down - 1 - k] : 1.0f);
  }
}

// Call f(line, chunk) for the thread's share of lines and of chunks of them.
template <class F>
FG_DEVICE void share(int lines, int chunks, const F& f) {
#pragma unroll 1
  for (int chunk = threadIdx.y; chunk < chunks; chunk += rows_of_threads) {
#pragma unroll 1
    for (int line = threadIdx.x; line < lines; line += columns_of_threads) {
      f(line, chunk);
    }
  }
}

template <class T>
class Block {
  using R = accumulate_t<T>;

 public:
  FG_DEVICE Block(const Tiles& t, R* memory) : t_(t), memory_(memory) {
    const unsigned tile_x = blockIdx.x % t.x.tiles, rest = blockIdx.x / t.x.tiles;
    const unsigned tile_y = rest % t.y.tiles, above = rest / t.y.tiles;
    x_ = span_of(t.x, tile_x);
    y_ = span_of(t.y, tile_y);
    channel_ = static_cast<std::int64_t>(above % t.slices) * t.lanes;
    image_ = above / t.slices;
  }

  FG_DEVICE R* first() const { return memory_; }
  FG_DEVICE R* second() const { return memory_ + t_.second; }
  FG_DEVICE const R* taps() const { return memory_ + t_.taps; }
  FG_DEVICE int lane(int i) const { return i & (t_.lanes - 1); }

  // Copy the input with its bias, and zeros beyond the image.
  FG_DEVICE void load(const T* input, const T* bias, R* to) const {
    share(t_.x.in * t_.lanes, t_.y.in, [&](int line, int row) {
      const std::int64_t x = x_.in + (line >> t_.lane_bits), y = y_.in + row;
      const std::int64_t c = channel_ + lane(line);
      R value = 0;
      if (x >= 0 && x < t_.x.a.in && y >= 0 && y < t_.y.a.in && c < t_.inner) {
        value = to_accumulate(input[((image_ * t_.y.a.in + y) * t_.x.a.in + x) * t_.inner + c]);
        if (bias) {
          value += to_accumulate(bias[t_.inner == 1 ? image_ % t_.channels : c]);
        }
      }
      to[row * t_.pitch_in + line] = value;
    });
  }

  template <class Up>
  FG_DEVICE void up_along_x(const R* from, R* to) const {
    const int up = static_cast<int>(t_.x.a.up);
    const Up filter(taps(), up, static_cast<int>(t_.x.a.taps_up));
    share(t_.y.in << t_.lane_bits, t_.x.between / (up * Up::step), [&](int line, int chunk) {
      const int row = line >> t_.lane_bits, start = chunk * Up::step * t_.lanes + lane(line);
      filter(
          from + row * t_.pitch_in + start, t_.lanes,
          to + row * t_.pitch_between + start * up - lane(line) * (up - 1), t_.lanes);
    });
  }

  template <class Up>
  FG_DEVICE void up_along_y(const R* from, R* to) const {
    const int up = static_cast<int>(t_.y.a.up);
    const Up filter(taps() + t_.x.a.taps_up, up, static_cast<int>(t_.y.a.taps_up));
    share(t_.x.between * t_.lanes, t_.y.between / (up * Up::step), [&](int line, int chunk) {
      const int start = chunk * Up::step * t_.pitch_between;
      filter(from + start + line, t_.pitch_between, to + start * up + line, t_.pitch_between);
    });
  }

  // Upsample by a filter that isn't separable.
  FG_DEVICE void up_along_both(const R* from, R* to) const {
    const int up = static_cast<int>(t_.x.a.up);
    const int taps_x = static_cast<int>(t_.x.a.taps_up), taps_y = static_cast<int>(t_.y.a.taps_up);
    share(t_.x.between * t_.lanes, t_.y.between, [&](int line, int row) {
      const int x = line >> t_.lane_bits, qx = x / up, rx = x - qx * up;
      const int qy = row / up, ry = row - qy * up;
      R sum = 0;
      int y = qy + (ry > 0);
      for (int ky = ry > 0 ? up - ry : 0; ky < taps_y; ky += up, ++y) {
        const R* at = from + y * t_.pitch_in + (qx + (rx > 0)) * t_.lanes + lane(line);
        for (int kx = rx > 0 ? up - rx : 0; kx < taps_x; kx += up, at += t_.lanes) {
          sum += taps()[ky * taps_x + kx] * *at;
        }
      }
      to[row * t_.pitch_between + line] = sum;
    });
  }

  // Apply the activation and write its codes, or apply the slopes of given codes. A thread has the
  // four rows of a byte.
  FG_DEVICE void activate(R* image) const {
    const std::int64_t above = y_.between + t_.y.a.offset;
    const std::int64_t floor = above / rows_per_byte - (above % rows_per_byte < 0);
    const int before = static_cast<int>(above - floor * rows_per_byte);
    const int bytes = (before + t_.y.between + rows_per_byte - 1) / rows_per_byte;
    const R slope = static_cast<R>(t_.slope), clamp = static_cast<R>(t_.clamp);
    share(t_.x.between * t_.lanes, bytes, [&](int line, int group) {
      const std::int64_t x = x_.between + (line >> t_.lane_bits), c = channel_ + lane(line);
      const std::int64_t row_of_codes = floor + group, column = x + t_.x.a.offset;
      const std::int64_t at =
          ((image_ * (t_.y.a.codes / rows_per_byte) + row_of_codes) * t_.x.a.codes + column) *
              t_.inner +
          c;
      unsigned given = all_zero_slopes, made = 0;
      if (t_.codes && row_of_codes >= 0 && row_of_codes * rows_per_byte < t_.y.a.codes &&
          column >= 0 && column < t_.x.a.codes && c < t_.inner) {
        given = t_.codes[at];
      }
#pragma unroll
      for (int r = 0; r < rows_per_byte; ++r) {
        const int row = group * rows_per_byte + r - before;
        if (row >= 0 && row < t_.y.between) {
          R& u = image[row * t_.pitch_between + line];
          if (t_.codes) {
            const unsigned code = given >> 2 * r;
            u *= code & 2 ? R(0) : code & 1 ? slope : R(1);
          } else {
            const bool negative = u < 0;
            const R v = negative ? u * slope : u;
            const bool over = v > clamp, under = v < -clamp;
            u = over ? clamp : under ? -clamp : v;
            if (y_.between + row < y_.owned_end) {
              made |= (over || under ? 2u : negative ? 1u : 0u) << 2 * r;
            }
          }
        }
      }
      const std::int64_t first_row = row_of_codes * rows_per_byte;
      if (t_.new_codes && first_row >= y_.owned && first_row < y_.owned_end && x >= x_.owned &&
          x < x_.owned_end && c < t_.inner) {
        t_.new_codes[at] = static_cast<std::uint8_t>(made);
      }
    });
  }

  template <class Down>
  FG_DEVICE void down_along_x(const R* from, R* to) const {
    const int down = static_cast<int>(t_.x.a.down);
    const Down filter(down_taps(), down, static_cast<int>(t_.x.a.taps_down));
    share(t_.y.between << t_.lane_bits, t_.x.out / Down::outputs, [&](int line, int chunk) {
      const int row = line >> t_.lane_bits, o = chunk * Down::outputs;
      R* const target = to + row * t_.pitch_out + o * t_.lanes + lane(line);
      filter(
          from + row * t_.pitch_between + (x_.skipped + o * down) * t_.lanes + lane(line), t_.lanes,
          [&](int i, R sum) { target[i * t_.lanes] = sum; });
    });
  }

  template <class Down>
  FG_DEVICE void down_along_y(const R* from, T* output) const {
    const int down = static_cast<int>(t_.y.a.down);
    const Down filter(down_taps(), down, static_cast<int>(t_.y.a.taps_down));
    share(t_.x.out * t_.lanes, t_.y.out / Down::outputs, [&](int line, int chunk) {
      const int o = chunk * Down::outputs;
      filter(from + (y_.skipped + o * down) * t_.pitch_out + line, t_.pitch_out, [&](int i, R sum) {
        store(output, line, o + i, sum);
      });
    });
  }

  // Downsample by a filter that isn't separable.
  FG_DEVICE void down_along_both(const R* from, T* output) const {
    const int down = static_cast<int>(t_.x.a.down);
    const int taps_x = static_cast<int>(t_.x.a.taps_down);
    const int taps_y = static_cast<int>(t_.y.a.taps_down);
    const R* const g = down_taps();
    share(t_.x.out * t_.lanes, t_.y.out, [&](int line, int o) {
      const R* const start = from + (y_.skipped + o * down) * t_.pitch_between +
                             (x_.skipped + (line >> t_.lane_bits) * down) * t_.lanes + lane(line);
      R sum = 0;
      for (int ky = 0; ky < taps_y; ++ky) {
#pragma unroll 4
        for (int kx = 0; kx < taps_x; ++kx) {
          sum += g[ky * taps_x + kx] * start[ky * t_.pitch_between + kx * t_.lanes];
        }
      }
      store(output, line, o, sum);
    });
  }

 private:
  FG_DEVICE const R* down_taps() const {
    const int up = static_cast<int>(t_.x.a.taps_up);
    return taps() + (t_.up_separable ? 2 * up : up * static_cast<int>(t_.y.a.taps_up));
  }

  FG_DEVICE void store(T* output, int line, int row, R sum) const {
    const std::int64_t x = x_.out + (line >> t_.lane_bits), y = y_.out + row;
    const std::int64_t c = channel_ + lane(line);
    if (x < t_.x.a.out && y < t_.y.a.out && c < t_.inner) {
      output[((image_ * t_.y.a.out + y) * t_.x.a.out + x) * t_.inner + c] = from_accumulate<T>(sum);
    }
  }

  const Tiles& t_;
  R* const memory_;
  Span x_, y_;
  std::int64_t channel_, image_;
};

template <class T, int U, int TU, int D, int TD>
__global__ void __launch_bounds__(block_threads, 3) tile_kernel(
    const T* input, const T* bias, T* output, Tiles t) {
  using R = accumulate_t<T>;
  FG_DYN_SHARED(R, memory);
  const Block<T> b(t, memory);
  // The input lies in the array that the upsampled image isn't in.
  R* const in = t.up_separable ? b.first() : b.second();
  load_filters(memory + t.taps, t, threadIdx.y * columns_of_threads + threadIdx.x, block_threads);
  b.load(input, bias, in);
  __syncthreads();
  if (t.up_separable) {
    b.template up_along_x<Up<U, TU, R>>(b.first(), b.second());
    __syncthreads();
    b.template up_along_y<Up<U, TU, R>>(b.second(), b.first());
  } else {
    b.up_along_both(in, b.first());
  }
  __syncthreads();
  b.activate(b.first());
  __syncthreads();
  if (t.down_separable) {
    b.template down_along_x<Down<D, TD, R>>(b.first(), b.second());
    __syncthreads();
    b.template down_along_y<Down<D, TD, R>>(b.second(), output);
  } else {
    b.down_along_both(b.first(), output);
  }
}

// ---- host side

// Divide an axis into tiles of up to `out` outputs. `periods` of the upsampled tile and `outputs`
// are computed at once.
inline TileAxis tile_axis(const Axis& a, std::int64_t out, std::int64_t periods) {
  TileAxis t{};
  t.a = a;
  t.out = static_cast<int>(out);
  const std::int64_t needed = (out - 1) * a.down + std::max(a.taps_down, a.down) + a.up - 1;
  const std::int64_t count = divide_up(needed, a.up * periods) * periods;
  t.between = static_cast<int>(count * a.up);
  t.in = static_cast<int>(count + divide_up(a.taps_up, a.up));
  t.tiles = static_cast<unsigned>(divide_up(a.out, out));
  return t;
}

// Arrange the arrays of a tile in shared memory. Return its elements.
inline std::int64_t arrange(Tiles& t) {
  const std::int64_t in = t.x.in * t.lanes | 1, between = t.x.between * t.lanes | 1,
                     out = t.x.out * t.lanes | 1;
  t.pitch_in = static_cast<int>(in);
  t.pitch_between = static_cast<int>(between);
  t.pitch_out = static_cast<int>(out);
  const std::int64_t image = between * t.y.between, input = in * t.y.in;
  const std::int64_t first = t.up_separable ? std::max(image, input) : image;
  const std::int64_t upsampled = t.up_separable ? between * t.y.in : input;
  const std::int64_t second = std::max(upsampled, t.down_separable ? out * t.y.between : 0);
  const auto taps = [](bool separable, std::int64_t x, std::int64_t y) {
    return separable ? 2 * std::max(x, y) : x * y;
  };
  t.second = static_cast<int>(first);
  t.taps = static_cast<int>(first + second);
  return first + second + taps(t.up_separable, t.x.a.taps_up, t.y.a.taps_up) +
         taps(t.down_separable, t.x.a.taps_down, t.y.a.taps_down);
}

// Return the size of tiles that cover `length` evenly: a multiple of `unit`, up to `limit`.
inline std::int64_t even_tile(std::int64_t length, std::int64_t limit, std::int64_t unit) {
  const std::int64_t tiles = divide_up(length, limit);
  return divide_up(divide_up(length, tiles), unit) * unit;
}

// Choose the tile, as large as shared memory allows. `periods` and `outputs` are those that a
// thread computes at once. Return its bytes.
template <class R>
std::int64_t choose_tile(Tiles& t, const Arguments& a, int periods, int outputs) {
  std::int64_t bytes = 0;
  for (int lanes = power_of_two(a.inner, 1, 8); lanes > 0; lanes /= 2) {
    t.lanes = lanes;
    // With several channels, tiles of a few pixels would compute too many pixels twice.
    const std::int64_t narrowest = lanes > 1 ? 8 : outputs, lowest = lanes > 1 ? 8 : 4;
    // A whole number of outputs of a thread, and of bytes of codes along y.
    std::int64_t width = even_tile(a.x.out, 32, outputs), height = even_tile(a.y.out, 32, 4);
    for (;;) {
      t.x = tile_axis(a.x, width, periods);
      t.y = tile_axis(a.y, height, periods);
      bytes = arrange(t) * static_cast<std::int64_t>(sizeof(R));
      if (bytes <= shared_limit) {
        return bytes;
      }
      if (width > narrowest && (width >= height || height <= lowest)) {
        width = std::max(narrowest, divide_up(width / 2, outputs) * outputs);
      } else if (height > lowest) {
        height = std::max(lowest, divide_up(height / 2, 4) * 4);
      } else {
        break;
      }
    }
  }
  return bytes;
}

// Run tiles, or pieces if shared memory holds no tile.
template <class T, int U, int TU, int D, int TD>
cudaError_t run_tiles(const Arguments& a, cudaStream_t stream) {
  using R = accumulate_t<T>;
  Tiles t{};
  t.inner = a.inner;
  t.channels = a.channels;
  t.up_filter = a.up_filter;
  t.down_filter = a.down_filter;
  t.new_codes = a.new_codes;
  t.codes = a.codes;
  t.up_separable = a.up_separable;
  t.down_separable = a.down_separable;
  t.flip = a.flip;
  t.gain = a.gain;
  t.slope = a.slope;
  t.clamp = a.clamp;
  const std::int64_t bytes = choose_tile<R>(t, a, Up<U, TU, R>::step, Down<D, TD, R>::outputs);
  if (bytes > shared_opt_in) {
    return run_pieces<T>(a, stream);
  }
  while (1 << t.lane_bits < t.lanes) {
    ++t.lane_bits;
  }
  t.slices = static_cast<unsigned>(divide_up(a.inner, t.lanes));
  std::int64_t blocks = a.outer;
  for (const std::int64_t factor :
       {std::int64_t{t.slices}, std::int64_t{t.x.tiles}, std::int64_t{t.y.tiles}}) {
    if (factor > grid_limit / blocks) {
      return cudaErrorInvalidConfiguration;
    }
    blocks *= factor;
  }
  return fg_launch(
      tile_kernel<T, U, TU, D, TD>, dim3(static_cast<unsigned>(blocks)),
      dim3(columns_of_threads, rows_of_threads), static_cast<std::size_t>(bytes), stream,
      as<T>(a.input), as<T>(a.bias), as<T>(a.output), t);
}

}  // namespace fg::filtered_lrelu
