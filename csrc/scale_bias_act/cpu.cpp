// scale_bias_act on the CPU. Work goes block by block through buffers in L1, with scale, noise and
// b expanded to the block's elements. Absent ones are blocks of ones or zeros. Only one plain loop
// per pass exists once per activation; it doesn't depend on layouts.
#include "cpu_partition.h"

namespace fg::scale_bias_act {

// Places of each gradient's partial sums in the workspace; null if not needed.
template <class R>
struct Partials {
  R *scale = nullptr, *noise = nullptr, *b = nullptr;
  std::int64_t size = 0;

  Partials(const Arguments& a, const Partition& p) {
    const auto place = [&](void* wanted, bool over_rows) -> R* {
      if (!wanted) {
        return nullptr;
      }
      // The workspace is null while its size is computed.
      R* const here = a.workspace ? as<R>(a.workspace) + size : nullptr;
      size += over_rows ? p.sums_over_rows() : p.sums_over_columns();
      return here;
    };
    scale = place(a.dscale, a.layout.channels_last);
    noise = place(a.dnoise, !a.layout.channels_last);
    b = place(a.db, a.layout.channels_last);
  }
};

using RunUnits = void (*)(
    const Arguments&, const Partition&, bool streaming, std::int64_t begin, std::int64_t end);

}  // namespace fg::scale_bias_act

FG_DECLARE_PER_LEVEL(scale_bias_act::RunUnits, scale_bias_act_run)

#if defined(FG_CPU_LEVEL)

#include "cpu_walk.h"

namespace fg::FG_CPU_LEVEL {
namespace {

using namespace fg::scale_bias_act;

// scale, noise and b, or directions of them.
template <class R>
struct Spread {
  const R *scale, *noise, *b;
};

// One block as its loop sees it.
template <class R>
struct Block {
  const R *x, *dy, *ddx;
  Spread<R> at, along;  // along: ddscale, ddnoise, ddb
  R *out, *out_x;
  R *for_scale, *for_shift;  // terms of dscale, and of dnoise and db
};

template <class R>
using Loop = void (*)(const Block<R>&, int n, Scalars<R>);

template <Act A, class R>
void forward_loop(const Block<R>& k, int n, Scalars<R> s) {
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    k.out[i] = forward<A>(k.x[i] * k.at.scale[i] + k.at.noise[i] + k.at.b[i], s);
  }
}

template <Act A, class R>
void backward_loop(const Block<R>& k, int n, Scalars<R> s) {
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    const R x = k.x[i], scale = k.at.scale[i];
    const R g = k.dy[i] * slope_from_input<A>(x * scale + k.at.noise[i] + k.at.b[i], s);
    k.out[i] = g * scale;
    k.for_scale[i] = g * x;
    k.for_shift[i] = g;
  }
}

template <Act A, class R>
void double_backward_loop(const Block<R>& k, int n, Scalars<R> s) {
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    const R x = k.x[i], dy = k.dy[i], ddx = k.ddx[i], scale = k.at.scale[i],
            ddscale = k.along.scale[i];
    const R v = x * scale + k.at.noise[i] + k.at.b[i];
    const R h = scale * ddx + ddscale * x + k.along.noise[i] + k.along.b[i];
    const R s1 = slope_from_input<A>(v, s), g = dy * s1;
    k.out[i] = s1 * h;
    if constexpr (A == Act::piecewise) {
      k.out_x[i] = g * ddscale;
      k.for_scale[i] = g * ddx;
    } else {
      const R q = dy * h * curvature_from_input<A>(v, s);
      k.out_x[i] = q * scale + g * ddscale;
      k.for_scale[i] = q * x + g * ddx;
      k.for_shift[i] = q;
    }
  }
}

template <class R>
Loop<R> loop_for(const Arguments& a) {
  return with_act(a.act, [&](auto act) -> Loop<R> {
    constexpr Act A = decltype(act)::value;
    return a.pass == Pass::forward    ? forward_loop<A, R>
           : a.pass == Pass::backward ? backward_loop<A, R>
                                      : double_backward_loop<A, R>;
  });
}

// One of scale, noise, b, ddscale, ddnoise and ddb, expanded to the elements of a block.
template <class R>
class Parameter {
 public:
  // With `minor` it is a vector beside each row, else a number for each row. `per_image` is the
  // number of elements from image to image.
  Parameter(DType dtype, const void* p, bool minor, std::int64_t per_image, R if_absent)
      : dtype_(dtype), p_(p), per_image_(per_image), of_rows_(p && !minor),
        of_columns_(p && minor) {
    std::fill_n(block_, block_size, if_absent);
  }

  // Load the columns from `first` on, repeated for `repeats` rows.
  void set_columns(std::int64_t image, std::int64_t first, int width, int repeats) {
    if (of_columns_) {
      load_into(columns_, dtype_, p_, image * per_image_ + first, width);
      for (int i = width; i < width * repeats; ++i) {
        columns_[i] = columns_[i - width];
      }
    }
  }

  // Load the numbers of `count` rows from `first` on, each over `width` elements.
  void set_rows(std::int64_t image, std::int64_t first, int count, int width) {
    if (of_rows_) {
      for (int row = 0; row < count; ++row) {
        std::fill_n(
            block_ + row * width, width, load_one<R>(dtype_, p_, image * per_image_ + first + row));
      }
    }
  }

  const R* at(int column) const { return of_columns_ ? columns_ + column : block_; }

