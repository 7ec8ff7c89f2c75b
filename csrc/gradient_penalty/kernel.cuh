// CUDA kernels of lerp_samples and grad_norm_penalty, and their launches. Torch-free; the emulation
// runs them unchanged.
//
// - sweep_kernel walks over the large tensors. A block has one segment of a sample, or several
//   small samples. It stores a partial sum for each segment.
// - totals_kernel adds partial sums up in a fixed order and writes the results that depend on them.
//
// The second derivative of a penalty is sweep, totals, sweep.
#pragma once

#include "../common/launch.cuh"
#include "../common/reduce.cuh"
#include "weights.h"

namespace fg::gradient_penalty {

constexpr int block_warps = block_threads / warp;

// Division of samples into segments. It depends on the shape alone, so partial sums are the same
// for every width of access.
struct Segments {
  static constexpr std::int64_t least = 4096, most_of_a_sample = 1024;

  std::int64_t samples, elements;
  std::int64_t length, count;  // elements per segment, segments per sample

  explicit Segments(const Layout& l) : samples(l.samples), elements(l.elements) {
    length = least * std::max<std::int64_t>(1, divide_up(elements, least * most_of_a_sample));
    count = std::max<std::int64_t>(1, divide_up(elements, length));
  }

  std::int64_t partials() const { return samples * count; }
};

template <class T>
struct Tensors {
  const T *x, *y, *u, *w, *g;
  T *out, *out_x, *out_y;
  accumulate_t<T>* partial;  // null if no sum is needed
};

// Numbers of the samples; null if absent.
template <class T>
struct Numbers {
  using R = accumulate_t<T>;
  const T *alpha, *ddalpha;
  const R *dpenalty, *norm, *total;
  R center;

