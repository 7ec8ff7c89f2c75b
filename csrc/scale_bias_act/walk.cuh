// The kernel of every pass: results, and partial sums for the gradients of scale, noise and b.
//
// What belongs to the columns of a thread is read once and its sums over rows stay in registers; the sums over columns go
// through shuffles, row by row. Partial sums lie at places that the plan determines, and `sums_kernel` adds them up.
#pragma once

#include <type_traits>

#include "plan.cuh"

namespace fg::scale_bias_act {

template <class R>
struct Setting {
  Scalars<R> scalars;
  Act act;
  bool shared_noise;
};

// What turns x into v, or the same of a direction.
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
  R *scale_sums, *noise_sums, *bias_sums;  // partial; null where not wanted
};

// The columns of a thread: V side by side, or, if V is 1, several that are `lanes` apart.
template <class T, int V>
struct Columns {
  static constexpr int E = columns_of_thread(sizeof(T), V > 1);
  static constexpr bool side_by_side = V > 1;
  std::int64_t first;
  int left, step;  // of the row, from `first` on

  FG_DEVICE Columns(const Plan& p, unsigned tile)
      : first(static_cast<std::int64_t>(tile) * p.lanes * E + threadIdx.x * V), step(side_by_side ? 1 : p.lanes) {
    const std::int64_t rest = p.columns - first, all = E * step;
    left = static_cast<int>(rest < all ? rest : all);
  }

  // Side by side, all are inside if the first is.
  FG_DEVICE bool inside(int e) const { return side_by_side ? left > 0 : e * step < left; }

  // From `at`, where the first of them is; what is outside, or all if `from` is null, becomes `otherwise`.
  FG_DEVICE Vec<T, E> load(const T* from, std::int64_t at, T otherwise = T(0)) const {
    Vec<T, E> values;
    if constexpr (side_by_side) {
      if (from && inside(0)) {
        return load_vec<E>(from + at);
      }
#pragma unroll
      for (int e = 0; e < E; ++e) {
        values[e] = otherwise;
      }
    } else {
#pragma unroll
      for (int e = 0; e < E; ++e) {
        values[e] = from && inside(e) ? from[at + e * step] : otherwise;
      }
    }
    return values;
  }

  FG_DEVICE void store(T* to, const Vec<T, E>& values) const {
    if constexpr (side_by_side) {
      if (inside(0)) {
        store_vec(to, values);
      }
    } else {
      store_each(to, values.v);
    }
  }

  template <class S>
  FG_DEVICE void store_each(S* to, const S (&values)[E]) const {
#pragma unroll
    for (int e = 0; e < E; ++e) {
      if (inside(e)) {
        to[e * step] = values[e];
      }
    }
  }
};

// Coefficients where a thread works. Those of its columns are read once: noise into registers, scale and b, which would
// take too many of them in the second derivative, into shared memory as [scale, b][E][lanes].
template <bool ChannelsLast, class T, int V>
struct Local {
  using R = accumulate_t<T>;
  static constexpr int E = columns_of_thread(sizeof(T), V > 1), shared_size = ChannelsLast ? 2 * E * warp : 1;
  Vec<T, E> column_noise;
  const R* column;
  R row_scale, row_shift;

  // Needs a barrier before what it has read is used.
  FG_DEVICE void enter_columns(
      const Columns<T, V>& c, const Coefficients<T>& k, std::int64_t channel_at, std::int64_t noise_at, T no_scale,
      R* shared) {
    if constexpr (ChannelsLast) {
      column = shared + threadIdx.x;
      if (threadIdx.y == 0) {
        const Vec<T, E> scale = c.load(k.scale, channel_at + c.first, no_scale);
        const Vec<T, E> b = c.load(k.b, c.first);
#pragma unroll
        for (int e = 0; e < E; ++e) {
          shared[threadIdx.x + e * warp] = to_accumulate(scale[e]);
          shared[threadIdx.x + (E + e) * warp] = to_accumulate(b[e]);
        }
      }
    } else {
      column_noise = c.load(k.noise, noise_at + c.first);
    }
  }

