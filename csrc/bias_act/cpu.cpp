// bias_act on the CPU. Work goes block by block through buffers in L1. Only one plain loop over
// such a block exists once per activation.
#include "../common/cpu.h"
#include "problem.h"

namespace fg::bias_act {

// Division of the work into units. It doesn't depend on the number of threads, so sums have the
// same bits for any number.
// - by row: channels have long runs of memory. A unit is one segment of a run, which has one bias.
// - by column: runs are short (channels_last, [N, C]). A unit is a block of rows of a column tile.
struct Partition {
  static constexpr std::int64_t segment = 8192, tile = 1024, shortest_run = 32;

  Layout layout;
  bool by_row;
  std::int64_t segments_per_run = 0;                   // by row
  std::int64_t tiles = 0, blocks = 0, block_rows = 0;  // by column

  explicit Partition(Layout l) : layout(l), by_row(l.inner >= shortest_run) {
    if (by_row) {
      segments_per_run = divide_up(l.inner, segment);
    } else {
      tiles = divide_up(l.row(), tile);
      block_rows =
          std::max(divide_up(l.outer, 64), divide_up(2 * segment, std::min(l.row(), tile)));
      blocks = divide_up(l.outer, block_rows);
    }
  }

  std::int64_t units() const {
    return by_row ? layout.outer * layout.channels * segments_per_run : blocks * tiles;
  }

  // Number of units that make a task worth a thread.
  std::int64_t grain() const {
    return by_row ? std::max<std::int64_t>(1, 2 * segment / std::min(layout.inner, segment)) : 1;
  }

  // Number of partial sums of the bias gradient: one per unit by row, one per block and column by
  // column.
  std::int64_t partials() const { return by_row ? units() : blocks * layout.row(); }
};

using RunUnits = void (*)(const Arguments&, const Partition&, std::int64_t begin, std::int64_t end);

}  // namespace fg::bias_act

FG_DECLARE_PER_LEVEL(bias_act::RunUnits, bias_act_run)

#if defined(FG_CPU_LEVEL)

