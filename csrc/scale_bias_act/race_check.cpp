// Checks of every kernel of scale_bias_act with several blocks, for races under ThreadSanitizer and
// against the definition.
#include <limits>

#include "emulation/race_check.h"
#include "problem.h"

namespace fg::scale_bias_act {
namespace {

using namespace emulation;

// All inputs of a problem.
struct Problem {
  Layout l;
  Act act;
  bool shared;
  Floats x, dy, ddx, scale, ddscale, noise, ddnoise, b, ddb;

  Problem(const Layout& l_, Act act_, bool shared_)
      : l(l_), act(act_), shared(shared_), x(pattern(l.numel(), 1)), dy(pattern(l.numel(), 2)),
        ddx(pattern(l.numel(), 3)), scale(pattern(l.batch * l.channels, 4)),
        ddscale(pattern(l.batch * l.channels, 5)),
        noise(pattern((shared ? 1 : l.batch) * l.pixels, 6)),
        ddnoise(pattern((shared ? 1 : l.batch) * l.pixels, 7)), b(pattern(l.channels, 8)),
        ddb(pattern(l.channels, 9)) {}

  Arguments arguments(Pass pass) const {
    Arguments a{};
    a.pass = pass;
    a.act = act;
    a.alpha = 0.2;
    a.gain = 0.5;
    a.clamp = act == Act::piecewise ? 0.7 : std::numeric_limits<double>::quiet_NaN();
    a.layout = l;
    a.shared_noise = shared;
    a.x = x.data();
    a.scale = scale.data();
    a.noise = noise.data();
    a.b = b.data();
    return a;
  }
};

struct Results {
  Floats out, out_x, dscale, dnoise, db;

  void run(const Problem& p, Arguments a) {
    out.resize(p.x.size());
    a.out = out.data();
    if (a.pass == Pass::double_backward) {
      out_x.resize(p.x.size());
      a.out_x = out_x.data();
    }
    if (a.pass != Pass::forward) {
      dscale.resize(p.scale.size());
      dnoise.resize(p.noise.size());
      db.resize(p.b.size());
      a.dscale = dscale.data();
      a.dnoise = dnoise.data();
      a.db = db.data();
    }
    run_kernels(a);
  }
};

// Expected results by problem.h, element by element in double.
struct Expected {
  std::vector<double> out, out_x, dscale, dnoise, db;

  explicit Expected(const Problem& p, Pass pass)
      : out(p.x.size()), out_x(p.x.size()), dscale(p.scale.size()), dnoise(p.noise.size()),
        db(p.b.size()) {
    const Arguments a = p.arguments(pass);
    const Scalars<double> s{a.alpha, a.gain, a.clamp};
    for (std::int64_t i = 0; i < p.l.numel(); ++i) {
      const std::int64_t image = p.l.channels * p.l.pixels, n = i / image, in_image = i % image;
      const std::int64_t c = p.l.channels_last ? in_image % p.l.channels : in_image / p.l.pixels;
      const std::int64_t pixel =
          p.l.channels_last ? in_image / p.l.channels : in_image % p.l.pixels;
      const std::int64_t nc = n * p.l.channels + c, np = (p.shared ? 0 : n * p.l.pixels) + pixel;
      const double x = p.x[i], ddx = p.ddx[i], scale = p.scale[nc], ddscale = p.ddscale[nc];
      const double v = scale * x + p.noise[np] + p.b[c];
      const double h = scale * ddx + ddscale * x + p.ddnoise[np] + p.ddb[c];
      double y = 0, s1 = 0, s2 = 0;
      with_act(p.act, [&](auto act) {
        constexpr Act A = decltype(act)::value;
        y = fg::forward<A>(v, s);
        s1 = slope_from_input<A>(v, s);
        s2 = curvature_from_input<A>(v, s);
      });
      const double g = p.dy[i] * s1, q = p.dy[i] * s2 * h;
      const bool first = pass == Pass::backward;
      out[i] = pass == Pass::forward ? y : first ? g * scale : s1 * h;
      out_x[i] = q * scale + g * ddscale;
      dscale[nc] += first ? g * x : q * x + g * ddx;
      dnoise[np] += first ? g : q;
      db[c] += first ? g : q;
    }
  }
};

void check(const Layout& layout, Act act, bool shared_noise) {
  const Problem p(layout, act, shared_noise);
  for (const Pass pass : {Pass::forward, Pass::backward, Pass::double_backward}) {
    Arguments a = p.arguments(pass);
    a.dy = pass == Pass::forward ? nullptr : p.dy.data();
    if (pass == Pass::double_backward) {
      a.ddx = p.ddx.data();
      a.ddscale = p.ddscale.data();
      a.ddnoise = p.ddnoise.data();
      a.ddb = p.ddb.data();
    }
    Results results;
    results.run(p, a);
    const Expected expected(p, pass);
    require_close(results.out, expected.out);
    if (pass == Pass::double_backward) {
      require_close(results.out_x, expected.out_x);
    }
    if (pass != Pass::forward) {
      require_close(results.dscale, expected.dscale);
      require_close(results.dnoise, expected.dnoise);
      require_close(results.db, expected.db);
    }
  }
}

}  // namespace

FG_RACE_CHECK(scale_bias_act_contiguous) {
  check({1, 21, 136, false}, Act::piecewise, false);  // two tiles by two chunks
  check({2, 5, 131, false}, Act::swish, true);        // rows that are not vectors
  check({3, 40, 4, false}, Act::tanh, false);         // several rows of a warp
}

FG_RACE_CHECK(scale_bias_act_channels_last) {
  check({1, 136, 21, true}, Act::piecewise, false);
  check({2, 131, 5, true}, Act::swish, true);
  check({2, 3, 70, true}, Act::softplus, true);  // one thread per row
}

}  // namespace fg::scale_bias_act
