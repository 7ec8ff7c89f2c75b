// CUDA kernels of minibatch_stddev and its derivatives, and their launches. Torch-free; the
// emulation runs them unchanged.
//
// - gather_kernel computes weights from dy of the appended channels.
// - sweep_kernel walks over the images. A thread has one position in all samples of its group,
//   which it reads again from the cache. It writes a partial sum per segment.
// - scatter_kernel adds partial sums up in a fixed order and writes them to the appended channels.
//
// Accesses have one element. The threads of a warp read neighbours, and the samples of a group are
// as many accesses in flight. Rows of the appended image aren't aligned.
#pragma once

#include <cmath>

#include "../common/launch.cuh"
#include "../common/reduce.cuh"
#include "problem.h"

namespace fg::minibatch_stddev {

// Division of a part's positions, which depends on the shape alone.
struct Segments {
  static constexpr std::int64_t length = 4 * block_threads;

  std::int64_t groups_and_parts, count;

  explicit Segments(const Layout& l)
      : groups_and_parts(l.groups * l.parts), count(divide_up(l.positions(), length)) {}

  std::int64_t partials() const { return groups_and_parts * count; }
};

constexpr int block_warps = block_threads / warp;

// Each group and part has a block.
template <class T>
__global__ void __launch_bounds__(block_threads) gather_kernel(
    const T* dy, accumulate_t<T>* weight, Layout l) {
  const std::int64_t m = blockIdx.x / l.parts, f = blockIdx.x % l.parts;
  FG_SHARED(double, parts, [block_warps]);
  double total = 0;
  for (std::int64_t i = threadIdx.x; i < l.group * l.pixels; i += block_threads) {
    const std::int64_t sample = i / l.pixels * l.groups + m;
    total += static_cast<double>(
        to_accumulate(dy[sample * l.wide_sample() + l.appended(f, i % l.pixels)]));
  }
  total = sum_of_row(total, block_threads, parts);
  if (threadIdx.x == 0) {
    weight[blockIdx.x] =
        static_cast<accumulate_t<T>>(total / static_cast<double>(l.group * l.positions()));
  }
}

template <class T>
__global__ void __launch_bounds__(block_threads) scatter_kernel(
    const accumulate_t<T>* partial, T* wide, Layout l, std::int64_t count, double of) {
  const std::int64_t m = blockIdx.x / l.parts, f = blockIdx.x % l.parts;
  FG_SHARED(double, parts, [block_warps]);
  double total = 0;
  for (std::int64_t i = threadIdx.x; i < count; i += block_threads) {
    total += static_cast<double>(partial[blockIdx.x * count + i]);
  }
  total = sum_of_row(total, block_threads, parts);
  const T value = from_accumulate<T>(static_cast<accumulate_t<T>>(total / of));
  for (std::int64_t i = threadIdx.x; i < l.group * l.pixels; i += block_threads) {
    const std::int64_t sample = i / l.pixels * l.groups + m;
    wide[sample * l.wide_sample() + l.appended(f, i % l.pixels)] = value;
  }
}

template <class T>
struct Images {
  const T *x, *ddx, *dy;
  T *narrow, *wide;
};

// Compute one position, which is at `narrow` and `wide` in the first sample of its group. Return
// its term of the sum.
template <Pass P, class T, class R = accumulate_t<T>>
FG_DEVICE R
position(const Images<T>& t, const Layout& l, std::int64_t narrow, std::int64_t wide, R weight) {
  const std::int64_t narrow_step = l.groups * l.narrow_sample(),
                     wide_step = l.groups * l.wide_sample();
  const R group = static_cast<R>(l.group);
  R mean = 0, mean_ddx = 0, square = 0, b = 0;
#pragma unroll 4
  for (std::int64_t k = 0; k < l.group; ++k) {
    const T x = t.x[narrow + k * narrow_step];
    mean += to_accumulate(x);
    T copied = x;
    if constexpr (P == Pass::double_backward) {
      copied = t.ddx[narrow + k * narrow_step];
      mean_ddx += to_accumulate(copied);
    }
    if (P != Pass::backward && t.wide) {
      t.wide[wide + k * wide_step] = copied;
    }
  }
  mean /= group;
  mean_ddx /= group;
#pragma unroll 4
  for (std::int64_t k = 0; k < l.group; ++k) {
    const R z = to_accumulate(t.x[narrow + k * narrow_step]) - mean;
    square += z * z;
    if constexpr (P == Pass::double_backward) {
      b += to_accumulate(t.ddx[narrow + k * narrow_step]) * z;
    }
  }
  const R sigma = std::sqrt(square / group + static_cast<R>(eps));
  if constexpr (P == Pass::forward) {
    return sigma;
  } else {
    const R rsigma = R(1) / sigma, bend = b * rsigma * rsigma / group;
    if (t.narrow) {
#pragma unroll 4
      for (std::int64_t k = 0; k < l.group; ++k) {
        const R z = to_accumulate(t.x[narrow + k * narrow_step]) - mean;
        R dx;
        if constexpr (P == Pass::backward) {
          dx = to_accumulate(t.dy[wide + k * wide_step]) + weight * z * rsigma;
        } else {
          dx = weight * rsigma *
               (to_accumulate(t.ddx[narrow + k * narrow_step]) - mean_ddx - bend * z);
        }
        t.narrow[narrow + k * narrow_step] = from_accumulate<T>(dx);
      }
    }
    return b * rsigma;
  }
}

// With the 4, the compiler may use 64 registers; without it, it uses 48 for sm_80 and spills.
template <Pass P, class T>
__global__ void __launch_bounds__(block_threads, 4) sweep_kernel(
    Images<T> t, accumulate_t<T>* partial, const accumulate_t<T>* weights, Layout l,
    std::int64_t count) {
  using R = accumulate_t<T>;
  // The grid and the positions of a part are under 2^31, so 32 bits are enough.
  const unsigned number = blockIdx.x / static_cast<unsigned>(count),
                 length = static_cast<unsigned>(l.length());
  const std::int64_t m = number / l.parts, f = number % l.parts;
  const unsigned start =
      blockIdx.x % static_cast<unsigned>(count) * static_cast<unsigned>(Segments::length);
  const unsigned all = static_cast<unsigned>(l.positions());
  const unsigned end =
      all - start < Segments::length ? all : start + static_cast<unsigned>(Segments::length);
  const R weight = weights ? weights[number] : R(0);
  R total = 0;
  for (unsigned p = start + threadIdx.x; p < end; p += block_threads) {
    const std::int64_t row = p / length, within = f * length + p % length;
    total += position<P>(
        t, l, m * l.narrow_sample() + row * l.narrow_row() + within,
        m * l.wide_sample() + row * l.wide_row() + within, weight);
  }
  if (P != Pass::backward && partial) {
    FG_SHARED(R, parts, [block_warps]);
    total = sum_of_row(total, block_threads, parts);
    if (threadIdx.x == 0) {
      partial[blockIdx.x] = total;
    }
  }
}

// ---- host side

template <class T>
cudaError_t run(const Arguments& a, cudaStream_t stream) {
  using R = accumulate_t<T>;
  const Layout l = a.layout;
  const Segments s(l);
  if (s.partials() > grid_limit || l.positions() > grid_limit) {
    return cudaErrorInvalidConfiguration;
  }
  R* const partial = a.wants_sums() ? as<R>(a.workspace) : nullptr;
  R* const weights = a.wants_weights() ? as<R>(a.workspace) + s.partials() : nullptr;
  const Images<T> t{as<T>(a.x), as<T>(a.ddx), as<T>(a.dy), as<T>(a.narrow), as<T>(a.wide)};
  cudaError_t error = cudaSuccess;
  if (weights) {
    error = launch_blocks(
        gather_kernel<T>, s.groups_and_parts, block_threads, stream, t.dy, weights, l);
  }
  if (error == cudaSuccess) {
    error = with_pass(a.pass, [&](auto pass) {
      return launch_blocks(
          sweep_kernel<decltype(pass)::value, T>, s.partials(), block_threads, stream, t, partial,
          weights, l, s.count);
    });
  }
  if (error == cudaSuccess && partial) {
    const double of = static_cast<double>(l.positions() * (a.pass == Pass::forward ? 1 : l.group));
    error = launch_blocks(
        scatter_kernel<T>, s.groups_and_parts, block_threads, stream, partial, t.wide, l, s.count,
        of);
  }
  return error;
}

std::int64_t workspace(const Arguments& a) {
  return Segments(a.layout).partials() + a.layout.groups * a.layout.parts;
}

}  // namespace fg::minibatch_stddev
