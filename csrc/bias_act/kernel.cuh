// CUDA kernels of bias_act and the plan of their launches. Torch-free; the emulation runs them
// unchanged.
//
// - Rows: channels have long runs of memory. A block is threads_x lanes along a run by threads_y
//   runs. A run has one channel, so each thread reads one bias.
// - Columns: runs are short (channels_last, [N, C]). A thread has V columns and walks down a block
//   of rows. Its biases and sums stay in registers.
//
// Both store partial sums of the bias gradient at fixed places; `reduce_kernel` adds them up in a
// fixed order.
#pragma once

#include <algorithm>
#include <iterator>

#include "../common/fg_platform.cuh"
#include "problem.h"

namespace fg::bias_act {

// Elements of one access: 128 bits, or a single double. float64 serves as a check of other types.
template <class T>
inline constexpr int access_width = sizeof(T) < 8 ? vec_width<T> : 1;

template <class T>
struct Tensors {
  using R = accumulate_t<T>;
  const T *x, *b, *y, *h, *ddb, *dy;  // h: the factor of the slope, dy or ddx
  T *out, *out_v;
  R* partial;
};

template <class R>
struct Setting {
  Scalars<R> scalars;
  Act act;
};

// Results of one element. out_v, if computed, else out is its term of the bias gradient.
template <class R>
struct Element {
  R out, out_v;
};

template <Pass P, bool FromInput, class R>
FG_DEVICE Element<R> element(const Setting<R>& s, R x, R b, R y, R h, R ddb, R dy) {
  if constexpr (P == Pass::forward) {
    const R v = x + b;
    return {
        FromInput
            ? with_act(s.act, [&](auto a) { return forward<decltype(a)::value>(v, s.scalars); })
            : forward<Act::piecewise>(v, s.scalars),
        R(0)};
  } else if constexpr (!FromInput) {
    return {(h + ddb) * slope_from_output(y, s.scalars), R(0)};
  } else {
    const R v = x + b;
    return with_act(s.act, [&](auto a) -> Element<R> {
      constexpr Act A = decltype(a)::value;
      const R g = (h + ddb) * slope_from_input<A>(v, s.scalars);
      if constexpr (P == Pass::double_backward && A != Act::piecewise) {
        return {g, (h + ddb) * dy * curvature_from_input<A>(v, s.scalars)};
      } else {
        return {g, R(0)};
      }
    });
  }
}

// Compute V elements at `i` with their biases, and add their terms of the bias gradient to `sums`.
template <Pass P, bool FromInput, class T, int V, class R = accumulate_t<T>>
FG_DEVICE void vector_at(
    const Tensors<T>& t, const Setting<R>& s, std::int64_t i, const R (&b)[V], const R (&ddb)[V],
    R (&sums)[V]) {
  constexpr bool needs_x = P == Pass::forward || FromInput;
  Vec<T, V> x{}, y{}, h{}, dy{}, out, out_v{};
  if constexpr (needs_x) {
    x = load_vec<V>(t.x + i);
  }
  if constexpr (P != Pass::forward) {
    h = load_vec<V>(t.h + i);
    if constexpr (!FromInput) {
      // linear without a clamp saves no y: any y gives its slope, the gain.
      y = t.y ? load_vec<V>(t.y + i) : h;
    }
  }
  const bool two_results = P == Pass::double_backward && FromInput && t.out_v;
  if (two_results) {
    dy = load_vec<V>(t.dy + i);
  }
#pragma unroll
  for (int j = 0; j < V; ++j) {
    const Element<R> e = element<P, FromInput, R>(
        s, to_accumulate(x[j]), b[j], to_accumulate(y[j]), to_accumulate(h[j]), ddb[j],
        to_accumulate(dy[j]));
    out[j] = from_accumulate<T>(e.out);
    out_v[j] = from_accumulate<T>(e.out_v);
    sums[j] += two_results ? e.out_v : e.out;
  }
  store_vec(t.out + i, out);
  if (two_results) {
    store_vec(t.out_v + i, out_v);
  }
}

template <class T>
FG_DEVICE accumulate_t<T> bias_or_zero(const T* b, std::int64_t channel) {
  return b ? to_accumulate(b[channel]) : accumulate_t<T>(0);
}

struct Plan {
  static constexpr std::int64_t shortest_run = 32, segment = 4096;
  static constexpr int threads = 256, lanes = 32, warps = threads / lanes;

