// Kernels of the power iteration: products with rows, products with columns, norms.
#pragma once

#include "table.cuh"

namespace fg::spectral_norm {

// Convert the arguments u and v to the accumulation type.
template <class T>
__global__ void __launch_bounds__(threads, 4) start_kernel(Table t, Common<accumulate_t<T>> k) {
  const int layer = t.layer_of(blockIdx.x);
  const Entry& l = t.layers[layer];
  const unsigned i = (blockIdx.x - t.starts[layer]) * threads + threadIdx.x;
  if (i < l.rows) {
    k.vectors[l.vectors_at + i] = to_accumulate(static_cast<const T*>(l.u)[i]);
  } else if (i < l.rows + l.columns) {
    k.vectors[l.vectors_at + i] = to_accumulate(static_cast<const T*>(l.v)[i - l.rows]);
  }
}

// Compute Wv. It replaces u, or goes to the workspace if `keep_u`.
template <class T>
__global__ void __launch_bounds__(threads, 4) rows_kernel(
    Table t, Common<accumulate_t<T>> k, bool keep_u) {
  using R = accumulate_t<T>;
  constexpr int V = vec_width<T>;
  FG_SHARED(R, parts, [block_warps]);
  const int layer = t.layer_of(blockIdx.x);
  const Entry& l = t.layers[layer];
  const unsigned warps = warps_of_row(l.columns), rows = threads / warp / warps;
  const unsigned number = threadIdx.x / warp;
  const unsigned row = (blockIdx.x - t.starts[layer]) * rows + number / warps;
  const unsigned thread = threadIdx.x % (warp * warps), step = warp * warps;
  R sum = 0;
  if (row < l.rows) {
    const T* const w = static_cast<const T*>(l.weight) + row * l.run;
    const R* const v = k.vectors + l.vectors_at + l.rows;
    if (l.wide) {
#pragma unroll 4
      for (unsigned c = thread * V; c < l.columns; c += step * V) {
        const Vec<T, V> values = load_vec<V>(w + l.at(c));
#pragma unroll
        for (int e = 0; e < V; ++e) {
          sum += to_accumulate(values[e]) * v[c + e];
        }
      }
    } else {
      for (unsigned c = thread; c < l.columns; c += step) {
        sum += to_accumulate(w[l.at(c)]) * v[c];
      }
    }
  }
  sum = sum_of_lanes(sum);
  if (threadIdx.x % warp == 0) {
    parts[number] = sum;
  }
  __syncthreads();
  if (thread == 0 && row < l.rows) {
    R total = 0;
    for (unsigned i = 0; i < warps; ++i) {
      total += parts[number + i];
    }
    (keep_u ? k.workspace + l.partial_at : k.vectors + l.vectors_at)[row] = total;
  }
}

// Compute Wᵀy over chunks of rows, each with its own place in the workspace. A warp has one row of
// the chunk at a time, a thread has some columns.
template <class T>
__global__ void __launch_bounds__(threads, 4) columns_kernel(Table t, Common<accumulate_t<T>> k) {
  using R = accumulate_t<T>;
  constexpr int V = vec_width<T>, height = block_warps;
  FG_SHARED(R, tile, [height][columns_of_tile<T>]);
  const int layer = t.layer_of(blockIdx.x);
  const Entry& l = t.layers[layer];
  const unsigned tiles = (l.columns + columns_of_tile<T> - 1) / columns_of_tile<T>;
  const unsigned block = blockIdx.x - t.starts[layer], chunk = block / tiles;
  const unsigned lane = threadIdx.x % warp, number = threadIdx.x / warp;
  const unsigned first = block % tiles * columns_of_tile<T>;
  const unsigned begin = chunk * chunk_rows,
                 end = begin + chunk_rows < l.rows ? begin + chunk_rows : l.rows;
  const T* const weight = static_cast<const T*>(l.weight);
  const R* const y = k.vectors + l.vectors_at;
  R sums[V] = {};
  if (l.wide) {
    const unsigned c = first + lane * V;
    if (c < l.columns) {
      const T* const w = weight + l.at(c);
#pragma unroll 4
      for (unsigned row = begin + number; row < end; row += height) {
        const Vec<T, V> values = load_vec<V>(w + row * l.run);
        const R factor = y[row];
#pragma unroll
        for (int e = 0; e < V; ++e) {
          sums[e] += to_accumulate(values[e]) * factor;
        }
      }
    }
#pragma unroll
    for (int e = 0; e < V; ++e) {
      tile[number][lane * V + e] = sums[e];
    }
  } else {
#pragma unroll
    for (int e = 0; e < V; ++e) {
      const unsigned c = first + e * warp + lane;
      if (c < l.columns) {
        const T* const w = weight + l.at(c);
        for (unsigned row = begin + number; row < end; row += height) {
          sums[e] += to_accumulate(w[row * l.run]) * y[row];
        }
      }
      tile[number][e * warp + lane] = sums[e];
    }
  }
  __syncthreads();
  for (unsigned i = threadIdx.x; i < columns_of_tile<T> && first + i < l.columns; i += threads) {
    R total = 0;
#pragma unroll
    for (int j = 0; j < height; ++j) {
      total += tile[j][i];
    }
    k.workspace[l.partial_at + static_cast<std::int64_t>(chunk) * l.columns + first + i] = total;
  }
}

template <class R>
FG_DEVICE R root(R squares, R eps) {
  const R norm = sizeof(R) == sizeof(double) ? static_cast<R>(::sqrt(static_cast<double>(squares)))
                                             : static_cast<R>(::sqrtf(static_cast<float>(squares)));
  return norm < eps ? eps : norm;  // NaN fails the comparison and passes through
}

// Compute u, v and sigma from the results of the two kernels above. Each layer has a block.
template <class R>
__global__ void __launch_bounds__(threads, 4) finish_kernel(Table t, Common<R> k) {
  const Entry& l = t.layers[blockIdx.x];
  FG_SHARED(R, parts, [2][block_warps]);
  R *const u = k.vectors + l.vectors_at, *const v = u + l.rows;
  R squares = 0;
  for (unsigned i = threadIdx.x; i < l.rows; i += threads) {
    squares += u[i] * u[i];
  }
  const R norm = root(sum_of_row(squares, threads, parts[0]), k.eps);
  for (unsigned i = threadIdx.x; i < l.rows; i += threads) {
    u[i] /= norm;
  }
  const unsigned chunks = (l.rows + chunk_rows - 1) / chunk_rows;
  squares = 0;
  for (unsigned c = threadIdx.x; c < l.columns; c += threads) {
    const R* const partial = k.workspace + l.partial_at + c;
    R total = 0;
#pragma unroll 8
    for (unsigned chunk = 0; chunk < chunks; ++chunk) {
      total += partial[static_cast<std::int64_t>(chunk) * l.columns];
    }
    total /= norm;
    v[c] = total;
    squares += total * total;
  }
  squares = sum_of_row(squares, threads, parts[1]);
  const R norm_v = root(squares, k.eps);
  for (unsigned c = threadIdx.x; c < l.columns; c += threads) {
    v[c] /= norm_v;
  }
  if (threadIdx.x == 0) {
    // v = Wᵀu / norm_v, so uᵀWv = |Wᵀu|² / norm_v.
    k.sigmas[blockIdx.x] = squares / norm_v;
  }
}

// Compute sigma = uᵀ(Wv) with Wv from the workspace. Each layer has a block.
template <class R>
__global__ void __launch_bounds__(threads, 4) project_kernel(Table t, Common<R> k) {
  FG_SHARED(R, parts, [block_warps]);
  const Entry& l = t.layers[blockIdx.x];
  R total = 0;
  for (unsigned i = threadIdx.x; i < l.rows; i += threads) {
    total += k.vectors[l.vectors_at + i] * k.workspace[l.partial_at + i];
  }
  total = sum_of_row(total, threads, parts);
  if (threadIdx.x == 0) {
    k.sigmas[blockIdx.x] = total;
  }
}

}  // namespace fg::spectral_norm