namespace fg::FG_CPU_LEVEL {
namespace {

using namespace fg::bias_act;

// One block as its loop sees it. h is the factor of the slope: dy, or ddx + ddb in the second
// derivative.
template <class R>
struct Block {
  const R *x, *b, *y, *h, *dy;
  R *out, *out_v;
};

template <class R>
using Loop = void (*)(const Block<R>&, int n, Scalars<R>);

template <Act A, class R>
void forward_loop(const Block<R>& k, int n, Scalars<R> s) {
  for (int i = 0; i < n; ++i) {
    k.out[i] = forward<A>(k.x[i] + k.b[i], s);
  }
}

template <class R>
void slope_from_output_loop(const Block<R>& k, int n, Scalars<R> s) {
  for (int i = 0; i < n; ++i) {
    k.out[i] = k.h[i] * slope_from_output(k.y[i], s);
  }
}

template <Act A, class R>
void slope_from_input_loop(const Block<R>& k, int n, Scalars<R> s) {
  for (int i = 0; i < n; ++i) {
    k.out[i] = k.h[i] * slope_from_input<A>(k.x[i] + k.b[i], s);
  }
}

template <Act A, class R>
void curvature_loop(const Block<R>& k, int n, Scalars<R> s) {
  for (int i = 0; i < n; ++i) {
    const R v = k.x[i] + k.b[i], h = k.h[i];
    k.out[i] = h * slope_from_input<A>(v, s);
    k.out_v[i] = h * k.dy[i] * curvature_from_input<A>(v, s);
  }
}

template <class R>
Loop<R> loop_for(const Arguments& a) {
  return with_act(a.act, [&](auto act) -> Loop<R> {
    constexpr Act A = decltype(act)::value;
    if (a.pass == Pass::forward) {
      return forward_loop<A, R>;
    }
    // The output's sign gives the slope; x is passed only where it doesn't.
    if constexpr (A == Act::piecewise) {
      return a.x ? slope_from_input_loop<A, R> : slope_from_output_loop<R>;
    } else {
      return a.pass == Pass::backward ? slope_from_input_loop<A, R> : curvature_loop<A, R>;
    }
  });
}

// Compute a contiguous stretch of `length` elements. b and ddb hold its biases: one per element, or
// a block of equal ones if `constant`. `sums(values, at, n)` gets the terms of the bias gradient.
template <class R, class Sums>
FG_LOCAL void stretch(
    const Arguments& a, Loop<R> loop, const Scalars<R>& s, std::int64_t offset, std::int64_t length,
    const R* b, const R* ddb, bool constant, Sums sums) {
  alignas(64) R in[4][block_size], out[2][block_size];
  const bool two_results = a.out_v;
  for_each_block(length, [&](std::int64_t at, int n) {
    const std::int64_t first = offset + at, bias_at = constant ? 0 : at;
    Block<R> k{};
    k.b = b + bias_at;
    if (a.x) {
      k.x = load(a.dtype, a.x, first, in[0], n);
    }
    if (a.pass != Pass::forward) {
      k.h = load(a.dtype, a.pass == Pass::backward ? a.dy : a.ddx, first, in[1], n);
      if (a.pass == Pass::double_backward && a.ddb) {
        for (int i = 0; i < n; ++i) {
          in[1][i] = k.h[i] + ddb[bias_at + i];
        }
        k.h = in[1];
      }
      // linear without a clamp saves no y: any y gives its slope, the gain.
      k.y = a.y ? load(a.dtype, a.y, first, in[2], n) : k.h;
    }
    k.out = target(a.dtype, a.out, first, out[0], a.streaming);
    if (two_results) {
      k.dy = load(a.dtype, a.dy, first, in[3], n);
      k.out_v = target(a.dtype, a.out_v, first, out[1], a.streaming);
    }
    loop(k, n, s);
    if (a.workspace) {
      sums(two_results ? k.out_v : k.out, at, n);
    }
    store(a.dtype, a.out, first, k.out, n, a.streaming);
    if (two_results) {
      store(a.dtype, a.out_v, first, k.out_v, n, a.streaming);
    }
  });
}

template <class R>
void by_row(const Arguments& a, const Partition& p, std::int64_t begin, std::int64_t end) {
  const Scalars<R> s = scalars_of<R>(a);
  const Loop<R> loop = loop_for<R>(a);
  alignas(64) R b[block_size], ddb[block_size];
  std::int64_t filled = -1;
  for (std::int64_t unit = begin; unit < end; ++unit) {
    const std::int64_t run = unit / p.segments_per_run,
                       at = unit % p.segments_per_run * Partition::segment;
    const std::int64_t length = std::min(Partition::segment, p.layout.inner - at);
    if (const std::int64_t channel = run % p.layout.channels; channel != filled) {
      const int n = static_cast<int>(std::min<std::int64_t>(block_size, p.layout.inner));
      std::fill_n(b, n, load_one<R>(a.dtype, a.b, channel));
      std::fill_n(ddb, n, load_one<R>(a.dtype, a.ddb, channel));
      filled = channel;
    }
    R total = 0;
    stretch<R>(
        a, loop, s, run * p.layout.inner + at, length, b, ddb, true,
        [&](const R* values, std::int64_t, int n) { total += sum(values, n); });
    if (a.workspace) {
      as<R>(a.workspace)[unit] = total;
    }
  }
}

template <class R>
void by_column(const Arguments& a, const Partition& p, std::int64_t begin, std::int64_t end) {
  const Scalars<R> s = scalars_of<R>(a);
  const Loop<R> loop = loop_for<R>(a);
  const std::int64_t row = p.layout.row();
  // Short rows go several at a time, with their biases repeated: a stretch must be worth its call.
  const std::int64_t group = p.tiles == 1 ? Partition::tile / row : 1;
  alignas(64) R b[Partition::tile], ddb[Partition::tile], total[Partition::tile];
  std::int64_t filled = -1;
  for (std::int64_t unit = begin; unit < end; ++unit) {
    const std::int64_t block = unit / p.tiles, column = unit % p.tiles * Partition::tile;
    const std::int64_t width = std::min(Partition::tile, row - column), span = group * width;
    if (column != filled) {
      for (std::int64_t i = 0; i < width; ++i) {
        const std::int64_t channel = (column + i) / p.layout.inner;
        b[i] = load_one<R>(a.dtype, a.b, channel);
        ddb[i] = load_one<R>(a.dtype, a.ddb, channel);
      }
      for (std::int64_t i = width; i < span; ++i) {
        b[i] = b[i - width];
        ddb[i] = ddb[i - width];
      }
      filled = column;
    }
    std::fill_n(total, span, R(0));
    const std::int64_t last = std::min((block + 1) * p.block_rows, p.layout.outer);
    for (std::int64_t r = block * p.block_rows; r < last; r += group) {
      stretch<R>(
          a, loop, s, r * row + column, std::min(group, last - r) * width, b, ddb, false,
          [&](const R* values, std::int64_t at, int n) {
            R* const t = total + at;
            for (int i = 0; i < n; ++i) {
              t[i] += values[i];
            }
          });
    }
    if (a.workspace) {
      for (std::int64_t i = width; i < span; ++i) {
        total[i % width] += total[i];
      }
      std::copy_n(total, width, as<R>(a.workspace) + block * row + column);
    }
  }
}

template <class R>
void units(const Arguments& a, const Partition& p, std::int64_t begin, std::int64_t end) {
  (p.by_row ? by_row<R> : by_column<R>)(a, p, begin, end);
}

}  // namespace

extern const RunUnits bias_act_run = by_dtype<units<float>, units<double>>;

}  // namespace fg::FG_CPU_LEVEL

#else  // threads

namespace fg::bias_act {

std::int64_t workspace(const Arguments& a) { return a.db ? Partition(a.layout).partials() : 0; }

void run(const Arguments& given) {
  Arguments a = given;
  const Partition p(a.layout);
  a.streaming = is_worth_streaming(a.dtype, a.layout.numel());
  const RunUnits units = FG_SELECT_LEVEL(bias_act_run);
  torch::stable::parallel_for(0, p.units(), p.grain(), [&](std::int64_t begin, std::int64_t end) {
    units(a, p, begin, end);
  });
  if (a.db) {
    with_dtype(a.dtype, [&](auto t) {
      using T = decltype(t);
      const Layout& l = a.layout;
      const Parts parts = p.by_row ? Parts{1, l.outer, l.channels, p.segments_per_run}
                                   : Parts{1, p.blocks, l.channels, l.inner};
      add_up(parts, static_cast<const sum_t<T>*>(a.workspace), static_cast<T*>(a.db));
    });
  }
}

}  // namespace fg::bias_act

#endif
