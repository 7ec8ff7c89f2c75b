// CUDA kernels of modulation_factors and its derivative, and their launches. Torch-free; the
// emulation runs them unchanged.
//
// - weights_kernel, weights_backward_kernel: a block has an output channel, whose weights it keeps
//   in shared memory if they fit. There, threads read the taps of a channel without conflicts, and
//   memory is read and written in its order.
// - styles_kernel: a warp has an output channel and some images.
// - styles_backward_kernel: a thread has a channel of some images, and a share of the output
//   channels.
#pragma once

#include "../common/launch.cuh"
#include "../common/reduce.cuh"
#include "factors.h"

namespace fg::modulation_factors {

inline constexpr int warps = block_threads / warp;
// Images that share a load of the squares.
inline constexpr int images_forward = 8, images_backward = 2;
inline constexpr std::int64_t shared_bytes = 48 * 1024;

template <class T>
struct Tensors {
  using R = accumulate_t<T>;

  const R *weight, *styles, *gain;
  std::int64_t gain_row, gain_step;
  T *scaled, *scaled_styles, *scale;
  const T *dscaled, *dscaled_styles, *dscale;
  R *squares, *norm, *largest, *root, *dweight, *dstyles, *dgain;
  std::int64_t batch, outs, channels, taps;
  bool channels_last, flip;
  Bounds<R> bounds;

  FG_DEVICE R divisor(std::int64_t n) const { return largest ? largest[n] : R(1); }
  FG_DEVICE R gain_of(std::int64_t n, std::int64_t i) const {
    return gain ? gain[n * gain_row + i * gain_step] : R(1);
  }
  // Place of a channel's tap in the scaled weights of an output channel.
  FG_DEVICE std::int64_t place(std::int64_t i, std::int64_t tap) const {
    const std::int64_t k = flip ? taps - 1 - tap : tap;
    return channels_last ? k * channels + i : i * taps + k;
  }
  FG_DEVICE R slope(std::int64_t n, std::int64_t o) const {
    return twice_dsum(root[n * outs + o], to_accumulate(dscale[n * outs + o]));
  }
};

// Call f(element, its V values) for the elements of a row that this thread has.
template <int V, class R, class F>
FG_DEVICE void for_each_of_row(const R* row, std::int64_t length, F&& f) {
  for (std::int64_t at = threadIdx.x * V; at < length; at += block_threads * V) {
    f(at, load_vec<V>(row + at));
  }
}

// With `Wide`, rows of weights are read in vectors.
template <class T, bool Wide>
__global__ void __launch_bounds__(block_threads) weights_kernel(Tensors<T> t, bool staged) {
  using R = accumulate_t<T>;
  constexpr int V = Wide ? access_width<R> : 1;
  FG_DYN_SHARED(R, stage);
  FG_SHARED(R, parts, [warps]);
  const std::int64_t o = blockIdx.x, length = t.channels * t.taps;
  const R* row = t.weight + o * length;
  R total = 0;
  if (staged || t.norm) {
    for_each_of_row<V>(row, length, [&](std::int64_t at, const Vec<R, V>& v) {
#pragma unroll
      for (int j = 0; j < V; ++j) {
        total += v[j] * v[j];
      }
      if (staged) {
        store_shared(stage + at, v);
      }
    });
  }
  R norm = 1;
  if (t.norm) {
    norm = weight_divisor(sum_of_row(total, block_threads, parts));
    if (threadIdx.x == 0) {
      t.norm[o] = norm;
    }
  }
  __syncthreads();
  row = staged ? stage : row;
  for (std::int64_t i = threadIdx.x; i < t.channels; i += block_threads) {
    R squares = 0;
    for (std::int64_t k = 0; k < t.taps; ++k) {
      const R v = row[i * t.taps + k] / norm;
      squares += v * v;
      if (t.scaled && t.channels_last) {
        t.scaled[o * length + t.place(i, k)] = from_accumulate<T>(v);
      }
    }
    if (t.squares) {
      t.squares[o * t.channels + i] = squares;
    }
  }
  if (t.scaled && !t.channels_last) {
    for (std::int64_t at = threadIdx.x; at < length; at += block_threads) {
      const std::int64_t to = t.flip ? t.place(at / t.taps, at % t.taps) : at;
      t.scaled[o * length + to] = from_accumulate<T>(row[at] / norm);
    }
  }
}

// threadIdx.y is a warp.
template <class T>
__global__ void __launch_bounds__(block_threads) styles_kernel(Tensors<T> t, unsigned tiles) {
  using R = accumulate_t<T>;
  FG_SHARED(R, divisors, [images_forward]);
  FG_SHARED(R, inverses, [images_forward]);
  const int lane = threadIdx.x, of_warp = threadIdx.y;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x / tiles) * images_forward,
                     o = static_cast<std::int64_t>(blockIdx.x % tiles) * warps + of_warp;
  // Each warp has an image for its divisor and its styles.
  static_assert(warps == images_forward);
  const std::int64_t own = first + of_warp;
  const bool there = own < t.batch;
  R divisor = 1;
  if (t.largest) {
    R largest = 0;
    if (there) {
      for (std::int64_t i = lane; i < t.channels; i += warp) {
        const R v = std::abs(t.styles[own * t.channels + i]);
        largest = v > largest || v != v ? v : largest;
      }
    }
    for (int step = warp / 2; step > 0; step /= 2) {
      const R v = __shfl_xor_sync(0xffffffffu, largest, step);
      largest = v > largest || v != v ? v : largest;
    }
    divisor = style_divisor(largest, t.bounds);
  }
  if (lane == 0) {
    divisors[of_warp] = divisor;
    inverses[of_warp] = R(1) / divisor;
  }
  if (there && blockIdx.x % tiles == 0) {
    if (t.largest && lane == 0) {
      t.largest[own] = divisor;
    }
    for (std::int64_t i = lane; i < t.channels; i += warp) {
      const std::int64_t at = own * t.channels + i;
      t.scaled_styles[at] = from_accumulate<T>(t.styles[at] / divisor * t.gain_of(own, i));
    }
  }
  __syncthreads();
  if (!t.scale) {
    return;
  }
  const int images =
      static_cast<int>(t.batch - first < images_forward ? t.batch - first : images_forward);
  R sums[images_forward] = {};
  if (t.root && o < t.outs) {
#pragma unroll 2
    for (std::int64_t i = lane; i < t.channels; i += warp) {
      const R squares = t.squares[o * t.channels + i];
#pragma unroll
      for (int n = 0; n < images_forward; ++n) {
        if (n < images) {
          const R s = t.styles[(first + n) * t.channels + i] * inverses[n];
          sums[n] += s * s * squares;
        }
      }
    }
  }
#pragma unroll
  for (int n = 0; n < images_forward; ++n) {
    const R sum = sum_of_lanes(sums[n]);
    if (lane == n && n < images && o < t.outs) {
      const R scale = !t.root  ? divisors[n]
                      : t.norm ? scale_of(sum, divisors[n] * t.norm[o], t.bounds)
                               : scale_of(sum);
      const std::int64_t at = (first + n) * t.outs + o;
      t.scale[at] = from_accumulate<T>(scale);
      if (t.root) {
        t.root[at] = scale;
      }
    }
  }
}

