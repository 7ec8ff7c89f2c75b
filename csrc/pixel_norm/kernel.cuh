// CUDA kernels of pixel_norm and its derivatives, and their launches. Torch-free; the emulation
// runs them unchanged.
//
// A block reads all channels of its pixels for the sums, and again, from the cache, for the
// results.
//
// - strips_kernel: pixels are neighbours in memory. threadIdx.x is a pixel, threadIdx.y a channel.
// - rows_kernel: channels are neighbours in memory. threadIdx.x is a channel, threadIdx.y a pixel.
#pragma once

#include "../common/launch.cuh"
#include "../common/reduce.cuh"
#include "coefficients.h"

namespace fg::pixel_norm {

template <class T>
struct Tensors {
  const T *x, *dy, *ddx;
  T *out, *dx;
};

template <class T, int V>
struct Given {
  Vec<T, V> x, dy, ddx;

  FG_DEVICE Element<accumulate_t<T>> operator[](int j) const {
    return {to_accumulate(x[j]), to_accumulate(dy[j]), to_accumulate(ddx[j])};
  }
};

template <Pass P, class T, int V>
FG_DEVICE Given<T, V> given(const Tensors<T>& t, std::int64_t i) {
  Given<T, V> found{};
  found.x = load_vec<V>(t.x + i);
  if constexpr (P != Pass::forward) {
    found.dy = load_vec<V>(t.dy + i);
  }
  if constexpr (P == Pass::double_backward) {
    found.ddx = load_vec<V>(t.ddx + i);
  }
  return found;
}

template <Pass P, class R>
FG_DEVICE void add(const Element<R>& t, R* sums, int step) {
  sums[0] += t.x * t.x;
  if constexpr (P != Pass::forward) {
    sums[step] += t.dy * t.x;
  }
  if constexpr (P == Pass::double_backward) {
    sums[2 * step] += t.ddx * t.x;
    sums[3 * step] += t.ddx * t.dy;
  }
}

template <Pass P, class R>
FG_DEVICE Sums<R> sums_of(const R* sums, int step) {
  if constexpr (P == Pass::forward) {
    return {sums[0], R(0), R(0), R(0)};
  } else if constexpr (P == Pass::backward) {
    return {sums[0], sums[step], R(0), R(0)};
  } else {
    return {sums[0], sums[step], sums[2 * step], sums[3 * step]};
  }
}

// Write results; `k[j * step]` are the coefficients of element j.
template <Pass P, class T, int V>
FG_DEVICE void write(
    const Tensors<T>& t, const Given<T, V>& found, std::int64_t i,
    const Coefficients<accumulate_t<T>>* k, int step) {
  Vec<T, V> out, dx;
#pragma unroll
  for (int j = 0; j < V; ++j) {
    out[j] = from_accumulate<T>(result<P>(found[j], k[j * step]));
    if constexpr (P == Pass::double_backward) {
      dx[j] = from_accumulate<T>(second_dx(found[j], k[j * step]));
    }
  }
  if (t.out) {
    store_vec(t.out + i, out);
  }
  if (P == Pass::double_backward && t.dx) {
    store_vec(t.dx + i, dx);
  }
}

template <Pass P, class T, int V>
__global__ void __launch_bounds__(block_threads) strips_kernel(
    Tensors<T> t, std::int64_t channels, std::int64_t inner, std::int64_t strips,
    accumulate_t<T> eps) {
  using R = accumulate_t<T>;
  constexpr int count = count_of_sums(P);
  FG_SHARED(R, parts, [count * V * block_threads]);
  // The grid is under 2^31, so 32 bits are enough.
  const unsigned of_outer = static_cast<unsigned>(strips);
  const std::int64_t pixel =
      (static_cast<std::int64_t>(blockIdx.x % of_outer) * blockDim.x + threadIdx.x) * V;
  const std::int64_t first = blockIdx.x / of_outer * channels * inner + pixel;
  const bool inside = pixel < inner;
  R sums[count * V] = {};
  if (inside) {
#pragma unroll 2
    for (std::int64_t c = threadIdx.y; c < channels; c += blockDim.y) {
      const Given<T, V> found = given<P, T, V>(t, first + c * inner);
#pragma unroll
      for (int j = 0; j < V; ++j) {
        add<P>(found[j], sums + j, V);
      }
    }
  }
  const int linear = threadIdx.y * blockDim.x + threadIdx.x;
#pragma unroll
  for (int s = 0; s < count * V; ++s) {
    parts[s * block_threads + linear] = sums[s];
  }
  __syncthreads();
#pragma unroll
  for (int s = 0; s < count * V; ++s) {
    sums[s] = 0;
    for (unsigned y = 0; y < blockDim.y; ++y) {
      sums[s] += parts[s * block_threads + y * blockDim.x + threadIdx.x];
    }
  }
  if (inside) {
    Coefficients<R> k[V];
#pragma unroll
    for (int j = 0; j < V; ++j) {
      k[j] = coefficients(sums_of<P>(sums + j, V), static_cast<R>(channels), eps);
    }
#pragma unroll 2
    for (std::int64_t c = threadIdx.y; c < channels; c += blockDim.y) {
      const std::int64_t i = first + c * inner;
      write<P>(t, given<P, T, V>(t, i), i, k, 1);
    }
  }
}

template <Pass P, class T, int V>
__global__ void __launch_bounds__(block_threads) rows_kernel(
    Tensors<T> t, std::int64_t channels, std::int64_t rows, accumulate_t<T> eps) {
  using R = accumulate_t<T>;
  constexpr int count = count_of_sums(P), warps = block_threads / warp;
  FG_SHARED(R, parts, [count][warps]);
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  const std::int64_t first = row * channels;
  const bool inside = row < rows;
  R sums[count] = {};
  if (inside) {
#pragma unroll 2
    for (std::int64_t c = threadIdx.x * V; c < channels; c += blockDim.x * V) {
      const Given<T, V> found = given<P, T, V>(t, first + c);
#pragma unroll
      for (int j = 0; j < V; ++j) {
        add<P>(found[j], sums, 1);
      }
    }
  }
#pragma unroll
  for (int s = 0; s < count; ++s) {
    sums[s] = sum_of_row(sums[s], blockDim.x, parts[s]);
  }
  if (inside) {
    const Coefficients<R> k = coefficients(sums_of<P>(sums, 1), static_cast<R>(channels), eps);
#pragma unroll 2
    for (std::int64_t c = threadIdx.x * V; c < channels; c += blockDim.x * V) {
      write<P>(t, given<P, T, V>(t, first + c), first + c, &k, 0);
    }
  }
}

// ---- host side

template <Pass P, class T, int V>
cudaError_t launch(const Tensors<T>& t, const Arguments& a, cudaStream_t stream) {
  const Layout l = a.layout;
  const auto eps = static_cast<accumulate_t<T>>(a.eps);
  const bool rows = l.inner == 1;
  // Vectors that threadIdx.x runs over.
  const std::int64_t across = divide_up(rows ? l.channels : l.inner, V);
  const int threads_x = power_of_two(across, 1, rows ? block_threads : warp),
            threads_y = block_threads / threads_x;
  const dim3 threads(threads_x, threads_y);
  if (rows) {
    return launch_blocks(
        rows_kernel<P, T, V>, divide_up(l.outer, threads_y), threads, stream, t, l.channels,
        l.outer, eps);
  }
  const std::int64_t strips = divide_up(across, threads_x);
  return launch_blocks(
      strips_kernel<P, T, V>, l.outer * strips, threads, stream, t, l.channels, l.inner, strips,
      eps);
}

template <class T>
cudaError_t run(const Arguments& a, cudaStream_t stream) {
  constexpr int widest = access_width<T>;
  const Tensors<T> t{as<T>(a.x), as<T>(a.dy), as<T>(a.ddx), as<T>(a.out), as<T>(a.dx)};
  const bool wide = (a.layout.inner == 1 ? a.layout.channels : a.layout.inner) % widest == 0 &&
                    are_aligned({t.x, t.dy, t.ddx, t.out, t.dx});
  return with_pass(a.pass, [&](auto pass) {
    return with_width<widest>(wide, [&](auto width) {
      return launch<decltype(pass)::value, T, decltype(width)::value>(t, a, stream);
    });
  });
}

}  // namespace fg::pixel_norm
