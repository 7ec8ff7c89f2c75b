// Pieces of filtered_lrelu for filters that no tile in shared memory holds: the general path.
//
// A block has a tile of the output of one channel, four pixels to a thread. It goes through the
// upsampled pixels that the tile meets, in pieces as large as the tile:
//
//   input rows → upsampled along x → added to rows of the piece
//   → activation → downsampled along x → added to the output
//
// So shared memory has the same size for all filters, but neighbouring tiles share no work. A
// filter that isn't separable takes one pass.
#pragma once

#include <cstdlib>

#include "../common/launch.cuh"
#include "problem.h"

namespace fg::filtered_lrelu {

// Pixels of a piece and of a tile of outputs along an axis.
inline constexpr int piece_side = 32;
// Input rows that are upsampled along x at once.
inline constexpr int piece_rows = piece_side / rows_per_byte;

// An axis in 32-bit numbers, of which a thread has half as many registers.
struct PieceAxis {
  int in, out, up, down, pad, taps_up, taps_down, between, offset, codes;
  unsigned tiles;
};

struct Pieces {
  PieceAxis x, y;
  std::int64_t inner, channels;
  const float *up_filter, *down_filter;
  std::uint8_t* new_codes;
  const std::uint8_t* codes;
  bool up_separable, down_separable, flip;
  double gain, slope, clamp;
};

// The first tap that meets the input at an upsampled pixel, and the input's pixel.
struct FirstTap {
  int tap, pixel;
};

FG_DEVICE FirstTap first_tap(const PieceAxis& x, int m) {
  const int start = m - x.pad, phase = start % x.up;
  const int tap = phase > 0 ? x.up - phase : -phase;
  return {tap, (start + tap) / x.up};
}

template <class T>
class Piece {
  using R = accumulate_t<T>;

 public:
  FG_DEVICE Piece(const Pieces& p) : a_(p) {
    const unsigned rest = blockIdx.x / p.x.tiles, plane = rest / p.y.tiles;
    out_x_ = static_cast<int>(blockIdx.x % p.x.tiles) * piece_side;
    out_y_ = static_cast<int>(rest % p.y.tiles) * piece_side;
    channel_ = plane % p.inner;
    image_ = plane / p.inner;
    column_ = static_cast<int>(threadIdx.x);
    row_ = static_cast<int>(threadIdx.y) * rows_per_byte;
  }

  FG_DEVICE void run(const T* input, const T* bias, T* output, R* image, R* rows) {
    const int end_x = last(a_.x, out_x_), end_y = last(a_.y, out_y_);
    R sums[rows_per_byte] = {};
#pragma unroll 1
    for (y_ = out_y_ * a_.y.down; y_ < end_y; y_ += piece_side) {
#pragma unroll 1
      for (x_ = out_x_ * a_.x.down; x_ < end_x; x_ += piece_side) {
        R u[rows_per_byte] = {};
        if (a_.up_separable) {
          upsample(input, bias, rows, u);
        } else {
          upsample_both(input, bias, u);
        }
        activate(u);
#pragma unroll
        for (int r = 0; r < rows_per_byte; ++r) {
          image[(row_ + r) * pitch + column_] = u[r];
        }
        __syncthreads();
        if (a_.down_separable) {
          downsample(image, rows, sums);
        } else {
          downsample_both(image, sums);
        }
        __syncthreads();
      }
    }
#pragma unroll
    for (int r = 0; r < rows_per_byte; ++r) {
      const int x = out_x_ + column_, y = out_y_ + row_ + r;
      if (x < a_.x.out && y < a_.y.out) {
        output[((image_ * a_.y.out + y) * a_.x.out + x) * a_.inner + channel_] =
            from_accumulate<T>(sums[r]);
      }
    }
  }

  // Elements of a row of the piece, odd.
  static constexpr int pitch = piece_side + 1;

 private:
  // The end of the upsampled pixels that a tile meets.
  FG_DEVICE static int last(const PieceAxis& x, int out) {
    const int end = out + piece_side < x.out ? out + piece_side : x.out;
    const int met = (end - 1) * x.down + x.taps_down, owned = end * x.down;
    return end < x.out && owned > met ? owned : met;
  }

  FG_DEVICE R up_tap(int k, int taps) const {
    return a_.up_filter ? static_cast<R>(a_.up_filter[a_.flip ? k : taps - 1 - k]) : R(1);
  }

  FG_DEVICE R down_tap(int k, int taps) const {
    return a_.down_filter ? static_cast<R>(a_.down_filter[a_.flip ? k : taps - 1 - k]) : R(1);
  }

