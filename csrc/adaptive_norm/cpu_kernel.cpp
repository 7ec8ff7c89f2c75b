// Compiled once per instruction set, named by FG_CPU_LEVEL. Work goes block by block through
// buffers in L1, with coefficients expanded to the block's elements. Only one plain loop per sweep
// exists once per activation; it doesn't depend on layouts.
#include "../scale_bias_act/cpu_walk.h"
#include "cpu_kernel.h"

namespace fg::FG_CPU_LEVEL {
namespace {

using namespace fg::adaptive_norm;

// One block as its loop sees it. There is a coefficient for each element, or one for the block.
template <class R>
struct Block {
  const R *x, *dy, *ddx;
  const R* of[coefficient_count];
  const R *scale, *shift;  // maps
  R *out, *out_x;
  R* sums[most_sums];  // the loop adds to them
};

template <bool Whole, class R>
class Number {
 public:
  explicit Number(const R* from) : from_(from), one_(Whole ? *from : R(0)) {}
  R operator[](int i) const { return Whole ? one_ : from_[i]; }

 private:
  const R* from_;
  R one_;
};

template <class R>
using Loop = void (*)(const Block<R>&, int n, Scalars<R>);

template <bool Whole, class R>
void moments_loop(const Block<R>& k, int n, Scalars<R>) {
  const Number<Whole, R> mean(k.of[c_mean]);
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    const R z = k.x[i] - mean[i];
    k.sums[0][i] += z;
    k.sums[1][i] += z * z;
  }
}

template <Act A, bool Whole, class R>
void forward_loop(const Block<R>& k, int n, Scalars<R> s) {
  const Number<Whole, R> mean(k.of[c_mean]), p(k.of[c_p]), t(k.of[c_t]);
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    k.out[i] = forward<A>(p[i] * (k.x[i] - mean[i]) + t[i], s);
  }
}

// Compute first or second sums. The sums of u need ddx.
template <Act A, bool Second, bool Whole, class R>
void sums_loop(const Block<R>& k, int n, Scalars<R> s) {
  const Number<Whole, R> mean(k.of[c_mean]), p(k.of[c_p]), t(k.of[c_t]);
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    const R z = k.x[i] - mean[i];
    const R g = k.dy[i] * slope_from_input<A>(p[i] * z + t[i], s);
    k.sums[t_g][i] += g;
    k.sums[t_gx][i] += g * z;
    if constexpr (Second) {
      const R u = k.ddx[i];
      k.sums[t_u][i] += u;
      k.sums[t_ux][i] += u * z;
      k.sums[t_gu][i] += g * u;
    }
  }
}

template <Act A, class R>
void map_forward_loop(const Block<R>& k, int n, Scalars<R> s) {
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    const R unit = k.of[c_p][i] * (k.x[i] - k.of[c_mean][i]);
    k.out[i] = forward<A>(unit * (1 + k.scale[i]) + k.shift[i], s);
  }
}

// Compute first sums and the gradients of maps.
template <Act A, class R>
void map_sums_loop(const Block<R>& k, int n, Scalars<R> s) {
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    const R z = k.x[i] - k.of[c_mean][i], unit = k.of[c_p][i] * z, factor = 1 + k.scale[i];
    const R g = k.dy[i] * slope_from_input<A>(unit * factor + k.shift[i], s);
    k.out[i] = g;
    k.out_x[i] = g * unit;
    k.sums[t_g][i] += g * factor;
    k.sums[t_gx][i] += g * factor * z;
  }
}

// Compute dx with maps. dy is the gradient of the shift.
template <class R>
void map_backward_loop(const Block<R>& k, int n, Scalars<R>) {
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    const R z = k.x[i] - k.of[c_mean][i];
    k.out[i] = k.of[c_p][i] * (1 + k.scale[i]) * k.dy[i] + k.of[c_x][i] * z + k.of[c_1][i];
  }
}

template <Act A, bool Whole, class R>
void backward_loop(const Block<R>& k, int n, Scalars<R> s) {
  const Number<Whole, R> mean(k.of[c_mean]), p(k.of[c_p]), t(k.of[c_t]), f_x(k.of[c_x]),
      f_1(k.of[c_1]);
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    const R z = k.x[i] - mean[i];
    const R g = k.dy[i] * slope_from_input<A>(p[i] * z + t[i], s);
    k.out[i] = p[i] * g + f_x[i] * z + f_1[i];
  }
}

