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

#include "../common/launch.cuh"
#include "../common/reduce.cuh"
#include "problem.h"

namespace fg::bias_act {

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
  static constexpr int warps = block_threads / warp;

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
    p.segments = divide_up(run, Plan::segment);
    p.threads_x = power_of_two(divide_up(std::min(run, Plan::segment), p.width), 8, block_threads);
  } else {
    p.threads_x = warp;
    p.block_rows = std::max<std::int64_t>(32, divide_up(layout.outer, 1024));
    p.blocks = divide_up(layout.outer, p.block_rows);
  }
  p.threads_y = block_threads / p.threads_x;
  return p;
}

template <Pass P, bool FromInput, class T, int V>
__global__ void __launch_bounds__(block_threads) rows_kernel(
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
      FG_SHARED(R, parts, [Plan::warps]);
      total = sum_of_row(total, blockDim.x, parts);
      if (inside && threadIdx.x == 0) {
        t.partial[run * segments + part] = total;
      }
    }
  }
}

// Add up over threadIdx.y, into the first row of threads. Every thread of the block must call it.
template <class R, int V>
FG_DEVICE void sum_down_the_block(R (&sums)[V]) {
  FG_SHARED(R, tile, [Plan::warps][warp * V]);
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
__global__ void __launch_bounds__(block_threads) columns_kernel(
    Tensors<T> t, Setting<accumulate_t<T>> s, Layout layout, std::int64_t block_rows) {
  using R = accumulate_t<T>;
  const std::int64_t row = layout.channels * layout.inner;
  const std::int64_t column = (static_cast<std::int64_t>(blockIdx.x) * warp + threadIdx.x) * V;
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
__global__ void __launch_bounds__(block_threads) reduce_kernel(
    const accumulate_t<T>* partial, T* db, std::int64_t outer, std::int64_t channels,
    std::int64_t inner) {
  const std::int64_t channel = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  accumulate_t<T> total = 0;
  if (channel < channels) {
    for (std::int64_t k = threadIdx.x; k < outer * inner; k += warp) {
      total += partial[(k / inner * channels + channel) * inner + k % inner];
    }
  }
  total = sum_of_lanes(total);
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
    return launch_blocks(
        rows_kernel<P, FromInput, T, V>, divide_up(p.runs(), p.threads_y) * p.segments, block,
        stream, t, s, p.layout, p.segments);
  }
  const std::int64_t tiles = divide_up(p.layout.row(), std::int64_t{p.threads_x} * V);
  const dim3 grid(static_cast<unsigned>(tiles), static_cast<unsigned>(p.blocks));
  return tiles > grid_limit ? cudaErrorInvalidConfiguration
                            : fg_launch(
                                  columns_kernel<P, FromInput, T, V>, grid, block, 0, stream, t, s,
                                  p.layout, p.block_rows);
}

template <class T>
cudaError_t run_pass(const Arguments& a, cudaStream_t stream) {
  using R = accumulate_t<T>;
  const Tensors<T> t{
      as<T>(a.x),        as<T>(a.b),  as<T>(a.y),   as<T>(a.pass == Pass::backward ? a.dy : a.ddx),
      as<T>(a.ddb),      as<T>(a.dy), as<T>(a.out), as<T>(a.out_v),
      as<R>(a.workspace)};
  const Setting<R> s{scalars_of<R>(a), a.act};
  const Plan p =
      make_plan(a.layout, access_width<T>, are_aligned({t.x, t.y, t.h, t.dy, t.out, t.out_v}));
  const bool from_input = a.act != Act::piecewise || (a.pass != Pass::forward && a.x);
  return with_pass(a.pass, [&](auto pass) {
    return with_flag(from_input, [&](auto input) {
      return with_width<access_width<T>>(p.width > 1, [&](auto width) {
        return launch<decltype(pass)::value, decltype(input)::value, T, decltype(width)::value>(
            p, t, s, stream);
      });
    });
  });
}

template <class T>
cudaError_t reduce(const Arguments& a, cudaStream_t stream) {
  const Plan p = make_plan(a.layout, 1, true);
  const std::int64_t outer = p.by_row ? a.layout.outer : p.blocks,
                     inner = p.by_row ? p.segments : a.layout.inner;
  return launch_blocks(
      reduce_kernel<T>, divide_up(a.layout.channels, Plan::warps), dim3(warp, Plan::warps), stream,
      as<accumulate_t<T>>(a.workspace), as<T>(a.db), outer, a.layout.channels, inner);
}

template <class T>
cudaError_t run(const Arguments& a, cudaStream_t stream) {
  const cudaError_t error = run_pass<T>(a, stream);
  return error == cudaSuccess && a.db ? reduce<T>(a, stream) : error;
}

// The number of partial sums doesn't depend on the width of accesses.
std::int64_t workspace(const Arguments& a) {
  return a.db ? make_plan(a.layout, 1, true).partials() : 0;
}

}  // namespace fg::bias_act
