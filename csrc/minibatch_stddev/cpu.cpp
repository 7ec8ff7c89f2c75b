// minibatch_stddev on the CPU: a sweep over the images, which reads a block of positions of all
// samples of a group more than once, from L1.
#include <cmath>

#include "../common/cpu.h"
#include "problem.h"

namespace fg::minibatch_stddev {

// Division of the work into units: a segment of a row, or some whole rows, of one part of one
// group. It doesn't depend on the number of threads, so sums have the same bits for any number.
struct Partition {
  static constexpr std::int64_t segment = 4096;

  Layout layout;
  std::int64_t rows, segments;  // rows per unit, segments per row
  std::int64_t of_part;         // units per part

  explicit Partition(const Layout& l)
      : layout(l), rows(std::max<std::int64_t>(1, segment / l.length())),
        segments(divide_up(l.length(), segment)), of_part(divide_up(l.rows(), rows) * segments) {}

  std::int64_t units() const { return layout.groups * layout.parts * of_part; }
};

// Content of the workspace: the partial sum of each unit, and the weight w of each group and part.
template <class R>
struct Numbers {
  R *partial, *weight;

  Numbers(const Arguments& a, const Partition& p)
      : partial(as<R>(a.workspace)), weight(partial + p.units()) {}
};

using Sweep = void (*)(
    const Arguments&, const Partition&, bool streaming, std::int64_t begin, std::int64_t end);

}  // namespace fg::minibatch_stddev

FG_DECLARE_PER_LEVEL(minibatch_stddev::Sweep, minibatch_stddev_sweep)

#if defined(FG_CPU_LEVEL)

namespace fg::FG_CPU_LEVEL {
namespace {

using namespace fg::minibatch_stddev;

// Start of a block of positions in the first sample of its group, and the steps from sample to
// sample.
struct Place {
  std::int64_t narrow, wide, narrow_step, wide_step;
  int n;
};

template <class R>
struct Buffers {
  alignas(64) R x[block_size], ddx[block_size], dy[block_size], out[block_size];
  alignas(64) R mean[block_size], square[block_size], mean_ddx[block_size], b[block_size];
};

template <class R>
FG_LOCAL void add(const R* from, R* total, int n) {
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    total[i] += from[i];
  }
}

template <class R>
FG_LOCAL void divide(R* total, R by, int n) {
  for (int i = 0; i < n; ++i) {
    total[i] /= by;
  }
}

// Compute mean and Σ z² of x over the group, and mean of ddx and Σ ddx·z. Also copy x or ddx to
// `wide`.
template <class R>
FG_LOCAL void moments(const Arguments& a, const Place& at, Buffers<R>& s, bool streaming) {
  const std::int64_t group = a.layout.group;
  const int n = at.n;
  const bool doubles = a.pass == Pass::double_backward;
  for (R* sums : {s.mean, s.mean_ddx, s.square, s.b}) {
    std::fill_n(sums, n, R(0));
  }
  for (std::int64_t k = 0; k < group; ++k) {
    const R* const x = load(a.dtype, a.x, at.narrow + k * at.narrow_step, s.x, n);
    const R* copied = x;
    add(x, s.mean, n);
    if (doubles) {
      copied = load(a.dtype, a.ddx, at.narrow + k * at.narrow_step, s.ddx, n);
      add(copied, s.mean_ddx, n);
    }
    if (a.wide) {
      R* const out = target(a.dtype, a.wide, at.wide + k * at.wide_step, s.out, streaming);
      std::copy_n(copied, n, out);
      store(a.dtype, a.wide, at.wide + k * at.wide_step, out, n, streaming);
    }
  }
  divide(s.mean, static_cast<R>(group), n);
  divide(s.mean_ddx, static_cast<R>(group), n);
  for (std::int64_t k = 0; k < group; ++k) {
    const R* const x = load(a.dtype, a.x, at.narrow + k * at.narrow_step, s.x, n);
    FG_NO_ALIAS
    for (int i = 0; i < n; ++i) {
      const R z = x[i] - s.mean[i];
      s.square[i] += z * z;
    }
    if (doubles) {
      const R* const u = load(a.dtype, a.ddx, at.narrow + k * at.narrow_step, s.ddx, n);
      FG_NO_ALIAS
      for (int i = 0; i < n; ++i) {
        s.b[i] += u[i] * (x[i] - s.mean[i]);
      }
    }
  }
}

// Return the block's term of the sum.
template <class R>
FG_LOCAL R block(const Arguments& a, const Place& at, R weight, Buffers<R>& s, bool streaming) {
  const R group = static_cast<R>(a.layout.group);
  const int n = at.n;
  moments(a, at, s, streaming);
  R* const rsigma = s.square;
  R total = 0;
  if (a.pass == Pass::forward) {
    for (int i = 0; i < n; ++i) {
      s.square[i] = std::sqrt(s.square[i] / group + static_cast<R>(eps));
    }
    return sum(s.square, n);
  }
  for (int i = 0; i < n; ++i) {
    rsigma[i] = R(1) / std::sqrt(s.square[i] / group + static_cast<R>(eps));
  }
  if (a.wants_sums()) {
    FG_NO_ALIAS
    for (int i = 0; i < n; ++i) {
      s.out[i] = s.b[i] * rsigma[i];
    }
    total = sum(s.out, n);
  }
  for (std::int64_t k = 0; a.narrow && k < a.layout.group; ++k) {
    const std::int64_t first = at.narrow + k * at.narrow_step;
    const R* const x = load(a.dtype, a.x, first, s.x, n);
    R* const out = target(a.dtype, a.narrow, first, s.out, streaming);
    if (a.pass == Pass::backward) {
      const R* const dy = load(a.dtype, a.dy, at.wide + k * at.wide_step, s.dy, n);
      FG_NO_ALIAS
      for (int i = 0; i < n; ++i) {
        out[i] = dy[i] + weight * (x[i] - s.mean[i]) * rsigma[i];
      }
    } else {
      const R* const u = load(a.dtype, a.ddx, first, s.ddx, n);
      FG_NO_ALIAS
      for (int i = 0; i < n; ++i) {
        const R turn = s.b[i] * (x[i] - s.mean[i]) * rsigma[i] * rsigma[i] / group;
        out[i] = weight * rsigma[i] * (u[i] - s.mean_ddx[i] - turn);
      }
    }
    store(a.dtype, a.narrow, first, out, n, streaming);
  }
  return total;
}

template <class R>
void sweep(
    const Arguments& a, const Partition& p, bool streaming, std::int64_t begin, std::int64_t end) {
  const Layout l = a.layout;
  const Numbers<R> numbers(a, p);
  Buffers<R> buffers;
  for (std::int64_t unit = begin; unit < end; ++unit) {
    const std::int64_t number = unit / p.of_part, m = number / l.parts, part = number % l.parts;
    const std::int64_t piece = unit % p.of_part, start = piece % p.segments * Partition::segment;
    const std::int64_t stop = std::min(start + Partition::segment, l.length());
    const std::int64_t row = piece / p.segments * p.rows, last = std::min(row + p.rows, l.rows());
    const R weight = a.wants_weights() ? numbers.weight[number] : R(0);
    R total = 0;
    for (std::int64_t y = row; y < last; ++y) {
      for_each_block(stop - start, [&](std::int64_t j, int n) {
        const std::int64_t within = part * l.length() + start + j;
        const Place at{
            m * l.narrow_sample() + y * l.narrow_row() + within,
            m * l.wide_sample() + y * l.wide_row() + within, l.groups * l.narrow_sample(),
            l.groups * l.wide_sample(), n};
        total += block(a, at, weight, buffers, streaming);
      });
    }
    if (a.wants_sums()) {
      numbers.partial[unit] = total;
    }
  }
}

}  // namespace