template <Act A, bool Whole, class R>
void bend_loop(const Block<R>& k, int n, Scalars<R> s) {
  const Number<Whole, R> mean(k.of[c_mean]), of_p(k.of[c_p]), t(k.of[c_t]), slope(k.of[c_slope]),
      shift(k.of[c_shift]);
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    const R z = k.x[i] - mean[i], p = of_p[i];
    const R h = p * k.ddx[i] + slope[i] * z + shift[i];
    const R q = k.dy[i] * h * curvature_from_input<A>(p * z + t[i], s);
    k.sums[0][i] += q;
    k.sums[1][i] += q * z;
  }
}

template <Act A, bool Whole, class R>
void double_backward_loop(const Block<R>& k, int n, Scalars<R> s) {
  const Number<Whole, R> mean(k.of[c_mean]), of_p(k.of[c_p]), t(k.of[c_t]), slope(k.of[c_slope]),
      shift(k.of[c_shift]);
  const Number<Whole, R> f_u(k.of[c_u]), f_x(k.of[c_x]), f_1(k.of[c_1]);
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    const R z = k.x[i] - mean[i], p = of_p[i], u = k.ddx[i], dy = k.dy[i], along = slope[i];
    const R v = p * z + t[i], h = p * u + along * z + shift[i];
    const R s1 = slope_from_input<A>(v, s);
    k.out[i] = s1 * h;
    R bend = 0;
    if constexpr (A != Act::piecewise) {
      bend = p * dy * h * curvature_from_input<A>(v, s);
    }
    k.out_x[i] = bend + along * dy * s1 + f_u[i] * u + f_x[i] * z + f_1[i];
  }
}

template <bool Whole, class R>
Loop<R> loop_for(Act act, Sweep sweep) {
  return with_act(act, [&](auto chosen) -> Loop<R> {
    constexpr Act A = decltype(chosen)::value;
    switch (sweep) {
      case Sweep::moments:
        return moments_loop<Whole, R>;
      case Sweep::forward:
        return forward_loop<A, Whole, R>;
      case Sweep::first_sums:
        return sums_loop<A, false, Whole, R>;
      case Sweep::backward:
        return backward_loop<A, Whole, R>;
      case Sweep::second_sums:
        return sums_loop<A, true, Whole, R>;
      case Sweep::bend_sums:
        return bend_loop<A, Whole, R>;
      default:
        return double_backward_loop<A, Whole, R>;
    }
  });
}

template <class R>
Loop<R> map_loop_for(Act act, Sweep sweep) {
  return with_act(act, [&](auto chosen) -> Loop<R> {
    constexpr Act A = decltype(chosen)::value;
    return sweep == Sweep::forward      ? map_forward_loop<A, R>
           : sweep == Sweep::first_sums ? map_sums_loop<A, R>
                                        : map_backward_loop<R>;
  });
}

// Coefficients of a block, expanded to its elements unless all elements have the same.
template <class R>
class Spread {
 public:
  Spread(const Arguments& a, int count) : a_(a), count_(count) {}

  // Set the coefficients of columns, repeated for each row of a block: for channels_last.
  void set_columns(const Cut& c) {
    for (int k = 0; k < count_; ++k) {
      const R* const from = coefficient_of<R>(a_, k) + c.image * a_.layout.channels + c.column;
      columns_[k] = from;
      if (c.together > 1) {
        for (int i = 0; i < c.width * c.together; ++i) {
          block_[k][i] = i < c.width ? from[i] : block_[k][i - c.width];
        }
        columns_[k] = block_[k];
      }
    }
  }

  // Set the number of each of `count` rows over `width` elements, or of the whole row of a block.
  void set_rows(const Cut& c, int row, int count, int width, bool whole) {
    for (int k = 0; k < count_; ++k) {
      const R* const from = coefficient_of<R>(a_, k) + c.image * a_.layout.channels + c.row + row;
      columns_[k] = whole ? from : block_[k];
      if (whole) {
        continue;
      }
      for (int j = 0; j < count; ++j) {
        std::fill_n(block_[k] + j * width, width, from[j]);
      }
    }
  }

  void put(Block<R>& block, int column) const {
    for (int k = 0; k < count_; ++k) {
      block.of[k] = columns_[k] + column;
    }
  }

 private:
  const Arguments& a_;
  int count_;
  const R* columns_[coefficient_count];
  alignas(64) R block_[coefficient_count][block_size];
};

