// Checks of every kernel of adaptive_norm with several blocks, for races under ThreadSanitizer and
// against the definition.
#include <limits>

#include "emulation/race_check.h"
#include "problem.h"

namespace fg::adaptive_norm {
namespace {

using namespace emulation;

// A problem over the batch or over samples. Its expected results are the formulas of first
// derivatives, in double.
struct Problem {
  Layout l;
  Over over;
  Act act;
  bool maps;
  Floats x, dy, scale, shift;

  Problem(const Layout& l_, Over over_, Act act_, bool maps_)
      : l(l_), over(over_), act(act_), maps(maps_), x(pattern(l.numel(), 1)),
        dy(pattern(l.numel(), 2)), scale(pattern(maps ? l.numel() : l.batch * l.channels, 4)),
        shift(pattern(maps ? l.numel() : l.batch * l.channels, 5)) {}

  Arguments arguments(Pass pass) const {
    Arguments a{};
    a.pass = pass;
    a.act = act;
    a.alpha = 0.2;
    a.gain = 0.5;
    a.clamp = std::numeric_limits<double>::quiet_NaN();
    a.eps = 0.5;
    a.layout = l;
    a.over = over;
    a.x = x.data();
    (maps ? a.scale_map : a.scale) = scale.data();
    (maps ? a.shift_map : a.shift) = shift.data();
    if (maps && pass == Pass::forward) {
      a.residual = dy.data();
    }
    return a;
  }

  // Return the index of element i's scale.
  std::int64_t place(std::int64_t i) const { return maps ? i : number(i); }

  // Return the index of element i's image and channel.
  std::int64_t number(std::int64_t i) const {
    const std::int64_t image = l.channels * l.pixels, n = i / image, in_image = i % image;
    return n * l.channels + (l.channels_last ? in_image % l.channels : in_image / l.pixels);
  }
  std::int64_t group(std::int64_t number) const {
    return over == Over::batch ? number % l.channels : number;
  }
  std::int64_t groups() const { return over == Over::batch ? l.channels : l.batch * l.channels; }
};

struct Expected {
  Doubles mean, var, y, dx, dscale, dshift;

  explicit Expected(const Problem& p)
      : mean(p.groups()), var(p.groups()), y(p.x.size()), dx(p.x.size()), dscale(p.scale.size()),
        dshift(p.scale.size()) {
    const std::int64_t size = p.l.numel();
    const double count = static_cast<double>(size) / static_cast<double>(p.groups());
    const auto each = [&](auto f) {
      for (std::int64_t i = 0; i < size; ++i) {
        f(i, p.place(i), p.group(p.number(i)));
      }
    };
    each([&](auto i, auto, auto g) { mean[g] += p.x[i] / count; });
    each([&](auto i, auto, auto g) { var[g] += (p.x[i] - mean[g]) * (p.x[i] - mean[g]) / count; });
    const Arguments a = p.arguments(Pass::forward);
    const Scalars<double> s{a.alpha, a.gain, a.clamp};
    Doubles slope(size), first(p.groups()), second(p.groups());
    each([&](auto i, auto k, auto g) {
      const double unit = (p.x[i] - mean[g]) / std::sqrt(var[g] + a.eps),
                   v = unit * (1 + p.scale[k]) + p.shift[k];
      with_act(p.act, [&](auto act) {
        y[i] = fg::forward<decltype(act)::value>(v, s) + (p.maps ? p.dy[i] : 0);
        slope[i] = slope_from_input<decltype(act)::value>(v, s);
      });
      const double d = p.dy[i] * slope[i];
      dscale[k] += d * unit;
      dshift[k] += d;
      first[g] += d * (1 + p.scale[k]) / count;
      second[g] += d * (1 + p.scale[k]) * unit / count;
    });
    each([&](auto i, auto k, auto g) {
      const double r = 1 / std::sqrt(var[g] + a.eps), unit = (p.x[i] - mean[g]) * r;
      dx[i] = r * (p.dy[i] * slope[i] * (1 + p.scale[k]) - first[g] - unit * second[g]);
    });
  }
};

void check(const Layout& layout, Over over, Act act, bool maps = false) {
  const Problem p(layout, over, act, maps);
  const Expected expected(p);
  Floats mean(p.groups()), var(p.groups()), y(p.x.size()), dx(p.x.size()), dscale(p.scale.size()),
      dshift(p.scale.size());
  Arguments a = p.arguments(Pass::forward);
  a.out = y.data();
  a.mean_out = mean.data();
  a.var_out = var.data();
  run_kernels(a);
  require_close(mean, expected.mean);
  require_close(var, expected.var);
  require_close(y, expected.y);

  a = p.arguments(Pass::backward);
  a.mean = mean.data();
  a.var = var.data();
  a.dy = p.dy.data();
  a.out = dx.data();
  (maps ? a.dscale_map : a.dscale) = dscale.data();
  (maps ? a.dshift_map : a.dshift) = dshift.data();
  run_kernels(a);
  require_close(dx, expected.dx);
  require_close(dscale, expected.dscale);
  require_close(dshift, expected.dshift);

  if (maps) {
    return;
  }
  // dx is linear in dy, and ddx to ddy is the transposed map: <dy, ddy> = <dx, ddx>.
  Floats ddy(p.x.size()), ddx_result(p.x.size());
  a.pass = Pass::double_backward;
  a.ddx = p.dy.data();
  a.out = ddy.data();
  a.out_x = ddx_result.data();
  run_kernels(a);
  double inner = 0, wanted = 0;
  for (std::size_t i = 0; i < ddy.size(); ++i) {
    inner += static_cast<double>(p.dy[i]) * ddy[i];
    wanted += static_cast<double>(dx[i]) * p.dy[i];
    FG_REQUIRE(std::isfinite(ddx_result[i]));
  }
  FG_REQUIRE(std::abs(inner - wanted) <= 1e-3 * (10 + std::abs(wanted)));
}

}  // namespace

FG_RACE_CHECK(adaptive_norm_contiguous) {
  check({2, 5, 136, false}, Over::batch, Act::piecewise);
  check({2, 20, 67, false}, Over::sample, Act::swish);  // rows that are not vectors
  check({2, 5, 136, false}, Over::sample, Act::swish, true);
}

FG_RACE_CHECK(adaptive_norm_channels_last) {
  check({2, 40, 70, true}, Over::sample, Act::piecewise);
  check({2, 131, 5, true}, Over::batch, Act::swish);
  check({2, 40, 70, true}, Over::batch, Act::piecewise, true);
}

}  // namespace fg::adaptive_norm
