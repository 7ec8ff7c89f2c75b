// pixel_norm on the CPU. Each unit is read twice: for the sums of its pixels and for the results.
#include "../common/cpu.h"
#include "../common/with_constant.h"
#include "coefficients.h"
#include "problem.h"

namespace fg::pixel_norm {

// Division of the work into units. A unit is a strip of neighbouring pixels; their channels are
// read twice, the second time from L2. If channels are the fastest dimension, a unit is a number of
// whole pixels.
struct Partition {
  static constexpr std::int64_t unit_elements = 65536, least_strip = 32;

  std::int64_t units, pixels;  // pixels per unit
  std::int64_t strips;         // per outer index

  explicit Partition(const Layout& l) {
    const std::int64_t fitting = unit_elements / l.channels;
    if (l.inner == 1) {
      pixels = std::max<std::int64_t>(1, fitting);
      strips = 1;
      units = divide_up(l.outer, pixels);
    } else {
      pixels =
          std::clamp<std::int64_t>(fitting / least_strip * least_strip, least_strip, block_size);
      strips = divide_up(l.inner, pixels);
      units = l.outer * strips;
    }
  }
};

using Run = void (*)(
    const Arguments&, const Partition&, bool streaming, std::int64_t begin, std::int64_t end);

}  // namespace fg::pixel_norm

FG_DECLARE_PER_LEVEL(pixel_norm::Run, pixel_norm_run)

#if defined(FG_CPU_LEVEL)

namespace fg::FG_CPU_LEVEL {
namespace {

using namespace fg::pixel_norm;

template <class R>
struct Buffers {
  alignas(64) R x[block_size], dy[block_size], ddx[block_size], out[block_size], dx[block_size];
};

// One block as the loops see it.
template <class R>
struct Block {
  const R *x, *dy, *ddx;

  FG_LOCAL Element<R> at(const Block& b, Pass pass, int i) {
    return {
        b.x[i], pass == Pass::forward ? R(0) : b.dy[i],
        pass == Pass::double_backward ? b.ddx[i] : R(0)};
  }
};

template <Pass P, class R>
FG_LOCAL Block<R> given(const Arguments& a, std::int64_t first, Buffers<R>& to, int n) {
  Block<R> b{load(a.dtype, a.x, first, to.x, n), nullptr, nullptr};
  if constexpr (P != Pass::forward) {
    b.dy = load(a.dtype, a.dy, first, to.dy, n);
  }
  if constexpr (P == Pass::double_backward) {
    b.ddx = load(a.dtype, a.ddx, first, to.ddx, n);
  }
  return b;
}

// Write results; `k(i)` returns the coefficients of element i.
template <Pass P, class R, class K>
FG_LOCAL void write(
    const Arguments& a, const Block<R>& b, std::int64_t first, Buffers<R>& buffers, int n,
    bool streaming, const K& k) {
  if (a.out) {
    R* const out = target(a.dtype, a.out, first, buffers.out, streaming);
    FG_NO_ALIAS
    for (int i = 0; i < n; ++i) {
      out[i] = result<P>(Block<R>::at(b, P, i), k(i));
    }
    store(a.dtype, a.out, first, out, n, streaming);
  }
  if constexpr (P == Pass::double_backward) {
    if (a.dx) {
      R* const dx = target(a.dtype, a.dx, first, buffers.dx, streaming);
      FG_NO_ALIAS
      for (int i = 0; i < n; ++i) {
        dx[i] = second_dx(Block<R>::at(b, P, i), k(i));
      }
      store(a.dtype, a.dx, first, dx, n, streaming);
    }
  }
}

// ---- channels apart in memory: neighbours are pixels

template <Pass P, class R>
FG_LOCAL void add(const Block<R>& b, R (&sums)[4][block_size], int n) {
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    const Element<R> t = Block<R>::at(b, P, i);
    sums[0][i] += t.x * t.x;
    if constexpr (P != Pass::forward) {
      sums[1][i] += t.dy * t.x;
    }
    if constexpr (P == Pass::double_backward) {
      sums[2][i] += t.ddx * t.x;
      sums[3][i] += t.ddx * t.dy;
    }
  }
}

template <Pass P, class R>
void strip(const Arguments& a, std::int64_t first, int n, bool streaming) {
  const Layout l = a.layout;
  Buffers<R> buffers;
  alignas(64) R sums[4][block_size] = {};
  for (std::int64_t c = 0; c < l.channels; ++c) {
    add<P>(given<P>(a, first + c * l.inner, buffers, n), sums, n);
  }
  // Coefficients replace the sums.
  const R channels = static_cast<R>(l.channels), eps = static_cast<R>(a.eps);
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    const Coefficients<R> k =
        coefficients<R>({sums[0][i], sums[1][i], sums[2][i], sums[3][i]}, channels, eps);
    sums[0][i] = k.r;
    sums[1][i] = k.along_dy;
    sums[2][i] = k.along_ddx;
    sums[3][i] = k.bend;
  }
  for (std::int64_t c = 0; c < l.channels; ++c) {
    const std::int64_t at = first + c * l.inner;
    write<P>(a, given<P>(a, at, buffers, n), at, buffers, n, streaming, [&](int i) {
      return Coefficients<R>{sums[0][i], sums[1][i], sums[2][i], sums[3][i]};
    });
  }
}

