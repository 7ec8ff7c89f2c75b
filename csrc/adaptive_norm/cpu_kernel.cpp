// Compiled once per instruction set, with FG_CPU_LEVEL naming it. Work goes block by block through buffers in L1, with
// coefficients spread over the block's elements: the code that exists once per activation is one plain loop per sweep that
// knows nothing of layouts.
#include "../scale_bias_act/cpu_walk.h"
#include "cpu_kernel.h"

namespace fg::FG_CPU_LEVEL {
namespace {

using namespace fg::adaptive_norm;

// One block as its loop sees it.
template <class R>
struct Block {
  const R *x, *dy, *ddx;
  const R* of[coefficient_count];
  R *out, *out_x;
  R* sums[most_sums];
};

template <class R>
using Loop = void (*)(const Block<R>&, int n, const Scalars<R>&);

template <class R>
void moments_loop(const Block<R>& block, int n, const Scalars<R>&) {
  const Block<R> k = block;
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    const R z = k.x[i] - k.of[c_mean][i];
    k.sums[0][i] = z;
    k.sums[1][i] = z * z;
  }
}

template <Act A, class R>
void forward_loop(const Block<R>& block, int n, const Scalars<R>& scalars) {
  const Block<R> k = block;
  const Scalars<R> s = scalars;
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    k.out[i] = forward<A>(k.of[c_p][i] * (k.x[i] - k.of[c_mean][i]) + k.of[c_t][i], s);
  }
}

// First and second sums: those of u are taken where there is a ddx.
template <Act A, bool Second, class R>
void sums_loop(const Block<R>& block, int n, const Scalars<R>& scalars) {
  const Block<R> k = block;
  const Scalars<R> s = scalars;
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    const R z = k.x[i] - k.of[c_mean][i];
    const R g = k.dy[i] * slope_from_input<A>(k.of[c_p][i] * z + k.of[c_t][i], s);
    k.sums[t_g][i] = g;
    k.sums[t_gx][i] = g * z;
    if constexpr (Second) {
      const R u = k.ddx[i];
      k.sums[t_u][i] = u;
      k.sums[t_ux][i] = u * z;
      k.sums[t_gu][i] = g * u;
    }
  }
}

template <Act A, class R>
void backward_loop(const Block<R>& block, int n, const Scalars<R>& scalars) {
  const Block<R> k = block;
  const Scalars<R> s = scalars;
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    const R z = k.x[i] - k.of[c_mean][i], p = k.of[c_p][i];
    const R g = k.dy[i] * slope_from_input<A>(p * z + k.of[c_t][i], s);
    k.out[i] = p * g + k.of[c_x][i] * z + k.of[c_1][i];
  }
}

template <Act A, class R>
void bend_loop(const Block<R>& block, int n, const Scalars<R>& scalars) {
  const Block<R> k = block;
  const Scalars<R> s = scalars;
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    const R z = k.x[i] - k.of[c_mean][i], p = k.of[c_p][i];
    const R h = p * k.ddx[i] + k.of[c_slope][i] * z + k.of[c_shift][i];
    const R q = k.dy[i] * h * curvature_from_input<A>(p * z + k.of[c_t][i], s);
    k.sums[0][i] = q;
    k.sums[1][i] = q * z;
  }
}

template <Act A, class R>
void double_backward_loop(const Block<R>& block, int n, const Scalars<R>& scalars) {
  const Block<R> k = block;
  const Scalars<R> s = scalars;
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    const R z = k.x[i] - k.of[c_mean][i], p = k.of[c_p][i], u = k.ddx[i], dy = k.dy[i], along = k.of[c_slope][i];
    const R v = p * z + k.of[c_t][i], h = p * u + along * z + k.of[c_shift][i];
    const R s1 = slope_from_input<A>(v, s);
    k.out[i] = s1 * h;
    R bend = 0;
    if constexpr (A != Act::piecewise) {
      bend = p * dy * h * curvature_from_input<A>(v, s);
    }
    k.out_x[i] = bend + along * dy * s1 + k.of[c_u][i] * u + k.of[c_x][i] * z + k.of[c_1][i];
  }
}