extern const Sweep minibatch_stddev_sweep = by_dtype<sweep<float>, sweep<double>>;

}  // namespace fg::FG_CPU_LEVEL

#else  // threads

namespace fg::minibatch_stddev {
namespace {

// Compute w of each group and part from dy of the appended channels, in a fixed order, in double.
template <class R, class T>
void gather(const Arguments& a, R* weight) {
  const Layout l = a.layout;
  const T* const dy = static_cast<const T*>(a.dy);
  for (std::int64_t number = 0; number < l.groups * l.parts; ++number) {
    double total = 0;
    for (std::int64_t k = 0; k < l.group; ++k) {
      const T* const sample = dy + (k * l.groups + number / l.parts) * l.wide_sample();
      for (std::int64_t pixel = 0; pixel < l.pixels; ++pixel) {
        total += static_cast<double>(sample[l.appended(number % l.parts, pixel)]);
      }
    }
    weight[number] = static_cast<R>(total / static_cast<double>(l.group * l.positions()));
  }
}

// Write the sum of each group and part, divided by its number of terms, to the appended channels of
// its samples.
template <class R, class T>
void scatter(const Arguments& a, const Partition& p, const R* partial) {
  const Layout l = a.layout;
  const double count = static_cast<double>(l.positions() * (a.pass == Pass::forward ? 1 : l.group));
  for (std::int64_t number = 0; number < l.groups * l.parts; ++number) {
    double total = 0;
    for (std::int64_t i = number * p.of_part; i < (number + 1) * p.of_part; ++i) {
      total += static_cast<double>(partial[i]);
    }
    const T value = static_cast<T>(static_cast<R>(total / count));
    for (std::int64_t k = 0; k < l.group; ++k) {
      T* const sample =
          static_cast<T*>(a.wide) + (k * l.groups + number / l.parts) * l.wide_sample();
      for (std::int64_t pixel = 0; pixel < l.pixels; ++pixel) {
        sample[l.appended(number % l.parts, pixel)] = value;
      }
    }
  }
}

}  // namespace

std::int64_t workspace(const Arguments& a) {
  return Partition(a.layout).units() + a.layout.groups * a.layout.parts;
}

void run(const Arguments& a) {
  const Layout l = a.layout;
  const Partition p(l);
  const bool streaming = is_worth_streaming(a.dtype, l.group * l.groups * l.narrow_sample());
  const Sweep sweep = FG_SELECT_LEVEL(minibatch_stddev_sweep);
  const std::int64_t elements = l.group * l.groups * l.narrow_sample() / p.units();
  const std::int64_t grain = std::max<std::int64_t>(1, 32768 / std::max<std::int64_t>(1, elements));
  with_dtype(a.dtype, [&](auto t) {
    using T = decltype(t);
    using R = sum_t<T>;
    const Numbers<R> numbers(a, p);
    if (a.wants_weights()) {
      gather<R, T>(a, numbers.weight);
    }
    torch::stable::parallel_for(0, p.units(), grain, [&](std::int64_t begin, std::int64_t end) {
      sweep(a, p, streaming, begin, end);
    });
    if (a.wants_sums()) {
      scatter<R, T>(a, p, numbers.partial);
    }
  });
}

}  // namespace fg::minibatch_stddev

#endif
