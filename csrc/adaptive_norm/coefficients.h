// Numbers of each image and channel: coefficients of the sweeps from totals, and gradients of the
// parameters. The CPU and CUDA share these formulas of fastgan/ops/adaptive_norm/README.md.
#pragma once

#include <type_traits>

#include "problem.h"

// Put this before a loop of a single thread. Unrolling would gain nothing and cost registers.
#if defined(__CUDACC__)
#define FG_ROLLED _Pragma("unroll 1")
#else
#define FG_ROLLED
#endif

namespace fg::adaptive_norm {

// All rows are [batch][channels]; over the batch, mean and var are [channels].
template <class T>
struct Table {
  using R = std::conditional_t<std::is_same_v<T, double>, double, float>;
  Layout layout;
  Over over;
  R eps;
  bool has_sums, bends;  // without these, totals were not computed and count as zero
  const T *x, *scale, *shift, *ddscale, *ddshift;
  const R *mean, *var, *ddmean, *ddvar;
  T *dscale, *dshift;
  R *dmean, *dvar, *mean_out, *var_out;
  R* numbers;  // coefficients, then totals, each [batch][channels]

  FG_INLINE std::int64_t size() const { return layout.batch * layout.channels; }
  FG_INLINE R& coefficient(int which, std::int64_t i) const { return numbers[which * size() + i]; }
  FG_INLINE R total(int which, std::int64_t i) const {
    const bool taken = which >= t_q ? bends : has_sums;
    return taken ? numbers[(coefficient_count + which) * size() + i] : R(0);
  }
};

template <class T>
Table<T> table_of(const Arguments& a) {
  using R = typename Table<T>::R;
  Table<T> t{};
  t.layout = a.layout;
  t.over = a.over;
  t.eps = static_cast<R>(a.eps);
  t.has_sums = a.takes_sums();
  t.bends = a.takes_bends();
  t.x = as<T>(a.x);
  t.scale = as<T>(a.scale);
  t.shift = as<T>(a.shift);
  t.ddscale = as<T>(a.ddscale);
  t.ddshift = as<T>(a.ddshift);
  t.mean = as<R>(a.mean);
  t.var = as<R>(a.var);
  t.ddmean = as<R>(a.ddmean);
  t.ddvar = as<R>(a.ddvar);
  t.dscale = as<T>(a.dscale);
  t.dshift = as<T>(a.dshift);
  t.dmean = as<R>(a.dmean);
  t.dvar = as<R>(a.dvar);
  t.mean_out = as<R>(a.mean_out);
  t.var_out = as<R>(a.var_out);
  t.numbers = as<R>(a.workspace);
  return t;
}

// Images that share a mean: one image, or the batch. `channel` is their channel.
struct Group {
  std::int64_t begin, end, channel;
};

template <class T>
FG_INLINE Group group_of(const Table<T>& k, std::int64_t group) {
  if (k.over == Over::batch) {
    return {0, k.layout.batch, group};
  }
  const std::int64_t n = group / k.layout.channels;
  return {n, n + 1, group % k.layout.channels};
}

// Call f with the index of each image of a group in [batch][channels].
template <class T, class F>
FG_INLINE void each_image(const Table<T>& k, const Group& g, F&& f) {
  FG_ROLLED
  for (std::int64_t n = g.begin; n < g.end; ++n) {
    f(n * k.layout.channels + g.channel);
  }
}

// Return the index of the mean of number i.
template <class T>
FG_INLINE std::int64_t stat_of(const Table<T>& k, const Group& g, std::int64_t i) {
  return k.over == Over::batch ? g.channel : i;
}

template <class T>
FG_INLINE auto count_of(const Table<T>& k, const Group& g) {
  return static_cast<typename Table<T>::R>((g.end - g.begin) * k.layout.pixels);
}

template <class T, class R>
FG_INLINE R number(const T* p, std::int64_t i, R otherwise) {
  return p ? static_cast<R>(p[i]) : otherwise;
}

// r, a and p of an image and channel, as in the README.
template <class R>
struct Norm {
  R r, a, p;
};

template <class T, class R = typename Table<T>::R>
FG_INLINE Norm<R> norm_of(const Table<T>& k, std::int64_t i, R var) {
  const R r = R(1) / std::sqrt(var + k.eps), a = R(1) + number(k.scale, i, R(0));
  return {r, a, a * r};
}

template <class T, class R = typename Table<T>::R>
FG_INLINE Norm<R> norm_of(const Table<T>& k, const Group& g, std::int64_t i) {
  return norm_of(k, i, k.var[stat_of(k, g, i)]);
}

// Compute the mean of a few elements over the whole group. Squares of distances from it don't
// cancel.
template <class T>
FG_INLINE void anchor(const Table<T>& k, const Group& g) {
  using R = typename Table<T>::R;
  constexpr std::int64_t most = 16;
  const std::int64_t channels = k.layout.channels, pixels = k.layout.pixels,
                     elements = (g.end - g.begin) * pixels;
  const std::int64_t few = elements < most ? elements : most, step = elements / few;
  R total = 0;
  FG_ROLLED
  for (std::int64_t i = 0; i < few; ++i) {
    const std::int64_t n = g.begin + i * step / pixels, pixel = i * step % pixels;
    const std::int64_t at = k.layout.channels_last ? (n * pixels + pixel) * channels + g.channel
                                                   : (n * channels + g.channel) * pixels + pixel;
    total += static_cast<R>(k.x[at]);
  }
  each_image(k, g, [&](auto i) { k.coefficient(c_mean, i) = total / static_cast<R>(few); });
}

// Set the coefficients of forward.
template <class T, class R = typename Table<T>::R>
FG_INLINE void set_base(const Table<T>& k, std::int64_t i, R mean, R var) {
  k.coefficient(c_mean, i) = mean;
  k.coefficient(c_p, i) = norm_of(k, i, var).p;
  k.coefficient(c_t, i) = number(k.shift, i, R(0));
}

template <class T>
FG_INLINE void base(const Table<T>& k, const Group& g) {
  each_image(
      k, g, [&](auto i) { set_base(k, i, k.mean[stat_of(k, g, i)], k.var[stat_of(k, g, i)]); });
}

template <class T>
FG_INLINE void moments(const Table<T>& k, const Group& g) {
  using R = typename Table<T>::R;
  R sum = 0, squares = 0;
  each_image(k, g, [&](auto i) {
    sum += k.total(t_g, i);
    squares += k.total(t_gx, i);
  });
  const R count = count_of(k, g), past = sum / count, spread = squares / count - past * past;
  const std::int64_t any = g.begin * k.layout.channels + g.channel;
  const R mean = k.coefficient(c_mean, any) + past;
  const R var = spread < 0 ? R(0) : spread;  // NaN passes through
  k.mean_out[stat_of(k, g, any)] = mean;
  k.var_out[stat_of(k, g, any)] = var;
  each_image(k, g, [&](auto i) { set_base(k, i, mean, var); });
}

template <class T, class R = typename Table<T>::R>
FG_INLINE void leave(const Table<T>& k, std::int64_t i, R dscale, R dshift, R dmean, R dvar) {
  if (k.dscale) {
    k.dscale[i] = static_cast<T>(dscale);
  }
  if (k.dshift) {
    k.dshift[i] = static_cast<T>(dshift);
  }
  if (k.dmean) {
    k.dmean[i] = dmean;
    k.dvar[i] = dvar;
  }
}

template <class T>
FG_INLINE void first(const Table<T>& k, const Group& group) {
  using R = typename Table<T>::R;
  R means = 0, vars = 0;
  each_image(k, group, [&](auto i) {
    const Norm<R> norm = norm_of(k, group, i);
    const R g = k.total(t_g, i), gx = k.total(t_gx, i);
    const R dmean = -norm.p * g, dvar = R(-0.5) * norm.r * norm.r * norm.p * gx;
    means += dmean;
    vars += dvar;
    leave(k, i, norm.r * gx, g, dmean, dvar);
  });
  const R share = k.over == Over::given ? R(0) : R(1) / count_of(k, group);
  each_image(k, group, [&](auto i) {
    k.coefficient(c_1, i) = share * means;
    k.coefficient(c_x, i) = 2 * share * vars;
  });
}

// Directions of mean and variance: those that follow from ddx, or the arguments.
template <class R>
struct Moved {
  R mean, var;
};

template <class T>
FG_INLINE auto moved_of(const Table<T>& k, const Group& g) {
  using R = typename Table<T>::R;
  if (k.over == Over::given) {
    const std::int64_t i = g.begin * k.layout.channels + g.channel;
    return Moved<R>{number(k.ddmean, i, R(0)), number(k.ddvar, i, R(0))};
  }
  R u = 0, ux = 0;
  each_image(k, g, [&](auto i) {
    u += k.total(t_u, i);
    ux += k.total(t_ux, i);
  });
  const R count = count_of(k, g);
  return Moved<R>{u / count, 2 * ux / count};
}

template <class T>
FG_INLINE void direction(const Table<T>& k, const Group& g) {
  using R = typename Table<T>::R;
  const Moved<R> moved = moved_of(k, g);
  each_image(k, g, [&](auto i) {
    const Norm<R> norm = norm_of(k, g, i);
    k.coefficient(c_slope, i) =
        R(-0.5) * norm.p * norm.r * norm.r * moved.var + norm.r * number(k.ddscale, i, R(0));
    k.coefficient(c_shift, i) = number(k.ddshift, i, R(0)) - norm.p * moved.mean;
  });
}

template <class T>
FG_INLINE void second(const Table<T>& k, const Group& group) {
  using R = typename Table<T>::R;
  const Moved<R> moved = moved_of(k, group);
  R means = 0, vars = 0, turns = 0;
  each_image(k, group, [&](auto i) {
    const Norm<R> norm = norm_of(k, group, i);
    const R r2 = norm.r * norm.r, g = k.total(t_g, i), gx = k.total(t_gx, i), q = k.total(t_q, i);
    const R along = k.total(t_qx, i) + k.total(t_gu, i) - moved.mean * g;
    const R dscale = norm.r * along - R(0.5) * r2 * norm.r * moved.var * gx;
    const R dr =
        norm.a * along + (number(k.ddscale, i, R(0)) - R(1.5) * norm.a * r2 * moved.var) * gx;
    const R dmean = -(norm.p * q + k.coefficient(c_slope, i) * g),
            dvar = R(-0.5) * r2 * norm.r * dr;
    means += dmean;
    vars += dvar;
    turns += R(-0.5) * norm.p * r2 * gx;
    leave(k, i, dscale, q, dmean, dvar);
  });
  const R share = k.over == Over::given ? R(0) : R(1) / count_of(k, group);
  each_image(k, group, [&](auto i) {
    k.coefficient(c_u, i) = 2 * share * turns;
    k.coefficient(c_x, i) = 2 * share * vars;
    k.coefficient(c_1, i) = share * means - 2 * share * turns * moved.mean;
  });
}

template <class T>
FG_INLINE void take_step(const Table<T>& k, Step step, std::int64_t at) {
  const Group g = group_of(k, at);
  switch (step) {
    case Step::anchor:
      return anchor(k, g);
    case Step::moments:
      return moments(k, g);
    case Step::base:
      return base(k, g);
    case Step::first:
      return first(k, g);
    case Step::direction:
      return direction(k, g);
    default:
      return second(k, g);
  }
}

}  // namespace fg::adaptive_norm