// Without a minimum number of blocks per SM, ptxas spills to make room for one more block.
template <class T, bool Wide>
__global__ void __launch_bounds__(block_threads, 3) weights_backward_kernel(
    Tensors<T> t, bool staged) {
  using R = accumulate_t<T>;
  constexpr int V = Wide ? access_width<R> : 1;
  FG_DYN_SHARED(R, stage);
  const std::int64_t o = blockIdx.x, length = t.channels * t.taps;
  const R* row = t.weight + o * length;
  R* const result = t.dweight + o * length;
  if (staged) {
    for_each_of_row<V>(
        row, length, [&](std::int64_t at, const Vec<R, V>& v) { store_shared(stage + at, v); });
    row = stage;
  }
  R* const to = staged ? stage : result;
  const R norm = t.norm ? t.norm[o] : R(1);
  __syncthreads();
  for (std::int64_t i = threadIdx.x; i < t.channels; i += block_threads) {
    R slope = 0;
    if (t.dscale) {
#pragma unroll 2
      for (std::int64_t n = 0; n < t.batch; ++n) {
        const R s = t.styles[n * t.channels + i] / t.divisor(n);
        slope += t.slope(n, o) * (s * s);
      }
    }
    for (std::int64_t k = 0; k < t.taps; ++k) {
      const std::int64_t at = i * t.taps + k;
      const R given = t.dscaled ? to_accumulate(t.dscaled[o * length + t.place(i, k)]) : R(0);
      to[at] = (given + row[at] / norm * slope) / norm;
    }
  }
  if (staged) {
    __syncthreads();
    for_each_of_row<V>(
        stage, length, [&](std::int64_t at, const Vec<R, V>& v) { store_vec(result + at, v); });
  }
}

