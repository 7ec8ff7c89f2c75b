// The kernel of every pass: results, and partial sums for the gradients of scale, noise and b.
//
// Coefficients of a thread's columns are read once, and its sums over rows stay in registers. Sums
// over columns go through shuffles, row by row. The plan determines the places of partial sums;
// `sums_kernel` adds them up.
#pragma once

#include <type_traits>

#include "../common/packed.cuh"
#include "plan.cuh"

namespace fg::scale_bias_act {

template <class R>
struct Setting {
  Scalars<R> scalars;
  Act act;
  bool shared_noise;
};

// Parameters of v as a function of x, or directions of them.
template <class T>
struct Coefficients {
  const T *scale, *noise, *b;
};

template <class T>
struct Tensors {
  using R = accumulate_t<T>;
  const T *x, *dy, *ddx;
  Coefficients<T> at, along;
  T *out, *out_x;
  R *scale_sums, *noise_sums, *bias_sums;  // partial; null if not needed
};

// The V adjacent columns of a thread. All of them are in the row, or none.
template <class T, int V>
struct Columns {
  std::int64_t first;
  bool inside;

  FG_DEVICE Columns(const Plan& p, unsigned tile)
      : first((static_cast<std::int64_t>(tile) * p.lanes + threadIdx.x) * V),
        inside(first < p.columns) {}

  // Load V elements from `at`, the first column's place. Those outside, or all if `from` is null,
  // are `otherwise`.
  FG_DEVICE Vec<T, V> load(const T* from, std::int64_t at, T otherwise = T(0)) const {
    if (from && inside) {
      return load_vec<V>(from + at);
    }
    Vec<T, V> values;
#pragma unroll
    for (int e = 0; e < V; ++e) {
      values[e] = otherwise;
    }
    return values;
  }
};

// Work of a block: rows of image `n`, the `chunk`th group of them, at a tile of the columns.
struct Part {
  unsigned tile, chunk, n;
  std::int64_t start;
  int rows;

  FG_DEVICE explicit Part(const Plan& p) {
    // The grid is under 2^31, so 32 bits are enough.
    const unsigned tiles = static_cast<unsigned>(p.tiles), chunks = static_cast<unsigned>(p.chunks);
    const unsigned above = blockIdx.x / tiles;
    tile = blockIdx.x % tiles;
    chunk = above % chunks;
    n = above / chunks;
    start = static_cast<std::int64_t>(chunk) * p.block_rows;
    rows = static_cast<int>(p.rows - start < p.block_rows ? p.rows - start : p.block_rows);
  }
};

// Coefficients of a thread. Those of its columns are read once. Noise stays in registers. scale and
// b would take too many registers in the second derivative; they are in shared memory as
// [scale, b][V][lanes].
template <bool ChannelsLast, class T, int V>
struct Local {
  using R = accumulate_t<T>;
  static constexpr int shared_size = ChannelsLast ? 2 * V * warp : 1;
  Vec<T, V> column_noise;
  const R* column;
  R row_scale, row_shift;

  // Load the coefficients of columns. Callers need a barrier before they use them.
  FG_DEVICE void enter_columns(
      const Columns<T, V>& c, const Coefficients<T>& k, std::int64_t channel_at,
      std::int64_t noise_at, T no_scale, R* shared) {
    if constexpr (ChannelsLast) {
      column = shared + threadIdx.x;
      if (threadIdx.y == 0) {
        const Vec<T, V> scale = c.load(k.scale, channel_at + c.first, no_scale);
        const Vec<T, V> b = c.load(k.b, c.first);
#pragma unroll
        for (int e = 0; e < V; ++e) {
          shared[threadIdx.x + e * warp] = to_accumulate(scale[e]);
          shared[threadIdx.x + (V + e) * warp] = to_accumulate(b[e]);
        }
      }
    } else {
      column_noise = c.load(k.noise, noise_at + c.first);
    }
  }

  FG_DEVICE void enter_row(
      const Coefficients<T>& k, std::int64_t channel_at, std::int64_t noise_at, std::int64_t row,
      R no_scale) {
    if constexpr (ChannelsLast) {
      row_shift = k.noise ? to_accumulate(k.noise[noise_at + row]) : R(0);
    } else {
      row_scale = k.scale ? to_accumulate(k.scale[channel_at + row]) : no_scale;
      row_shift = k.b ? to_accumulate(k.b[row]) : R(0);
    }
  }