  // Return a pixel of the input with its bias, 0 beyond the image.
  FG_DEVICE R pixel(const T* input, const T* bias, int y, int x) const {
    if (x < 0 || x >= a_.x.in || y < 0 || y >= a_.y.in) {
      return 0;
    }
    const std::int64_t at = ((image_ * a_.y.in + y) * a_.x.in + x) * a_.inner + channel_;
    const R value = to_accumulate(input[at]);
    return bias ? value + to_accumulate(bias[a_.inner == 1 ? image_ % a_.channels : channel_])
                : value;
  }

  FG_DEVICE void upsample(const T* input, const T* bias, R* rows, R* u) const {
    const int taps_x = a_.x.taps_up, taps_y = a_.y.taps_up;
    const int bottom = first_tap(a_.y, y_ + piece_side - 1 + taps_y).pixel;
    const FirstTap x = first_tap(a_.x, x_ + column_);
    int from = first_tap(a_.y, y_).pixel;
    from = from > 0 ? from : 0;
    const int to = bottom < a_.y.in ? bottom : a_.y.in;
    for (; from < to; from += piece_rows) {
      R sum = 0;
      int at = x.pixel;
#pragma unroll 1
      for (int k = x.tap; k < taps_x; k += a_.x.up, ++at) {
        sum += up_tap(k, taps_x) * pixel(input, bias, from + row_ / rows_per_byte, at);
      }
      rows[row_ / rows_per_byte * pitch + column_] = static_cast<R>(a_.gain) * sum;
      __syncthreads();
#pragma unroll 1
      for (int i = 0; i < piece_rows && from + i < to; ++i) {
        const R value = rows[i * pitch + column_];
#pragma unroll
        for (int r = 0; r < rows_per_byte; ++r) {
          const int k = (from + i) * a_.y.up - (y_ + row_ + r - a_.y.pad);
          if (k >= 0 && k < taps_y) {
            u[r] += up_tap(k, taps_y) * value;
          }
        }
      }
      __syncthreads();
    }
  }

  FG_DEVICE void upsample_both(const T* input, const T* bias, R* u) const {
    const int taps = a_.x.taps_up * a_.y.taps_up;
    const FirstTap x = first_tap(a_.x, x_ + column_);
#pragma unroll
    for (int r = 0; r < rows_per_byte; ++r) {
      const FirstTap y = first_tap(a_.y, y_ + row_ + r);
      R sum = 0;
      int row = y.pixel;
#pragma unroll 1
      for (int ky = y.tap; ky < a_.y.taps_up; ky += a_.y.up, ++row) {
        int at = x.pixel;
#pragma unroll 1
        for (int kx = x.tap; kx < a_.x.taps_up; kx += a_.x.up, ++at) {
          sum += up_tap(ky * a_.x.taps_up + kx, taps) * pixel(input, bias, row, at);
        }
      }
      u[r] = static_cast<R>(a_.gain) * sum;
    }
  }

  // Apply the activation and write its codes, or apply the slopes of given codes. A thread has the
  // four rows of a byte, which a piece starts with.
  FG_DEVICE void activate(R* u) const {
    const int x = x_ + column_, y = y_ + row_, code_x = x + a_.x.offset;
    const R slope = static_cast<R>(a_.slope), clamp = static_cast<R>(a_.clamp);
    unsigned made = 0;
#pragma unroll
    for (int r = 0; r < rows_per_byte; ++r) {
      if (a_.codes) {
        const int code_y = y + r + a_.y.offset;
        unsigned code = 2;
        if (code_x >= 0 && code_x < a_.x.codes && code_y >= 0 && code_y < a_.y.codes) {
          code = a_.codes[byte_at(code_y / rows_per_byte, code_x)] >> code_y % rows_per_byte * 2;
        }
        u[r] *= code & 2 ? R(0) : code & 1 ? slope : R(1);
      } else {
        const bool negative = u[r] < 0;
        const R v = negative ? u[r] * slope : u[r];
        const bool over = v > clamp, under = v < -clamp;
        u[r] = over ? clamp : under ? -clamp : v;
        if (y + r < a_.y.between) {
          made |= (over || under ? 2u : negative ? 1u : 0u) << 2 * r;
        }
      }
    }
    if (a_.new_codes && owns(a_.x, out_x_, x) && owns(a_.y, out_y_, y)) {
      a_.new_codes[byte_at(y / rows_per_byte, x)] = static_cast<std::uint8_t>(made);
    }
  }

  FG_DEVICE std::int64_t byte_at(int row, int column) const {
    return ((image_ * (a_.y.codes / rows_per_byte) + row) * a_.x.codes + column) * a_.inner +
           channel_;
  }