template <class R>
void run_units(
    const Arguments& a, const Partition& p, Sweep sweep, bool streaming, std::int64_t begin,
    std::int64_t end) {
  const Scalars<R> s = scalars_of<R>(a);
  const bool maps = a.has_maps() && sweep != Sweep::moments,
             map_sums = maps && sweep == Sweep::first_sums;
  const bool last = a.layout.channels_last, writes = totals_of(sweep).count == 0 || map_sums;
  const bool first = sweep == Sweep::moments || sweep == Sweep::forward;
  const bool second =
      sweep == Sweep::second_sums || sweep == Sweep::bend_sums || sweep == Sweep::double_backward;
  const Loop<R> spread_loop =
      maps ? map_loop_for<R>(a.act, sweep) : loop_for<false, R>(a.act, sweep);
  const Loop<R> whole_loop = loop_for<true, R>(a.act, sweep);
  const void* const dy = maps && sweep == Sweep::backward ? a.dshift_map : a.dy;
  const void* const residual = sweep == Sweep::forward ? a.residual : nullptr;
  void* const out = map_sums ? a.dshift_map : a.out;
  void* const out_x = map_sums ? a.dscale_map : a.out_x;
  Spread<R> spread(a, coefficients_of(sweep));
  Sum<R> sums[most_sums];
  for (int k = 0; k < totals_of(sweep).count; ++k) {
    sums[k].take(partial_of<R>(a, p, k), last);
  }
  alignas(64) R in[5][block_size], results[2][block_size], values[most_sums][block_size];
  alignas(64) const R zeros[block_size] = {};
  Block<R> block{};
  for (std::int64_t unit = begin; unit < end; ++unit) {
    const Cut c(p, unit);
    if (last) {
      spread.set_columns(c);
    }
    for (Sum<R>& sum : sums) {
      sum.start(c);
    }
    for (int row = 0; row < c.rows; row += c.together) {
      const int count = std::min(c.together, c.rows - row),
                longest = count * std::min(c.width, c.step);
      const bool whole = !last && !maps && count == 1;
      if (!last) {
        spread.set_rows(c, row, count, std::min(c.width, c.step), whole);
        for (int k = 0; k < totals_of(sweep).count; ++k) {
          std::fill_n(values[k], longest, R(0));
        }
      }
      for (int column = 0; column < c.width; column += c.step) {
        const int width = std::min(c.step, c.width - column), n = count * width;
        const std::int64_t at = (c.image * p.major + c.row + row) * p.minor + c.column + column;
        spread.put(block, last ? column : 0);
        block.x = load(a.dtype, a.x, at, in[0], n);
        block.dy = first ? nullptr : load(a.dtype, dy, at, in[1], n);
        block.ddx = second ? load(a.dtype, a.ddx, at, in[2], n) : nullptr;
        if (maps) {
          block.scale = a.scale_map ? load(a.dtype, a.scale_map, at, in[2], n) : zeros;
          block.shift = a.shift_map && sweep != Sweep::backward
                            ? load(a.dtype, a.shift_map, at, in[3], n)
                            : zeros;
        }
        block.out = writes ? target(a.dtype, out, at, results[0], streaming) : nullptr;
        block.out_x =
            writes && out_x ? target(a.dtype, out_x, at, results[1], streaming) : results[1];
        for (int k = 0; k < most_sums; ++k) {
          block.sums[k] = last ? sums[k].columns(column) : values[k];
        }
        (whole ? whole_loop : spread_loop)(block, n, s);
        if (residual) {
          const R* const added = load(a.dtype, residual, at, in[4], n);
          for (int i = 0; i < n; ++i) {
            block.out[i] += added[i];
          }
        }
        if (writes) {
          store(a.dtype, out, at, block.out, n, streaming);
          if (out_x) {
            store(a.dtype, out_x, at, block.out_x, n, streaming);
          }
        }
      }
      if (!last) {
        for (int k = 0; k < totals_of(sweep).count; ++k) {
          sums[k].add(p, c, row, 0, count, longest / count, values[k]);
        }
      }
    }
    for (Sum<R>& sum : sums) {
      sum.finish(p, c);
    }
  }
}

}  // namespace

extern const RunUnits adaptive_norm_run = by_dtype<run_units<float>, run_units<double>>;

}  // namespace fg::FG_CPU_LEVEL