  Layout layout;
  bool by_row;
  int width;  // elements per access
  int threads_x, threads_y;
  std::int64_t segments = 1;                // per run, by row
  std::int64_t block_rows = 1, blocks = 1;  // by column

  std::int64_t runs() const { return layout.outer * layout.channels; }
  std::int64_t partials() const { return by_row ? runs() * segments : blocks * layout.row(); }
};

// Plan a launch. `widest` is the number of elements in a 128-bit access, used if every pointer
// allows it.
inline Plan make_plan(const Layout& layout, int widest, bool aligned) {
  Plan p{layout, layout.inner >= Plan::shortest_run, 1, 0, 0};
  const std::int64_t run = p.by_row ? layout.inner : layout.row();
  p.width = aligned && run % widest == 0 ? widest : 1;
  if (p.by_row) {
    p.segments = (layout.inner + Plan::segment - 1) / Plan::segment;
    p.threads_x = 8;
    while (p.threads_x < Plan::threads &&
           std::int64_t{p.threads_x} * p.width < std::min(run, Plan::segment)) {
      p.threads_x *= 2;
    }
  } else {
    p.threads_x = Plan::lanes;
    p.block_rows = std::max<std::int64_t>(32, (layout.outer + 1023) / 1024);
    p.blocks = (layout.outer + p.block_rows - 1) / p.block_rows;
  }
  p.threads_y = Plan::threads / p.threads_x;
  return p;
}

// Return the sum over the threads of a run, threadIdx.x, in the first of them. Every thread of the
// block must call it.
template <class R>
FG_DEVICE R sum_of_run(R total) {
  FG_SHARED(R, warp_sums, [Plan::threads / 32]);
  // A run has part of a warp, or several warps.
  const int lanes = blockDim.x < 32 ? blockDim.x : 32;
  for (int step = lanes / 2; step > 0; step /= 2) {
    total += __shfl_xor_sync(0xffffffffu, total, step);
  }
  if (blockDim.x > 32) {
    const int linear = threadIdx.y * blockDim.x + threadIdx.x;
    if (linear % 32 == 0) {
      warp_sums[linear / 32] = total;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      total = 0;
      for (unsigned w = 0; w < blockDim.x / 32; ++w) {
        total += warp_sums[linear / 32 + w];
      }
    }
  }
  return total;
}

template <Pass P, bool FromInput, class T, int V>
__global__ void __launch_bounds__(Plan::threads) rows_kernel(
    Tensors<T> t, Setting<accumulate_t<T>> s, Layout layout, std::int64_t segments) {
  using R = accumulate_t<T>;
  // The grid is under 2^31, so 32 bits are enough.
  const unsigned per_run = static_cast<unsigned>(segments);
  const std::int64_t group = blockIdx.x / per_run, part = blockIdx.x % per_run;
  const std::int64_t run = group * blockDim.y + threadIdx.y;
  const bool inside = run < layout.outer * layout.channels;
  R total = 0;
  if (inside) {
    const std::int64_t channel = run % layout.channels, start = part * Plan::segment;
    const std::int64_t end =
        start + Plan::segment < layout.inner ? start + Plan::segment : layout.inner;
    R b[V], ddb[V], sums[V] = {};
    const R one_b = bias_or_zero(t.b, channel), one_ddb = bias_or_zero(t.ddb, channel);
#pragma unroll
    for (int j = 0; j < V; ++j) {
      b[j] = one_b;
      ddb[j] = one_ddb;
    }
    // A larger factor takes more registers, which spill on sm_100.
    [[maybe_unused]] constexpr int unrolled = V == 1 ? 2 : 1;
#pragma unroll unrolled
    for (std::int64_t i = start + threadIdx.x * V; i < end; i += blockDim.x * V) {
      vector_at<P, FromInput, T, V>(t, s, run * layout.inner + i, b, ddb, sums);
    }
#pragma unroll
    for (int j = 0; j < V; ++j) {
      total += sums[j];
    }
  }
  if constexpr (P != Pass::forward) {
    if (t.partial) {
      total = sum_of_run(total);
      if (inside && threadIdx.x == 0) {
        t.partial[run * segments + part] = total;
      }
    }
  }
}

// Add up over threadIdx.y, into the first row of threads. Every thread of the block must call it.
template <class R, int V>
FG_DEVICE void sum_down_the_block(R (&sums)[V]) {
  FG_SHARED(R, tile, [Plan::warps][Plan::lanes * V]);
#pragma unroll
  for (int j = 0; j < V; ++j) {
    tile[threadIdx.y][threadIdx.x * V + j] = sums[j];
  }
  __syncthreads();
#pragma unroll
  for (int j = 0; j < V; ++j) {
    sums[j] = 0;
    for (int w = 0; w < Plan::warps; ++w) {
      sums[j] += tile[w][threadIdx.x * V + j];
    }
  }
}

template <Pass P, bool FromInput, class T, int V>
__global__ void __launch_bounds__(Plan::threads) columns_kernel(
    Tensors<T> t, Setting<accumulate_t<T>> s, Layout layout, std::int64_t block_rows) {
  using R = accumulate_t<T>;
  const std::int64_t row = layout.channels * layout.inner;
  const std::int64_t column =
      (static_cast<std::int64_t>(blockIdx.x) * Plan::lanes + threadIdx.x) * V;
  const bool inside = column < row;
  R sums[V] = {};
  if (inside) {
    R b[V], ddb[V];
#pragma unroll
    for (int j = 0; j < V; ++j) {
      const std::int64_t channel = (column + j) / layout.inner;
      b[j] = bias_or_zero(t.b, channel);
      ddb[j] = bias_or_zero(t.ddb, channel);
    }
    const std::int64_t first = blockIdx.y * block_rows;
    const std::int64_t last = first + block_rows < layout.outer ? first + block_rows : layout.outer;
#pragma unroll 1
    for (std::int64_t r = first + threadIdx.y; r < last; r += Plan::warps) {
      vector_at<P, FromInput, T, V>(t, s, r * row + column, b, ddb, sums);
    }
  }
  if constexpr (P != Pass::forward) {
    if (t.partial) {
      sum_down_the_block(sums);
      if (inside && threadIdx.y == 0) {
#pragma unroll
        for (int j = 0; j < V; ++j) {
          t.partial[blockIdx.y * row + column + j] = sums[j];
        }
      }
    }
  }
}

// db[c] is the sum of partial[n][c][i] over n < outer and i < inner. Each channel has one warp.
template <class T>
__global__ void __launch_bounds__(Plan::threads) reduce_kernel(
    const accumulate_t<T>* partial, T* db, std::int64_t outer, std::int64_t channels,
    std::int64_t inner) {
  const std::int64_t channel = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  accumulate_t<T> total = 0;
  if (channel < channels) {
    for (std::int64_t k = threadIdx.x; k < outer * inner; k += 32) {
      total += partial[(k / inner * channels + channel) * inner + k % inner];
    }
  }
  for (int step = 16; step > 0; step /= 2) {
    total += __shfl_xor_sync(0xffffffffu, total, step);
  }
  if (channel < channels && threadIdx.x == 0) {
    db[channel] = from_accumulate<T>(total);
  }
}

// ---- host side

template <Pass P, bool FromInput, class T, int V>
cudaError_t launch(
    const Plan& p, const Tensors<T>& t, const Setting<accumulate_t<T>>& s, cudaStream_t stream) {
  const dim3 block(p.threads_x, p.threads_y);
  if (p.by_row) {
    const std::int64_t grid = (p.runs() + p.threads_y - 1) / p.threads_y * p.segments;
    return grid > 0x7fffffff
               ? cudaErrorInvalidConfiguration
               : fg_launch(
                     rows_kernel<P, FromInput, T, V>, dim3(static_cast<unsigned>(grid)), block, 0,
                     stream, t, s, p.layout, p.segments);
  }
  const std::int64_t tile = std::int64_t{p.threads_x} * V,
                     grid = (p.layout.row() + tile - 1) / tile;
  return grid > 0x7fffffff ? cudaErrorInvalidConfiguration
                           : fg_launch(
                                 columns_kernel<P, FromInput, T, V>,
                                 dim3(static_cast<unsigned>(grid), static_cast<unsigned>(p.blocks)),
                                 block, 0, stream, t, s, p.layout, p.block_rows);
}

template <class T>
bool all_aligned(const Tensors<T>& t) {
  const T* const pointers[] = {t.x, t.y, t.h, t.dy, t.out, t.out_v};
  return std::all_of(std::begin(pointers), std::end(pointers), [](const T* p) {
    return is_vec_aligned<access_width<T>>(p);
  });
}

template <class T>
Tensors<T> tensors_of(const Arguments& a) {
  const auto in = [](const void* p) { return static_cast<const T*>(p); };
  return {
      in(a.x),
      in(a.b),
      in(a.y),
      in(a.pass == Pass::backward ? a.dy : a.ddx),
      in(a.ddb),
      in(a.dy),
      static_cast<T*>(a.out),
      static_cast<T*>(a.out_v),
      static_cast<accumulate_t<T>*>(a.partial)};
}

// Return the number of partial sums. It doesn't depend on the width of accesses, so the glue can
// call this before pointers are known.
inline std::int64_t partials(const Layout& layout) { return make_plan(layout, 1, true).partials(); }

template <class T>
cudaError_t run(const Arguments& a, cudaStream_t stream) {
  using R = accumulate_t<T>;
  const Tensors<T> t = tensors_of<T>(a);
  const Setting<R> s{
      {static_cast<R>(a.alpha), static_cast<R>(a.gain), static_cast<R>(a.clamp)}, a.act};
  const Plan p = make_plan(a.layout, access_width<T>, all_aligned(t));
  const bool from_input = a.act != Act::piecewise || (a.pass != Pass::forward && a.x);
  const auto go = [&](auto pass, auto input) {
    constexpr Pass P = decltype(pass)::value;
    constexpr bool I = decltype(input)::value;
    return p.width > 1 ? launch<P, I, T, access_width<T>>(p, t, s, stream)
                       : launch<P, I, T, 1>(p, t, s, stream);
  };
  const auto with_source = [&](auto pass) {
    return from_input ? go(pass, std::true_type{}) : go(pass, std::false_type{});
  };
  switch (a.pass) {
    case Pass::forward:
      return with_source(std::integral_constant<Pass, Pass::forward>{});
    case Pass::backward:
      return with_source(std::integral_constant<Pass, Pass::backward>{});
    default:
      return with_source(std::integral_constant<Pass, Pass::double_backward>{});
  }
}

template <class T>
cudaError_t reduce(const Arguments& a, void* db, cudaStream_t stream) {
  const Plan p = make_plan(a.layout, 1, true);
  const std::int64_t outer = p.by_row ? a.layout.outer : p.blocks,
                     inner = p.by_row ? p.segments : a.layout.inner;
  const int warps = 8;
  return fg_launch(
      reduce_kernel<T>, dim3(static_cast<unsigned>((a.layout.channels + warps - 1) / warps)),
      dim3(32, warps), 0, stream, static_cast<const accumulate_t<T>*>(a.partial),
      static_cast<T*>(db), outer, a.layout.channels, inner);
}

}  // namespace fg::bias_act