  FG_DEVICE Weights<R> of(std::int64_t n) const {
    if (alpha) {
      return interpolation(to_accumulate(alpha[n]), ddalpha ? to_accumulate(ddalpha[n]) : R(0));
    }
    return dpenalty ? derivative_of_penalty(dpenalty[n], norm[n], center, total ? total[n] : R(0))
                    : Weights<R>{};
  }
};

template <int V, class T>
FG_DEVICE Vec<T, V> load_or_zero(const T* p, std::int64_t i) {
  return p ? load_vec<V>(p + i) : Vec<T, V>{};
}

// Compute V elements at `i`. Return their term of the sum.
template <Pass P, class T, int V, class R = accumulate_t<T>>
FG_DEVICE R vector_at(const Tensors<T>& t, const Weights<R>& s, std::int64_t i) {
  using Values = Vec<T, V>;
  Values g{}, u{}, w{}, out, out_x, out_y;
  if constexpr (P != Pass::forward) {
    g = load_or_zero<V>(t.g, i);
  }
  // A norm has x = g; it reads its gradient once.
  const Values x = P != Pass::forward && t.x == t.g ? g : load_or_zero<V>(t.x, i);
  const Values y = load_or_zero<V>(t.y, i);
  if constexpr (P == Pass::double_backward) {
    u = load_or_zero<V>(t.u, i);
    w = load_or_zero<V>(t.w, i);
  }
  R sum = 0;
#pragma unroll
  for (int j = 0; j < V; ++j) {
    const R xj = to_accumulate(x[j]), yj = to_accumulate(y[j]), gj = to_accumulate(g[j]);
    if constexpr (P == Pass::forward) {
      out[j] = from_accumulate<T>(s.p * xj + s.q * (s.unit * yj));
    } else {
      out_x[j] = from_accumulate<T>((P == Pass::backward ? s.p : s.c) * gj);
      out_y[j] = from_accumulate<T>((P == Pass::backward ? s.q : -s.c) * gj);
      sum += gj * (xj - yj);
    }
    if constexpr (P == Pass::double_backward) {
      out[j] = from_accumulate<T>(
          s.p * xj + s.q * yj + s.c * (to_accumulate(u[j]) - to_accumulate(w[j])));
    }
  }
  if (P != Pass::backward && t.out) {
    store_vec(t.out + i, out);
  }
  if (P != Pass::forward && t.out_x) {
    store_vec(t.out_x + i, out_x);
  }
  if (P != Pass::forward && t.out_y) {
    store_vec(t.out_y + i, out_y);
  }
  return sum;
}

template <Pass P, class T, int V>
__global__ void __launch_bounds__(block_threads) sweep_kernel(
    Tensors<T> t, Numbers<T> numbers, Segments p) {
  using R = accumulate_t<T>;
  // The grid is under 2^31, so 32 bits are enough.
  const unsigned count = static_cast<unsigned>(p.count);
  const std::int64_t part = blockIdx.x % count,
                     n = static_cast<std::int64_t>(blockIdx.x / count) * blockDim.y + threadIdx.y;
  const bool inside = n < p.samples;
  R total = 0;
  if (inside) {
    const Weights<R> s = numbers.of(n);
    const std::int64_t start = part * p.length,
                       end = start + p.length < p.elements ? start + p.length : p.elements;
    [[maybe_unused]] constexpr int unrolled = P == Pass::double_backward ? 1 : 2;
#pragma unroll unrolled
    for (std::int64_t i = start + threadIdx.x * V; i < end; i += blockDim.x * V) {
      total += vector_at<P, T, V>(t, s, n * p.elements + i);
    }
  }
  if constexpr (P != Pass::forward) {
    if (t.partial) {
      FG_SHARED(R, parts, [block_warps]);
      total = sum_of_row(total, blockDim.x, parts);
      if (inside && threadIdx.x == 0) {
        t.partial[n * p.count + part] = total;
      }
    }
  }
}

// Results that depend on totals; null if not needed.
template <class T>
struct Wanted {
  using R = accumulate_t<T>;
  T* dalpha;
  R *penalty, *norm_out, *ddpenalty, *total;
};

// Each sample has a warp.
template <class T>
__global__ void __launch_bounds__(block_threads) totals_kernel(
    const accumulate_t<T>* partial, Numbers<T> numbers, Wanted<T> wanted, std::int64_t samples,
    std::int64_t count) {
  using R = accumulate_t<T>;
  const std::int64_t n = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  double total = 0;
  if (n < samples) {
    for (std::int64_t k = threadIdx.x; k < count; k += warp) {
      total += static_cast<double>(partial[n * count + k]);
    }
  }
  total = sum_of_lanes(total);
  if (n < samples && threadIdx.x == 0) {
    const R sum = static_cast<R>(total);
    if (wanted.dalpha) {
      wanted.dalpha[n] = from_accumulate<T>(sum);
    }
    if (wanted.penalty) {
      const R norm = sqrt(sum);
      wanted.norm_out[n] = norm;
      wanted.penalty[n] = penalty(sum, norm, numbers.center);
    }
    if (wanted.ddpenalty) {
      wanted.ddpenalty[n] = R(2) * kept(numbers.norm[n], numbers.center) * sum;
    }
    if (wanted.total) {
      wanted.total[n] = sum;
    }
  }
}

// ---- host side

template <Pass P, class T>
cudaError_t sweep(
    const Tensors<T>& t, const Numbers<T>& numbers, const Segments& p, cudaStream_t stream) {
  const bool wide = p.elements % vec_width<T> == 0 &&
                    are_aligned({t.x, t.y, t.u, t.w, t.g, t.out, t.out_x, t.out_y});
  return with_width<vec_width<T>>(wide, [&](auto width) {
    constexpr int V = decltype(width)::value;
    const int threads_x =
        power_of_two(divide_up(std::min(p.elements, p.length), V), 1, block_threads);
    const int threads_y = block_threads / threads_x;
    return launch_blocks(
        sweep_kernel<P, T, V>, divide_up(p.samples, threads_y) * p.count,
        dim3(threads_x, threads_y), stream, t, numbers, p);
  });
}

template <class T>
cudaError_t run(const Arguments& a, cudaStream_t stream) {
  using R = accumulate_t<T>;
  const Segments p(a.layout);
  Tensors<T> t{as<T>(a.x),     as<T>(a.y),     as<T>(a.u),
               as<T>(a.w),     as<T>(a.g),     as<T>(a.out),
               as<T>(a.out_x), as<T>(a.out_y), a.wants_sums() ? as<R>(a.workspace) : nullptr};
  Numbers<T> numbers{as<T>(a.alpha), as<T>(a.ddalpha), as<R>(a.dpenalty),
                     as<R>(a.norm),  nullptr,          static_cast<R>(a.center)};
  const bool both = a.op == Op::grad_norm_penalty && a.pass == Pass::double_backward;
  R* const total = both && a.out ? t.partial + p.partials() : nullptr;
  const Wanted<T> wanted{
      as<T>(a.dalpha), as<R>(a.penalty), as<R>(a.norm_out), as<R>(a.ddpenalty), total};
  const Pass first = a.op == Op::grad_norm_penalty ? Pass::backward : a.pass;
  cudaError_t error = with_pass(
      first, [&](auto pass) { return sweep<decltype(pass)::value>(t, numbers, p, stream); });
  if (error == cudaSuccess && t.partial) {
    error = launch_blocks(
        totals_kernel<T>, divide_up(p.samples, block_warps), dim3(warp, block_warps), stream,
        t.partial, numbers, wanted, p.samples, p.count);
  }
  if (error == cudaSuccess && total) {
    t.y = t.g;
    numbers.total = total;
    error = sweep<Pass::forward>(t, numbers, p, stream);
  }
  return error;
}

std::int64_t workspace(const Arguments& a) {
  return a.wants_sums() ? Segments(a.layout).partials() + a.layout.samples : 0;
}

}  // namespace fg::gradient_penalty