  FG_DEVICE void enter_row(
      const Coefficients<T>& k, std::int64_t channel_at, std::int64_t noise_at, std::int64_t row, R no_scale) {
    if constexpr (ChannelsLast) {
      row_shift = k.noise ? to_accumulate(k.noise[noise_at + row]) : R(0);
    } else {
      row_scale = k.scale ? to_accumulate(k.scale[channel_at + row]) : no_scale;
      row_shift = k.b ? to_accumulate(k.b[row]) : R(0);
    }
  }

  FG_DEVICE R scale(int e) const { return ChannelsLast ? column[e * warp] : row_scale; }

  // scale * x + noise + b
  FG_DEVICE R apply(R scale, R x, int e) const {
    return ChannelsLast ? scale * x + row_shift + column[(E + e) * warp]
                        : scale * x + to_accumulate(column_noise[e]) + row_shift;
  }
};

// An activation at v: its value, or its slope and curvature, with the gain and the clamp.
template <class R>
struct Activated {
  R value, slope, curvature;
};

template <Pass P, Act A, class T, class R = accumulate_t<T>>
FG_DEVICE Activated<R> activation(const Scalars<R>& s, R v) {
  if constexpr (P == Pass::forward) {
    return {fg::forward<A>(v, s), R(0), R(0)};
  } else {
    const R y = to_accumulate(from_accumulate<T>(value<A>(v, s.alpha) * s.gain));  // the clamp is recognised in T
    const R curved = P == Pass::double_backward ? where_below(y, s.clamp, curvature<A>(v) * s.gain) : R(0);
    return {y, where_below(y, s.clamp, slope<A>(v, s.alpha) * s.gain), curved};
  }
}

// One element: its results, and what the gradients of scale and of the shifts, noise and b, add up.
template <class R>
struct Element {
  R out, out_x, to_scale, to_shift;
};

// v and its scale; h and ddscale: the direction of v, and of its scale.
template <Pass P, bool Curved, class T, class R = accumulate_t<T>>
FG_DEVICE Element<R> element(const Setting<R>& s, R x, R dy, R ddx, R v, R scale, R h, R ddscale) {
  Activated<R> a;
  if constexpr (Curved) {
    a = with_act(s.act, [&](auto act) { return activation<P, decltype(act)::value, T>(s.scalars, v); });
  } else {
    a = activation<P, Act::piecewise, T>(s.scalars, v);
  }
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

// The sums over the lanes of a row, in each of them. Every thread of the block takes part.
template <class R, int N>
FG_DEVICE void sum_along_row(R (&sums)[N], int lanes) {
#pragma unroll 1  // unrolled, it costs registers, and spills on sm_100
  for (int step = lanes / 2; step > 0; step /= 2) {
#pragma unroll
    for (int k = 0; k < N; ++k) {
      sums[k] += __shfl_xor_sync(0xffffffffu, sums[k], step);
    }
  }
}

// The sums over threadIdx.y, in the first of them. Every thread of the block takes part.
template <class R, int E>
FG_DEVICE void sum_down_the_block(R (&sums)[E]) {
  FG_SHARED(R, tile, [E][Plan::threads]);
  const int thread = threadIdx.y * blockDim.x + threadIdx.x;
  __syncthreads();  // the tile is used twice
#pragma unroll
  for (int e = 0; e < E; ++e) {
    tile[e][thread] = sums[e];
  }
  for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half) {
#pragma unroll
      for (int e = 0; e < E; ++e) {
        sums[e] += tile[e][thread + half * blockDim.x];
        tile[e][thread] = sums[e];
      }
    }
  }
}