 private:
  DType dtype_;
  const void* p_;
  std::int64_t per_image_;
  bool of_rows_, of_columns_;
  alignas(64) R block_[block_size];
  alignas(64) R columns_[Partition::widest];
};

// scale, noise and b, or ddscale, ddnoise and ddb.
template <class R>
struct Parameters {
  Parameter<R> scale, noise, b;

  Parameters(
      const Arguments& a, const void* scale_, const void* noise_, const void* b_, R if_no_scale)
      : scale(a.dtype, scale_, a.layout.channels_last, a.layout.channels, if_no_scale),
        noise(a.dtype, noise_, !a.layout.channels_last, a.shared_noise ? 0 : a.layout.pixels, R(0)),
        b(a.dtype, b_, a.layout.channels_last, 0, R(0)) {}

  void set_columns(std::int64_t image, std::int64_t first, int width, int repeats) {
    for (Parameter<R>* p : {&scale, &noise, &b}) {
      p->set_columns(image, first, width, repeats);
    }
  }

  void set_rows(std::int64_t image, std::int64_t first, int count, int width) {
    for (Parameter<R>* p : {&scale, &noise, &b}) {
      p->set_rows(image, first, count, width);
    }
  }

  Spread<R> from(int column) const { return {scale.at(column), noise.at(column), b.at(column)}; }
};

template <class R>
void run_units(
    const Arguments& a, const Partition& p, bool streaming, std::int64_t begin, std::int64_t end) {
  const Scalars<R> s = scalars_of<R>(a);
  const Loop<R> loop = loop_for<R>(a);
  const Partials<R> partials(a, p);
  const bool last = a.layout.channels_last;
  Parameters<R> at(a, a.scale, a.noise, a.b, R(1)), along(a, a.ddscale, a.ddnoise, a.ddb, R(0));
  Sum<R> scale, noise, b;
  scale.take(partials.scale, last);
  noise.take(partials.noise, !last);
  b.take(partials.b, last);
  alignas(64) R in[3][block_size], results[4][block_size];
  for (std::int64_t unit = begin; unit < end; ++unit) {
    const Cut c(p, unit);
    at.set_columns(c.image, c.column, c.width, c.together);
    along.set_columns(c.image, c.column, c.width, c.together);
    for (Sum<R>* sum : {&scale, &noise, &b}) {
      sum->start(c);
    }
    for (int row = 0; row < c.rows; row += c.together) {
      const int count = std::min(c.together, c.rows - row);
      at.set_rows(c.image, c.row + row, count, std::min(c.width, c.step));
      along.set_rows(c.image, c.row + row, count, std::min(c.width, c.step));
      for (int column = 0; column < c.width; column += c.step) {
        const int width = std::min(c.step, c.width - column), n = count * width;
        const std::int64_t first = (c.image * p.major + c.row + row) * p.minor + c.column + column;
        // If one of these is absent, no needed result depends on it; any number will do.
        const R* const ddx = a.ddx ? load(a.dtype, a.ddx, first, in[0], n) : nullptr;
        const R* const dy = a.dy ? load(a.dtype, a.dy, first, in[1], n) : ddx;
        const R* const x = a.x ? load(a.dtype, a.x, first, in[2], n) : dy;
        R* const out = target(a.dtype, a.out, first, results[0], streaming);
        R* const out_x =
            a.out_x ? target(a.dtype, a.out_x, first, results[1], streaming) : results[1];
        loop(
            {x, dy, ddx, at.from(column), along.from(column), out, out_x, results[2], results[3]},
            n, s);
        scale.add(p, c, row, column, count, width, results[2]);
        noise.add(p, c, row, column, count, width, results[3]);
        b.add(p, c, row, column, count, width, results[3]);
        store(a.dtype, a.out, first, out, n, streaming);
        if (a.out_x) {
          store(a.dtype, a.out_x, first, out_x, n, streaming);
        }
      }
    }
    for (Sum<R>* sum : {&scale, &noise, &b}) {
      sum->finish(p, c);
    }
  }
}

}  // namespace

extern const RunUnits scale_bias_act_run = by_dtype<run_units<float>, run_units<double>>;

}  // namespace fg::FG_CPU_LEVEL

#else  // threads

namespace fg::scale_bias_act {

std::int64_t workspace(const Arguments& a) { return Partials<float>(a, Partition(a.layout)).size; }

void run(const Arguments& a) {
  const Partition p(a.layout);
  const bool streaming = is_worth_streaming(a.dtype, a.layout.numel());
  const RunUnits units = FG_SELECT_LEVEL(scale_bias_act_run);
  torch::stable::parallel_for(0, p.units(), p.grain(), [&](std::int64_t begin, std::int64_t end) {
    units(a, p, streaming, begin, end);
  });
  with_dtype(a.dtype, [&](auto t) {
    using T = decltype(t);
    const Partials<sum_t<T>> partials(a, p);
    const bool last = a.layout.channels_last;
    if (a.dscale) {
      add_up(parts_of(p, last, true), partials.scale, static_cast<T*>(a.dscale));
    }
    if (a.dnoise) {
      add_up(parts_of(p, !last, !a.shared_noise), partials.noise, static_cast<T*>(a.dnoise));
    }
    if (a.db) {
      add_up(parts_of(p, last, false), partials.b, static_cast<T*>(a.db));
    }
  });
}

}  // namespace fg::scale_bias_act

#endif