  FG_DEVICE R scale(int e) const { return ChannelsLast ? column[e * warp] : row_scale; }

  // Return scale * x + noise + b.
  FG_DEVICE R apply(R scale, R x, int e) const {
    return ChannelsLast ? scale * x + row_shift + column[(V + e) * warp]
                        : scale * x + to_accumulate(column_noise[e]) + row_shift;
  }
};

// An activation at v: its value, or its slope and curvature. All include the gain and the clamp.
template <class R>
struct Activated {
  R value, slope, curvature;
};

template <Pass P, Act A, class T, class R = accumulate_t<T>>
FG_DEVICE Activated<R> activation(const Scalars<R>& s, R v) {
  if constexpr (P == Pass::forward) {
    return {fg::forward<A>(v, s), R(0), R(0)};
  } else {
    // A clamped value is recognised after rounding to T.
    const R y = to_accumulate(from_accumulate<T>(value<A>(v, s.alpha) * s.gain));
    const R curved =
        P == Pass::double_backward ? where_below(y, s.clamp, curvature<A>(v) * s.gain) : R(0);
    return {y, where_below(y, s.clamp, slope<A>(v, s.alpha) * s.gain), curved};
  }
}

template <Pass P, bool Curved, class T, class R = accumulate_t<T>>
FG_DEVICE Activated<R> activation(const Scalars<R>& s, Act act, R v) {
  if constexpr (Curved) {
    return with_act(act, [&](auto one) { return activation<P, decltype(one)::value, T>(s, v); });
  } else {
    return activation<P, Act::piecewise, T>(s, v);
  }
}

// Results of one element, and its terms of the gradients of scale and of the shifts, noise and b.
template <class R>
struct Element {
  R out, out_x, to_scale, to_shift;
};

// Compute one element from v and its scale. h is the direction of v, ddscale that of its scale.
template <Pass P, bool Curved, class T, class R = accumulate_t<T>>
FG_DEVICE Element<R> element(const Setting<R>& s, R x, R dy, R ddx, R v, R scale, R h, R ddscale) {
  const Activated<R> a = activation<P, Curved, T>(s.scalars, s.act, v);
  if constexpr (P == Pass::forward) {
    return {a.value, R(0), R(0), R(0)};
  } else {
    const R g = dy * a.slope, q = Curved ? dy * a.curvature * h : R(0);
    if constexpr (P == Pass::backward) {
      return {g * scale, R(0), g * x, g};
    } else {
      return {a.slope * h, q * scale + g * ddscale, q * x + g * ddx, q};
    }
  }
}

// Compute the sums over the lanes of a row in each of them. Every thread of the block must call it.
template <class R, int N>
FG_DEVICE void sum_along_row(R (&sums)[N], int lanes) {
  // Unrolling takes more registers, which spill on sm_100.
#pragma unroll 1
  for (int step = lanes / 2; step > 0; step /= 2) {
#pragma unroll
    for (int k = 0; k < N; ++k) {
      sums[k] += __shfl_xor_sync(0xffffffffu, sums[k], step);
    }
  }
}

// Add up over threadIdx.y, into the first row of threads. Every thread of the block must call it.
template <class R, int V>
FG_DEVICE void sum_down_the_block(R (&sums)[V]) {
  FG_SHARED(R, tile, [V][block_threads]);
  const int thread = threadIdx.y * blockDim.x + threadIdx.x;
  __syncthreads();  // an earlier call may still read the tile
#pragma unroll
  for (int e = 0; e < V; ++e) {
    tile[e][thread] = sums[e];
  }
  for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half) {
#pragma unroll
      for (int e = 0; e < V; ++e) {
        sums[e] += tile[e][thread + half * blockDim.x];
        tile[e][thread] = sums[e];
      }
    }
  }
}

// Return the place in [batch][chunks][columns] of the sums of a thread's columns; negative if they
// are outside.
template <class T, int V>
FG_DEVICE std::int64_t place_of_sums(
    const Plan& p, const Part& part, const Columns<T, V>& columns) {
  return columns.inside ? (part.n * p.chunks + part.chunk) * p.columns + columns.first : -1;
}

template <class R, int V>
FG_DEVICE void leave_sums(R* partial, std::int64_t place, const R (&sums)[V]) {
  if (threadIdx.y == 0 && place >= 0) {
#pragma unroll
    for (int e = 0; e < V; ++e) {
      partial[place + e] = sums[e];
    }
  }
}