template <Pass P, bool Curved, bool ChannelsLast, class T, int V>
__global__ void __launch_bounds__(Plan::threads, 3) walk_kernel(Tensors<T> t, Setting<accumulate_t<T>> s, Plan p) {
  using R = accumulate_t<T>;
  constexpr int E = columns_of_thread(sizeof(T), V > 1);
  using Values = Vec<T, E>;
  // The grid is under 2^31, so 32 bits do.
  const unsigned tiles = static_cast<unsigned>(p.tiles), chunks = static_cast<unsigned>(p.chunks);
  const unsigned tile = blockIdx.x % tiles, above = blockIdx.x / tiles, chunk = above % chunks, n = above / chunks;
  const Columns<T, V> columns(p, tile);
  const std::int64_t channel_at = n * (ChannelsLast ? p.columns : p.rows);
  const std::int64_t noise_at = s.shared_noise ? 0 : n * (ChannelsLast ? p.rows : p.columns);
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
  R scale_sums[E] = {}, shift_sums[E] = {};
  constexpr int per_row = ChannelsLast ? 1 : 2;  // sums of a row: for noise, or for b and scale
  R* const row_partial[] = {ChannelsLast ? t.noise_sums : t.bias_sums, ChannelsLast ? nullptr : t.scale_sums};

  const std::int64_t start = static_cast<std::int64_t>(chunk) * p.block_rows;
  const int rows = static_cast<int>(p.rows - start < p.block_rows ? p.rows - start : p.block_rows);
#pragma unroll 1
  for (int top = 0; top < rows; top += p.height) {
    const std::int64_t row = start + top + threadIdx.y;
    const bool row_inside = top + static_cast<int>(threadIdx.y) < rows;
    R row_sums[per_row] = {};
    if (row_inside && columns.inside(0)) {
      const std::int64_t i = (n * p.rows + row) * p.columns + columns.first;
      const Values x = columns.load(t.x, i);
      Values dy{}, ddx{}, out{}, out_x{};
      at.enter_row(t.at, channel_at, noise_at, row, R(1));
      if constexpr (P != Pass::forward) {
        dy = columns.load(t.dy, i);
      }
      if constexpr (P == Pass::double_backward) {
        ddx = columns.load(t.ddx, i);
        along.enter_row(t.along, channel_at, noise_at, row, R(0));
      }
#pragma unroll
      for (int e = 0; e < E; ++e) {
        const R xe = to_accumulate(x[e]), de = to_accumulate(ddx[e]), scale = at.scale(e);
        R h = 0, ddscale = 0;
        if constexpr (P == Pass::double_backward) {
          ddscale = along.scale(e);
          h = scale * de + along.apply(ddscale, xe, e);
        }
        const Element<R> r =
            element<P, Curved, T>(s, xe, to_accumulate(dy[e]), de, at.apply(scale, xe, e), scale, h, ddscale);
        out[e] = from_accumulate<T>(r.out);
        out_x[e] = from_accumulate<T>(r.out_x);
        if (Columns<T, V>::side_by_side || columns.inside(e)) {
          row_sums[0] += r.to_shift;
          if constexpr (!ChannelsLast) {
            row_sums[1] += r.to_scale;
          }
          scale_sums[e] += r.to_scale;
          shift_sums[e] += r.to_shift;
        }
      }
      columns.store(t.out + i, out);
      if (P == Pass::double_backward && t.out_x) {
        columns.store(t.out_x + i, out_x);
      }
    }
    if constexpr (P != Pass::forward) {
      if (row_partial[0] || row_partial[1]) {
        sum_along_row(row_sums, p.lanes);
        const std::int64_t place = (n * p.tiles + tile) * p.rows + row;
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
    const auto leave = [&](R* partial, R (&sums)[E]) {
      if (partial) {
        sum_down_the_block(sums);
        if (threadIdx.y == 0) {
          const std::int64_t part = static_cast<std::int64_t>(n) * chunks + chunk;
          columns.store_each(partial + part * p.columns + columns.first, sums);
        }
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
