// The kernel of every sweep: results, or partial sums for each image and channel. It walks over
// memory like that of scale_bias_act: a thread has a few columns and walks down rows.
#pragma once

#include "../scale_bias_act/walk.cuh"
#include "problem.h"

namespace fg::adaptive_norm {

using scale_bias_act::Columns;
using scale_bias_act::Part;
using scale_bias_act::Plan;

template <class T>
struct Tensors {
  using R = accumulate_t<T>;
  const T *x, *dy, *ddx, *scale, *shift, *residual;  // scale and shift are maps
  const R* numbers;                                  // coefficients, each [batch][channels]
  T *out, *out_x;
  R* partial;  // sums, each [batch][parts][channels]

  FG_DEVICE bool has_maps() const { return scale || shift; }
};

template <class R>
struct Setting {
  Scalars<R> scalars;
  Act act;
};

constexpr Pass orders_of(Sweep sweep) {
  return sweep == Sweep::forward                                        ? Pass::forward
         : sweep == Sweep::bend_sums || sweep == Sweep::double_backward ? Pass::double_backward
                                                                        : Pass::backward;
}

// Results of one element and its terms of the sums.
template <class R>
struct Element {
  R out, out_x, sums[most_sums];
};

template <Sweep S, bool Curved, class T, class R = accumulate_t<T>>
FG_DEVICE Element<R> element(const Setting<R>& s, R x, R dy, R u, const R (&k)[coefficient_count]) {
  Element<R> e{};
  const R z = x - k[c_mean], p = k[c_p];
  if constexpr (S == Sweep::moments) {
    e.sums[0] = z;
    e.sums[1] = z * z;
  } else {
    constexpr Pass P = orders_of(S);
    const R v = p * z + k[c_t];
    const auto a = scale_bias_act::activation<P, Curved, T>(s.scalars, s.act, v);
    const R g = dy * a.slope, h = p * u + k[c_slope] * z + k[c_shift],
            q = Curved ? dy * a.curvature * h : R(0);
    if constexpr (S == Sweep::forward) {
      e.out = a.value;
    } else if constexpr (S == Sweep::first_sums || S == Sweep::second_sums) {
      e.sums[t_g] = g;
      e.sums[t_gx] = g * z;
      e.sums[t_u] = u;
      e.sums[t_ux] = u * z;
      e.sums[t_gu] = g * u;
    } else if constexpr (S == Sweep::backward) {
      e.out = p * g + k[c_x] * z + k[c_1];
    } else if constexpr (S == Sweep::bend_sums) {
      e.sums[0] = q;
      e.sums[1] = q * z;
    } else {
      e.out = a.slope * h;
      e.out_x = p * q + k[c_slope] * g + k[c_u] * u + k[c_x] * z + k[c_1];
    }
  }
  return e;
}

// The same for maps, with a factor m and a shift per element. In the backward sweep, dy is the
// gradient of the shift.
template <Sweep S, bool Curved, class T, class R = accumulate_t<T>>
FG_DEVICE Element<R> map_element(
    const Setting<R>& s, R x, R dy, R m, R shift, const R (&k)[coefficient_count]) {
  Element<R> e{};
  const R z = x - k[c_mean], unit = k[c_p] * z;
  if constexpr (S == Sweep::backward) {
    e.out = k[c_p] * m * dy + k[c_x] * z + k[c_1];
  } else {
    const auto a =
        scale_bias_act::activation<orders_of(S), Curved, T>(s.scalars, s.act, unit * m + shift);
    if constexpr (S == Sweep::forward) {
      e.out = a.value;
    } else {
      const R g = dy * a.slope;
      e.out = g;
      e.out_x = g * unit;
      e.sums[t_g] = g * m;
      e.sums[t_gx] = g * m * z;
    }
  }
  return e;
}

// A kernel of one column works for any layout and ignores ChannelsLast.
template <Sweep S, bool Curved, bool ChannelsLast, class T, int V>
__global__ void __launch_bounds__(block_threads, 3) sweep_kernel(
    Tensors<T> t, Setting<accumulate_t<T>> s, Plan p) {
  using R = accumulate_t<T>;
  using In = Packed<T, V>;
  constexpr int reads = coefficients_of(S), sum_count = totals_of(S).count,
                sums_kept = sum_count ? sum_count : 1;
  constexpr bool reads_dy = S != Sweep::moments && S != Sweep::forward;
  constexpr bool reads_ddx =
      S == Sweep::second_sums || S == Sweep::bend_sums || S == Sweep::double_backward;
  constexpr bool may_have_maps =
      S == Sweep::forward || S == Sweep::first_sums || S == Sweep::backward;
  constexpr bool may_write = sum_count == 0 || S == Sweep::first_sums;
  const bool maps = may_have_maps && t.has_maps();
  constexpr bool may_be_last = V == 1 || ChannelsLast;
  const bool last = V == 1 ? p.channels_last : ChannelsLast;
  const Part part(p);
  const Columns<T, V> columns(p, part.tile);
  const std::int64_t channels = last ? p.columns : p.rows, size = p.batch * channels,
                     image = part.n * channels;
  FG_SHARED(R, shared, [may_be_last ? reads : 1][may_be_last ? V : 1][warp]);
  // Places of sums. They are in shared memory because the loop has no registers to spare.
  FG_SHARED(std::int64_t, place, [may_be_last ? warp : 1]);
  if (last) {
    if (threadIdx.y == 0) {
      place[threadIdx.x] = scale_bias_act::place_of_sums(p, part, columns);
#pragma unroll
      for (int c = 0; c < reads; ++c) {
#pragma unroll
        for (int e = 0; e < V; ++e) {
          shared[c][e][threadIdx.x] =
              columns.inside ? t.numbers[c * size + image + columns.first + e] : R(0);
        }
      }
    }
    __syncthreads();
  }
  R column_sums[sums_kept][V] = {};

#pragma unroll 1
  for (int top = 0; top < part.rows; top += p.height) {
    const std::int64_t row = part.start + top + threadIdx.y;
    const bool row_inside = top + static_cast<int>(threadIdx.y) < part.rows;
    R row_sums[sums_kept] = {};
    if (row_inside && columns.inside) {
      const std::int64_t i = (part.n * p.rows + row) * p.columns + columns.first;
      const In x(t.x + i);
      In dy, ddx, scale, shift, residual;
      Vec<T, V> out, out_x;
      if constexpr (reads_dy) {
        dy = In(t.dy + i);
      }
      if constexpr (reads_ddx) {
        ddx = In(t.ddx + i);
      }
      if constexpr (may_have_maps) {
        if (t.scale) {
          scale = In(t.scale + i);
        }
        if (S != Sweep::backward && t.shift) {
          shift = In(t.shift + i);
        }
      }
      if constexpr (S == Sweep::forward) {
        if (t.residual) {
          residual = In(t.residual + i);
        }
      }
      R k[coefficient_count] = {};
      if (!last) {
#pragma unroll
        for (int c = 0; c < reads; ++c) {
          k[c] = t.numbers[c * size + image + row];
        }
      }
#pragma unroll
      for (int e = 0; e < V; ++e) {
        if (last) {
#pragma unroll
          for (int c = 0; c < reads; ++c) {
            k[c] = shared[c][e][threadIdx.x];
          }
        }
        Element<R> r;
        if (maps) {
          r = map_element<S, Curved, T>(s, x[e], dy[e], R(1) + scale[e], shift[e], k);
        } else {
          r = element<S, Curved, T>(s, x[e], dy[e], ddx[e], k);
        }
        out[e] = from_accumulate<T>(r.out + residual[e]);
        out_x[e] = from_accumulate<T>(r.out_x);
#pragma unroll
        for (int j = 0; j < sum_count; ++j) {
          (last ? column_sums[j][e] : row_sums[j]) += r.sums[j];
        }
      }
      if constexpr (may_write) {
        if (sum_count == 0 || maps) {
          store_vec(t.out + i, out);
        }
        if ((S == Sweep::double_backward || maps) && t.out_x) {
          store_vec(t.out_x + i, out_x);
        }
      }
    }
    if (sum_count && !last) {
      scale_bias_act::sum_along_row(row_sums, p.lanes);
      if (threadIdx.x == 0 && row_inside) {
#pragma unroll
        for (int j = 0; j < sum_count; ++j) {
          t.partial[j * size * p.tiles + (part.n * p.tiles + part.tile) * p.rows + row] =
              row_sums[j];
        }
      }
    }
  }
  if (sum_count && last) {
#pragma unroll
    for (int j = 0; j < sum_count; ++j) {
      scale_bias_act::sum_down_the_block(column_sums[j]);
      scale_bias_act::leave_sums(
          t.partial + j * size * p.chunks, place[threadIdx.x], column_sums[j]);
    }
  }
}

}  // namespace fg::adaptive_norm