  // Test if the block writes the code of an upsampled pixel: tiles overlap there.
  FG_DEVICE static bool owns(const PieceAxis& x, int out, int m) {
    const int end = out + piece_side;
    return m < (end < x.out ? end * x.down : x.between);
  }

  FG_DEVICE void downsample(const R* image, R* rows, R* sums) const {
    const int taps = a_.x.taps_down, first = (out_x_ + column_) * a_.x.down - x_;
#pragma unroll 1
    for (int r = 0; r < rows_per_byte; ++r) {
      R sum = 0;
#pragma unroll 1
      for (int i = first > 0 ? first : 0; i < piece_side && i - first < taps; ++i) {
        sum += down_tap(i - first, taps) * image[(row_ + r) * pitch + i];
      }
      rows[(row_ + r) * pitch + column_] = sum;
    }
    __syncthreads();
#pragma unroll 1
    for (int i = 0; i < piece_side; ++i) {
      const R value = rows[i * pitch + column_];
#pragma unroll
      for (int r = 0; r < rows_per_byte; ++r) {
        const int k = y_ + i - (out_y_ + row_ + r) * a_.y.down;
        if (k >= 0 && k < a_.y.taps_down) {
          sums[r] += down_tap(k, a_.y.taps_down) * value;
        }
      }
    }
  }

  FG_DEVICE void downsample_both(const R* image, R* sums) const {
    const int taps_x = a_.x.taps_down, taps_y = a_.y.taps_down;
    const int first = x_ - (out_x_ + column_) * a_.x.down;
#pragma unroll
    for (int r = 0; r < rows_per_byte; ++r) {
#pragma unroll 1
      for (int j = 0; j < piece_side; ++j) {
        const int ky = y_ + j - (out_y_ + row_ + r) * a_.y.down;
        if (ky < 0 || ky >= taps_y) {
          continue;
        }
#pragma unroll 1
        for (int i = 0; i < piece_side; ++i) {
          const int kx = first + i;
          if (kx >= 0 && kx < taps_x) {
            sums[r] += down_tap(ky * taps_x + kx, taps_x * taps_y) * image[j * pitch + i];
          }
        }
      }
    }
  }

  const Pieces& a_;
  std::int64_t image_, channel_;
  int out_x_, out_y_, column_;
  int x_ = 0, y_ = 0;  // first pixel of the piece
  int row_;            // first of the thread's rows in a piece
};

template <class T>
__global__ void __launch_bounds__(block_threads, 3) piece_kernel(
    const T* input, const T* bias, T* output, Pieces p) {
  using R = accumulate_t<T>;
  FG_SHARED(R, image, [piece_side * Piece<T>::pitch]);
  FG_SHARED(R, rows, [piece_side * Piece<T>::pitch]);
  Piece<T>(p).run(input, bias, output, image, rows);
}

inline PieceAxis piece_axis(const Axis& x, std::int64_t tiles) {
  const auto number = [](std::int64_t n) { return static_cast<int>(n); };
  return {
      number(x.in),
      number(x.out),
      number(x.up),
      number(x.down),
      number(x.pad),
      number(x.taps_up),
      number(x.taps_down),
      number(between(x)),
      number(x.offset),
      number(x.codes),
      static_cast<unsigned>(tiles)};
}

// The sizes fit into 32 bits, as long as they are below 2^30.
template <class T>
cudaError_t run_pieces(const Arguments& a, cudaStream_t stream) {
  const std::int64_t tiles_x = divide_up(a.x.out, piece_side);
  const std::int64_t tiles_y = divide_up(a.y.out, piece_side);
  for (const Axis& x : {a.x, a.y}) {
    const std::int64_t longest = std::max({x.in * x.up + x.taps_up, between(x), x.codes});
    if (longest + std::abs(x.pad) + std::abs(x.offset) > grid_limit / 2) {
      return cudaErrorInvalidConfiguration;
    }
  }
  const Pieces p{
      piece_axis(a.x, tiles_x),
      piece_axis(a.y, tiles_y),
      a.inner,
      a.channels,
      a.up_filter,
      a.down_filter,
      a.new_codes,
      a.codes,
      a.up_separable,
      a.down_separable,
      a.flip,
      a.gain,
      a.slope,
      a.clamp};
  std::int64_t blocks = a.outer;
  for (const std::int64_t factor : {a.inner, tiles_x, tiles_y}) {
    if (factor > grid_limit / blocks) {
      return cudaErrorInvalidConfiguration;
    }
    blocks *= factor;
  }
  return fg_launch(
      piece_kernel<T>, dim3(static_cast<unsigned>(blocks)), dim3(piece_side, piece_rows), 0, stream,
      as<T>(a.input), as<T>(a.bias), as<T>(a.output), p);
}

}  // namespace fg::filtered_lrelu