// threadIdx.x is a channel, threadIdx.y a share of the output channels.
template <class T>
__global__ void __launch_bounds__(block_threads) styles_backward_kernel(
    Tensors<T> t, unsigned tiles) {
  using R = accumulate_t<T>;
  FG_SHARED(R, parts, [warps][images_backward][warp]);
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x / tiles) * images_backward,
                     i = static_cast<std::int64_t>(blockIdx.x % tiles) * warp + threadIdx.x;
  const bool there = i < t.channels, second = first + 1 < t.batch;
  static_assert(images_backward == 2);
  R sums[images_backward] = {};
  if (t.dstyles && t.dscale && there) {
#pragma unroll 4
    for (std::int64_t o = threadIdx.y; o < t.outs; o += warps) {
      const R squares = t.squares[o * t.channels + i];
      sums[0] += t.slope(first, o) * squares;
      if (second) {
        sums[1] += t.slope(first + 1, o) * squares;
      }
    }
  }
#pragma unroll
  for (int n = 0; n < images_backward; ++n) {
    parts[threadIdx.y][n][threadIdx.x] = sums[n];
  }
  __syncthreads();
  const int n = threadIdx.y;
  if (n >= images_backward || !there || first + n >= t.batch) {
    return;
  }
  R sum = 0;
  for (int k = 0; k < warps; ++k) {
    sum += parts[k][n][threadIdx.x];
  }
  const std::int64_t image = first + n, at = image * t.channels + i;
  const R given = t.dscaled_styles ? to_accumulate(t.dscaled_styles[at]) : R(0),
          divisor = t.divisor(image), s = t.styles[at] / divisor;
  if (t.dstyles) {
    t.dstyles[at] = (given * t.gain_of(image, i) + s * sum) / divisor;
  }
  if (t.dgain) {
    t.dgain[at] = given * s;
  }
}

// ---- host side

template <class T>
Tensors<T> tensors_of(const Arguments& a) {
  using R = accumulate_t<T>;
  return {
      as<R>(a.weight),
      as<R>(a.styles),
      as<R>(a.gain),
      a.gain_row,
      a.gain_step,
      as<T>(a.scaled),
      as<T>(a.scaled_styles),
      as<T>(a.scale),
      as<T>(a.dscaled),
      as<T>(a.dscaled_styles),
      as<T>(a.dscale),
      as<R>(a.squares),
      as<R>(a.norm),
      as<R>(a.largest),
      as<R>(a.root),
      as<R>(a.dweight),
      as<R>(a.dstyles),
      as<R>(a.dgain),
      a.batch,
      a.outs,
      a.channels,
      a.taps,
      a.channels_last,
      a.flip,
      Bounds<R>::of(a)};
}

// Launch a kernel of the weights: a block for each output channel.
template <class T, bool Wide>
cudaError_t over_weights(const Tensors<T>& t, const Arguments& a, cudaStream_t stream) {
  const std::int64_t bytes = a.row() * static_cast<std::int64_t>(sizeof(accumulate_t<T>));
  const bool staged = bytes <= shared_bytes - 1024;
  const auto kernel =
      a.pass == Pass::forward ? weights_kernel<T, Wide> : weights_backward_kernel<T, Wide>;
  if (a.outs == 0 || a.row() == 0) {
    return cudaSuccess;
  }
  return a.outs > grid_limit
             ? cudaErrorInvalidConfiguration
             : fg_launch(
                   kernel, dim3(static_cast<unsigned>(a.outs)), dim3(block_threads),
                   static_cast<std::size_t>(staged ? bytes : 16), stream, t, staged);
}

// Launch a kernel of the styles: tiles of channels or output channels for each group of images.
template <class T>
cudaError_t over_styles(
    void (*kernel)(Tensors<T>, unsigned), const Tensors<T>& t, std::int64_t across, int tile,
    int images, cudaStream_t stream) {
  const std::int64_t tiles = divide_up(across, tile);
  if (t.batch == 0 || tiles == 0) {
    return cudaSuccess;
  }
  return launch_blocks(
      kernel, divide_up(t.batch, images) * tiles, dim3(warp, warps), stream, t,
      static_cast<unsigned>(tiles));
}

template <class T>
cudaError_t run(const Arguments& a, cudaStream_t stream) {
  const Tensors<T> t = tensors_of<T>(a);
  const bool forward = a.pass == Pass::forward;
  if (forward ? t.scaled || t.squares : t.dweight != nullptr) {
    const bool wide =
        a.row() % access_width<accumulate_t<T>> == 0 && are_aligned({t.weight, t.dweight});
    const cudaError_t status = with_flag(
        wide, [&](auto flag) { return over_weights<T, decltype(flag)::value>(t, a, stream); });
    if (status != cudaSuccess) {
      return status;
    }
  }
  if (forward) {
    return over_styles(
        styles_kernel<T>, t, a.scale ? std::max<std::int64_t>(1, a.outs) : 1, warps, images_forward,
        stream);
  }
  if (a.dstyles || a.dgain) {
    return over_styles(styles_backward_kernel<T>, t, a.channels, warp, images_backward, stream);
  }
  return cudaSuccess;
}

}  // namespace fg::modulation_factors