template <Pass P, bool Curved, bool ChannelsLast, class T, int V>
__global__ void __launch_bounds__(block_threads, 3) walk_kernel(
    Tensors<T> t, Setting<accumulate_t<T>> s, Plan p) {
  using R = accumulate_t<T>;
  using In = Packed<T, V>;
  const Part part(p);
  const Columns<T, V> columns(p, part.tile);
  const std::int64_t channel_at = part.n * (ChannelsLast ? p.columns : p.rows);
  const std::int64_t noise_at = s.shared_noise ? 0 : part.n * (ChannelsLast ? p.rows : p.columns);
  using Place = Local<ChannelsLast, T, V>;
  Place at, along;
  FG_SHARED(R, coefficients, [P == Pass::double_backward ? 2 : 1][Place::shared_size]);
  at.enter_columns(columns, t.at, channel_at, noise_at, T(1), coefficients[0]);
  if constexpr (P == Pass::double_backward) {
    along.enter_columns(columns, t.along, channel_at, noise_at, T(0), coefficients[1]);
  }
  if constexpr (ChannelsLast) {
    __syncthreads();
  }
  R scale_sums[V] = {}, shift_sums[V] = {};
  constexpr int per_row = ChannelsLast ? 1 : 2;  // sums per row: of noise, or of b and scale
  R* const row_partial[] = {
      ChannelsLast ? t.noise_sums : t.bias_sums, ChannelsLast ? nullptr : t.scale_sums};

#pragma unroll 1
  for (int top = 0; top < part.rows; top += p.height) {
    const std::int64_t row = part.start + top + threadIdx.y;
    const bool row_inside = top + static_cast<int>(threadIdx.y) < part.rows;
    R row_sums[per_row] = {};
    if (row_inside && columns.inside) {
      const std::int64_t i = (part.n * p.rows + row) * p.columns + columns.first;
      const auto read = [&](const T* from) { return from ? In(from + i) : In(); };
      const In x = read(t.x);
      In dy, ddx;
      Vec<T, V> out, out_x;
      at.enter_row(t.at, channel_at, noise_at, row, R(1));
      if constexpr (P != Pass::forward) {
        dy = read(t.dy);
      }
      if constexpr (P == Pass::double_backward) {
        ddx = read(t.ddx);
        along.enter_row(t.along, channel_at, noise_at, row, R(0));
      }
#pragma unroll
      for (int e = 0; e < V; ++e) {
        const R xe = x[e], de = ddx[e], scale = at.scale(e);
        R h = 0, ddscale = 0;
        if constexpr (P == Pass::double_backward) {
          ddscale = along.scale(e);
          h = scale * de + along.apply(ddscale, xe, e);
        }
        const Element<R> r =
            element<P, Curved, T>(s, xe, dy[e], de, at.apply(scale, xe, e), scale, h, ddscale);
        out[e] = from_accumulate<T>(r.out);
        out_x[e] = from_accumulate<T>(r.out_x);
        row_sums[0] += r.to_shift;
        if constexpr (!ChannelsLast) {
          row_sums[1] += r.to_scale;
        }
        scale_sums[e] += r.to_scale;
        shift_sums[e] += r.to_shift;
      }
      store_vec(t.out + i, out);
      if (P == Pass::double_backward && t.out_x) {
        store_vec(t.out_x + i, out_x);
      }
    }
    if constexpr (P != Pass::forward) {
      if (row_partial[0] || row_partial[1]) {
        sum_along_row(row_sums, p.lanes);
        const std::int64_t place = (part.n * p.tiles + part.tile) * p.rows + row;
#pragma unroll
        for (int k = 0; k < per_row; ++k) {
          if (threadIdx.x == 0 && row_inside && row_partial[k]) {
            row_partial[k][place] = row_sums[k];
          }
        }
      }
    }
  }
  if constexpr (P != Pass::forward) {
    const auto leave = [&](R* partial, R(&sums)[V]) {
      if (partial) {
        sum_down_the_block(sums);
        leave_sums(partial, place_of_sums(p, part, columns), sums);
      }
    };
    if constexpr (ChannelsLast) {
      leave(t.scale_sums, scale_sums);
      leave(t.bias_sums, shift_sums);
    } else {
      leave(t.noise_sums, shift_sums);
    }
  }
}

}  // namespace fg::scale_bias_act
