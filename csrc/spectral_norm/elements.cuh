// Kernels over all elements: W/sigma, the sums of a derivative, and the derivatives.
#pragma once

#include "iteration.cuh"

namespace fg::spectral_norm {

// Call f(first element, n as a constant) for the elements of the block's tile. n is 16 bytes of
// elements, or one.
template <class T, class F>
FG_DEVICE void for_each_of_tile(const Entry& l, unsigned tile, F&& f) {
  constexpr int V = vec_width<T>;
  const unsigned begin = tile * tile_elements, rest = l.numel() - begin;
  const unsigned end = begin + (rest < tile_elements ? rest : tile_elements);
  if (l.wide) {
    for (unsigned i = begin + threadIdx.x * V; i < end; i += threads * V) {
      f(i, std::integral_constant<int, V>{});
    }
  } else {
    for (unsigned i = begin + threadIdx.x; i < end; i += threads) {
      f(i, std::integral_constant<int, 1>{});
    }
  }
}

// Row and column of an element.
struct Place {
  unsigned row, column;

  FG_DEVICE Place(const Entry& l, unsigned i) {
    const unsigned run = i / l.run, outer = l.one_run ? 0 : run / l.rows;
    row = run - outer * l.rows;
    column = i - run * l.run + outer * l.run;
  }
};

template <class T>
__global__ void __launch_bounds__(threads, 4) scale_kernel(Table t, Common<accumulate_t<T>> k) {
  const int layer = t.layer_of(blockIdx.x);
  const Entry& l = t.layers[layer];
  const accumulate_t<T> sigma = k.sigmas[layer];
  for_each_of_tile<T>(l, blockIdx.x - t.starts[layer], [&](unsigned i, auto width) {
    constexpr int N = decltype(width)::value;
    Vec<T, N> values = load_vec<N>(static_cast<const T*>(l.weight) + i);
#pragma unroll
    for (int e = 0; e < N; ++e) {
      values[e] = from_accumulate<T>(to_accumulate(values[e]) / sigma);
    }
    store_vec(static_cast<T*>(l.out) + i, values);
  });
}

// Add up p, and in the second derivative q and h, over the block's tile: see problem.h. They go to
// [p, q, h][tiles].
template <Pass P, class T>
__global__ void __launch_bounds__(threads, 4) sums_kernel(Table t, Common<accumulate_t<T>> k) {
  using R = accumulate_t<T>;
  constexpr int S = sums_of(P);
  FG_SHARED(R, parts, [S][block_warps]);
  const int layer = t.layer_of(blockIdx.x);
  const Entry& l = t.layers[layer];
  const unsigned tile = blockIdx.x - t.starts[layer], tiles = t.starts[layer + 1] - t.starts[layer];
  R sums[S] = {};
  for_each_of_tile<T>(l, tile, [&](unsigned i, auto width) {
    constexpr int N = decltype(width)::value;
    const Vec<T, N> g = load_vec<N>(static_cast<const T*>(l.grad) + i);
    const Vec<T, N> w = load_vec<N>(static_cast<const T*>(l.weight) + i);
#pragma unroll
    for (int e = 0; e < N; ++e) {
      sums[0] += to_accumulate(g[e]) * to_accumulate(w[e]);
    }
    if constexpr (P == Pass::double_backward) {
      const Vec<T, N> d = load_vec<N>(static_cast<const T*>(l.direction) + i);
      const Place place(l, i);
      const R* const u = k.vectors + l.vectors_at;
      const R* const v = u + l.rows + place.column;
      const R factor = u[place.row];
#pragma unroll
      for (int e = 0; e < N; ++e) {
        sums[1] += to_accumulate(d[e]) * to_accumulate(g[e]);
        sums[2] += to_accumulate(d[e]) * factor * v[e];
      }
    }
  });
#pragma unroll
  for (int s = 0; s < S; ++s) {
    const R total = sum_of_row(sums[s], threads, parts[s]);
    if (threadIdx.x == 0) {
      k.workspace[l.partial_at + s * tiles + tile] = total;
    }
  }
}

// Compute the results of a derivative. Every block adds up the sums of its layer, all in the same
// order.
template <Pass P, class T>
__global__ void __launch_bounds__(threads, 4) combine_kernel(Table t, Common<accumulate_t<T>> k) {
  using R = accumulate_t<T>;
  constexpr int S = sums_of(P);
  FG_SHARED(R, parts, [S][block_warps]);
  const int layer = t.layer_of(blockIdx.x);
  const Entry& l = t.layers[layer];
  const unsigned tile = blockIdx.x - t.starts[layer], tiles = t.starts[layer + 1] - t.starts[layer];
  R sums[S] = {};
#pragma unroll
  for (int s = 0; s < S; ++s) {
    for (unsigned i = threadIdx.x; i < tiles; i += threads) {
      sums[s] += k.workspace[l.partial_at + s * tiles + i];
    }
    sums[s] = sum_of_row(sums[s], threads, parts[s]);
  }
  const R sigma = k.sigmas[layer], square = sigma * sigma;
  if constexpr (P == Pass::backward) {
    const R along = (k.dsigmas ? k.dsigmas[layer] : R(0)) - sums[0] / square;
    for_each_of_tile<T>(l, tile, [&](unsigned i, auto width) {
      constexpr int N = decltype(width)::value;
      Vec<T, N> g = load_vec<N>(static_cast<const T*>(l.grad) + i);
      const Place place(l, i);
      const R* const u = k.vectors + l.vectors_at;
      const R* const v = u + l.rows + place.column;
      const R factor = along * u[place.row];
#pragma unroll
      for (int e = 0; e < N; ++e) {
        g[e] = from_accumulate<T>(to_accumulate(g[e]) / sigma + factor * v[e]);
      }
      store_vec(static_cast<T*>(l.out) + i, g);
    });
  } else {
    const R h = sums[2], along = -h / square;
    if (tile == 0 && threadIdx.x == 0) {
      k.out_ddsigmas[layer] = h;
      k.out_dsigmas[layer] = (2 * h * sums[0] / sigma - sums[1]) / square;
    }
    for_each_of_tile<T>(l, tile, [&](unsigned i, auto width) {
      constexpr int N = decltype(width)::value;
      Vec<T, N> d = load_vec<N>(static_cast<const T*>(l.direction) + i);
      const Vec<T, N> w = load_vec<N>(static_cast<const T*>(l.weight) + i);
#pragma unroll
      for (int e = 0; e < N; ++e) {
        d[e] = from_accumulate<T>(to_accumulate(d[e]) / sigma + along * to_accumulate(w[e]));
      }
      store_vec(static_cast<T*>(l.out) + i, d);
      if (l.out_weight) {
        Vec<T, N> g = load_vec<N>(static_cast<const T*>(l.grad) + i);
#pragma unroll
        for (int e = 0; e < N; ++e) {
          g[e] = from_accumulate<T>(along * to_accumulate(g[e]));
        }
        store_vec(static_cast<T*>(l.out_weight) + i, g);
      }
    });
  }
}

}  // namespace fg::spectral_norm