// ---- channels are neighbours in memory

template <Pass P, class R>
void row(const Arguments& a, std::int64_t first, bool streaming) {
  const std::int64_t channels = a.layout.channels;
  Buffers<R> buffers;
  Sums<R> sums{};
  for_each_block(channels, [&](std::int64_t c, int n) {
    const Block<R> b = given<P>(a, first + c, buffers, n);
    sums.xx += dot(b.x, b.x, n);
    if constexpr (P != Pass::forward) {
      sums.gx += dot(b.dy, b.x, n);
    }
    if constexpr (P == Pass::double_backward) {
      sums.ux += dot(b.ddx, b.x, n);
      sums.ug += dot(b.ddx, b.dy, n);
    }
  });
  const Coefficients<R> k = coefficients(sums, static_cast<R>(channels), static_cast<R>(a.eps));
  for_each_block(channels, [&](std::int64_t c, int n) {
    write<P>(a, given<P>(a, first + c, buffers, n), first + c, buffers, n, streaming, [&](int) {
      return k;
    });
  });
}

template <Pass P, class R>
void units(
    const Arguments& a, const Partition& p, bool streaming, std::int64_t begin, std::int64_t end) {
  const Layout l = a.layout;
  if (l.inner == 1) {
    for (std::int64_t n = begin * p.pixels; n < std::min(end * p.pixels, l.outer); ++n) {
      row<P, R>(a, n * l.channels, streaming);
    }
    return;
  }
  for (std::int64_t unit = begin; unit < end; ++unit) {
    const std::int64_t pixel = unit % p.strips * p.pixels;
    const int n = static_cast<int>(std::min(p.pixels, l.inner - pixel));
    strip<P, R>(a, unit / p.strips * l.channels * l.inner + pixel, n, streaming);
  }
}

template <class R>
void run(
    const Arguments& a, const Partition& p, bool streaming, std::int64_t begin, std::int64_t end) {
  with_pass(
      a.pass, [&](auto pass) { units<decltype(pass)::value, R>(a, p, streaming, begin, end); });
}

}  // namespace

extern const Run pixel_norm_run = by_dtype<run<float>, run<double>>;

}  // namespace fg::FG_CPU_LEVEL

#else  // threads

namespace fg::pixel_norm {

void run(const Arguments& a) {
  const Partition p(a.layout);
  const std::int64_t elements = a.layout.numel();
  const bool streaming = is_worth_streaming(a.dtype, elements);
  const Run units = FG_SELECT_LEVEL(pixel_norm_run);
  // A task is several small units.
  const std::int64_t grain = std::max<std::int64_t>(
      1, Partition::unit_elements / 2 / std::max<std::int64_t>(1, elements / p.units));
  torch::stable::parallel_for(0, p.units, grain, [&](std::int64_t begin, std::int64_t end) {
    units(a, p, streaming, begin, end);
  });
}

}  // namespace fg::pixel_norm

#endif
