// Checks of every kernel of pixel_norm with several blocks, for races under ThreadSanitizer and
// against the definition.

#include "emulation/race_check.h"
#include "problem.h"

namespace fg::pixel_norm {
namespace {

using namespace emulation;

constexpr double eps = 0.25;

void check(const Layout& l) {
  const std::int64_t size = l.outer * l.channels * l.inner;
  const Floats x = pattern(size, 1), dy = pattern(size, 2), ddx = pattern(size, 3);
  Floats y(size), ddy(size), dx(size);
  Arguments a{};
  a.layout = l;
  a.eps = eps;
  a.x = x.data();
  a.out = y.data();
  run_kernels(a);
  a.pass = Pass::double_backward;
  a.dy = dy.data();
  a.ddx = ddx.data();
  a.out = ddy.data();
  a.dx = dx.data();
  run_kernels(a);
  const std::int64_t pixels = l.outer * l.inner;
  for (std::int64_t pixel = 0; pixel < pixels; pixel += pixels > 16 ? pixels / 7 : 1) {
    const std::int64_t first = pixel / l.inner * l.channels * l.inner + pixel % l.inner;
    const auto mean = [&](const Floats& p, const Floats& q) {
      double total = 0;
      for (std::int64_t c = 0; c < l.channels; ++c) {
        total += static_cast<double>(p[first + c * l.inner]) * q[first + c * l.inner];
      }
      return total / static_cast<double>(l.channels);
    };
    const double r = 1 / std::sqrt(mean(x, x) + eps), cube = r * r * r;
    const double d = mean(dy, x), e = mean(ddx, x), a_ = mean(ddx, dy);
    for (std::int64_t c = 0; c < l.channels; ++c) {
      const std::int64_t i = first + c * l.inner;
      require_close(y[i], r * x[i]);
      require_close(ddy[i], r * ddx[i] - cube * e * x[i]);
      require_close(
          dx[i], (3 * cube * r * r * d * e - cube * a_) * x[i] - cube * (e * dy[i] + d * ddx[i]));
    }
  }
}

}  // namespace

FG_RACE_CHECK(pixel_norm_strips) {
  check({2, 11, 140});  // vectors, several strips
  check({2, 300, 5});   // fewer pixels than a warp has threads
}

FG_RACE_CHECK(pixel_norm_rows) {
  check({3, 520, 1});  // several warps of a row
  check({300, 7, 1});  // several rows of a warp
}

}  // namespace fg::pixel_norm
