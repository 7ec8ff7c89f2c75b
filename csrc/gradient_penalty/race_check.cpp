// Checks of every kernel of the penalties with several blocks, for races under ThreadSanitizer and
// against the definition.

#include "emulation/race_check.h"
#include "problem.h"

namespace fg::gradient_penalty {
namespace {

using namespace emulation;

double product(const Layout& l, std::int64_t n, const Floats& a, const Floats& b) {
  double total = 0;
  for (std::int64_t i = n * l.elements; i < (n + 1) * l.elements; ++i) {
    total += static_cast<double>(a[i]) * b[i];
  }
  return total;
}

void lerp_samples(const Layout& l) {
  const Floats a = pattern(l.numel(), 1), b = pattern(l.numel(), 2), real = pattern(l.numel(), 3);
  const Floats fake = pattern(l.numel(), 4), dy = pattern(l.numel(), 5),
               alpha = pattern(l.samples, 6);
  const Floats ddalpha = pattern(l.samples, 7);
  Floats ddy(l.numel()), dreal(l.numel()), dfake(l.numel()), dalpha(l.samples);
  Arguments k{};
  k.op = Op::lerp_samples;
  k.pass = Pass::double_backward;
  k.layout = l;
  k.x = a.data();
  k.y = b.data();
  k.u = real.data();
  k.w = fake.data();
  k.g = dy.data();
  k.alpha = alpha.data();
  k.ddalpha = ddalpha.data();
  k.out = ddy.data();
  k.out_x = dreal.data();
  k.out_y = dfake.data();
  k.dalpha = dalpha.data();
  run_kernels(k);
  for (std::int64_t n = 0; n < l.samples; ++n) {
    require_close(dalpha[n], product(l, n, dy, a) - product(l, n, dy, b));
    const std::int64_t i = (n + 1) * l.elements - 1;
    require_close(
        ddy[i], alpha[n] * a[i] + (1 - alpha[n]) * b[i] + ddalpha[n] * (real[i] - fake[i]));
    require_close(dreal[i], ddalpha[n] * dy[i]);
    require_close(dfake[i], -ddalpha[n] * dy[i]);
  }
}

void penalty(const Layout& l) {
  const Floats grad = pattern(l.numel(), 1), ddgrad = pattern(l.numel(), 2),
               dpenalty = pattern(l.samples, 3);
  Floats value(l.samples), norm(l.samples), ddpenalty(l.samples), dgrad(l.numel());
  Arguments k{};
  k.op = Op::grad_norm_penalty;
  k.layout = l;
  k.center = 1;
  k.g = k.x = grad.data();
  k.penalty = value.data();
  k.norm_out = norm.data();
  run_kernels(k);
  Arguments d{};
  d.op = Op::grad_norm_penalty;
  d.pass = Pass::double_backward;
  d.layout = l;
  d.center = 1;
  d.g = grad.data();
  d.x = ddgrad.data();
  d.dpenalty = dpenalty.data();
  d.norm = norm.data();
  d.ddpenalty = ddpenalty.data();
  d.out = dgrad.data();
  run_kernels(d);
  for (std::int64_t n = 0; n < l.samples; ++n) {
    const double r = std::sqrt(product(l, n, grad, grad)), along = product(l, n, grad, ddgrad),
                 keep = 1 - 1 / r;
    require_close(norm[n], r);
    require_close(value[n], (r - 1) * (r - 1));
    require_close(ddpenalty[n], 2 * keep * along);
    for (std::int64_t i = n * l.elements; i < (n + 1) * l.elements; ++i) {
      require_close(dgrad[i], 2 * dpenalty[n] * (keep * ddgrad[i] + along / (r * r * r) * grad[i]));
    }
  }
}

}  // namespace

FG_RACE_CHECK(gradient_penalty_lerp_samples) {
  lerp_samples({2, 4100});  // several segments, of vectors
  lerp_samples({40, 7});    // several samples of a warp
  lerp_samples({3, 260});   // several warps of a sample
}

FG_RACE_CHECK(gradient_penalty_norm) {
  penalty({2, 4100});
  penalty({40, 7});
  penalty({3, 130});
}

}  // namespace fg::gradient_penalty