template <class R>
Loop<R> loop_for(Act act, Sweep sweep) {
  return with_act(act, [&](auto chosen) -> Loop<R> {
    constexpr Act A = decltype(chosen)::value;
    switch (sweep) {
      case Sweep::moments:
        return moments_loop<R>;
      case Sweep::forward:
        return forward_loop<A, R>;
      case Sweep::first_sums:
        return sums_loop<A, false, R>;
      case Sweep::backward:
        return backward_loop<A, R>;
      case Sweep::second_sums:
        return sums_loop<A, true, R>;
      case Sweep::bend_sums:
        return bend_loop<A, R>;
      default:
        return double_backward_loop<A, R>;
    }
  });
}

// The coefficients that a sweep reads are the first ones.
constexpr int coefficients_of(Sweep sweep) {
  return sweep == Sweep::moments                                                             ? 1
         : sweep == Sweep::backward || sweep == Sweep::double_backward                       ? coefficient_count
         : sweep == Sweep::bend_sums                                                         ? c_u
                                                                                             : c_slope;
}

// The coefficients of a block, spread over its elements.
template <class R>
class Spread {
 public:
  Spread(const Arguments& a, int count) : a_(a), count_(count) {}

  // In channels_last: those of the columns, once for each row of a block.
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

  // Else: the number of each of `count` rows, over `width` elements.
  void set_rows(const Cut& c, int row, int count, int width) {
    for (int k = 0; k < count_; ++k) {
      const R* const from = coefficient_of<R>(a_, k) + c.image * a_.layout.channels + c.row + row;
      columns_[k] = block_[k];
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
    const Arguments& a, const Partition& p, Sweep sweep, bool streaming, std::int64_t begin, std::int64_t end) {
  const Scalars<R> s{static_cast<R>(a.alpha), static_cast<R>(a.gain), static_cast<R>(a.clamp)};
  const Loop<R> loop = loop_for<R>(a.act, sweep);
  const bool last = a.layout.channels_last, writes = totals_of(sweep).count == 0;
  const bool first = sweep == Sweep::moments || sweep == Sweep::forward;
  const bool second = sweep == Sweep::second_sums || sweep == Sweep::bend_sums || sweep == Sweep::double_backward;
  Spread<R> spread(a, coefficients_of(sweep));
  Sum<R> sums[most_sums];
  for (int k = 0; k < totals_of(sweep).count; ++k) {
    sums[k].take(partial_of<R>(a, p, k), last);
  }
  alignas(64) R in[3][block_size], results[2][block_size], values[most_sums][block_size];
  Block<R> block{};
  for (int k = 0; k < most_sums; ++k) {
    block.sums[k] = values[k];
  }
  for (std::int64_t unit = begin; unit < end; ++unit) {
    const Cut c(p, unit);
    if (last) {
      spread.set_columns(c);
    }
    for (Sum<R>& sum : sums) {
      sum.start(c);
    }
    for (int row = 0; row < c.rows; row += c.together) {
      const int count = std::min(c.together, c.rows - row);
      if (!last) {
        spread.set_rows(c, row, count, std::min(c.width, c.step));
      }
      for (int column = 0; column < c.width; column += c.step) {
        const int width = std::min(c.step, c.width - column), n = count * width;
        const std::int64_t at = (c.image * p.major + c.row + row) * p.minor + c.column + column;
        spread.put(block, last ? column : 0);
        block.x = load(a.dtype, a.x, at, in[0], n);
        block.dy = first ? nullptr : load(a.dtype, a.dy, at, in[1], n);
        block.ddx = second ? load(a.dtype, a.ddx, at, in[2], n) : nullptr;
        block.out = writes ? target(a.dtype, a.out, at, results[0], streaming) : nullptr;
        block.out_x = writes && a.out_x ? target(a.dtype, a.out_x, at, results[1], streaming) : results[1];
        loop(block, n, s);
        for (int k = 0; k < most_sums; ++k) {
          sums[k].add(p, c, row, column, count, width, values[k]);
        }
        if (writes) {
          store(a.dtype, a.out, at, block.out, n, streaming);
          if (a.out_x) {
            store(a.dtype, a.out_x, at, block.out_x, n, streaming);
          }
        }
      }
    }
    for (Sum<R>& sum : sums) {
      sum.finish(p, c);
    }
  }
}

void run(const Arguments& a, const Partition& p, Sweep sweep, bool streaming, std::int64_t begin, std::int64_t end) {
  (a.dtype == DType::f64 ? run_units<double> : run_units<float>)(a, p, sweep, streaming, begin, end);
  if (streaming) {
    stream_fence();
  }
}

}  // namespace

extern const RunUnits adaptive_norm_run = run;

}  // namespace fg::FG_CPU_LEVEL
