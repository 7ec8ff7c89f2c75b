// Checks of every kernel of minibatch_stddev with several blocks, for races under ThreadSanitizer
// and against the definition.

#include "emulation/race_check.h"
#include "problem.h"

namespace fg::minibatch_stddev {
namespace {

using namespace emulation;

void check(const Layout& l) {
  const std::int64_t n = l.group * l.groups, narrow = n * l.narrow_sample(),
                     wide = n * l.wide_sample();
  const Floats x = pattern(narrow, 1), ddx = pattern(narrow, 2), dy = pattern(wide, 3);
  Floats y(wide), first(narrow), ddy(wide), dx(narrow);
  Arguments a{};
  a.layout = l;
  a.x = x.data();
  a.wide = y.data();
  run_kernels(a);
  a.pass = Pass::backward;
  a.dy = dy.data();
  a.wide = nullptr;
  a.narrow = first.data();
  run_kernels(a);
  a.pass = Pass::double_backward;
  a.ddx = ddx.data();
  a.wide = ddy.data();
  a.narrow = dx.data();
  run_kernels(a);
  const double group = static_cast<double>(l.group);
  for (std::int64_t number = 0; number < l.groups * l.parts; ++number) {
    const std::int64_t m = number / l.parts, f = number % l.parts;
    double t = 0, s = 0, q = 0;
    for (std::int64_t k = 0; k < l.group; ++k) {
      for (std::int64_t pixel = 0; pixel < l.pixels; ++pixel) {
        t += dy[(k * l.groups + m) * l.wide_sample() + l.appended(f, pixel)];
      }
    }
    const double w = t / (group * static_cast<double>(l.positions()));
    for (std::int64_t p = 0; p < l.positions(); ++p) {
      const std::int64_t row = p / l.length(), within = f * l.length() + p % l.length();
      const auto at = [&](std::int64_t k) {
        return (k * l.groups + m) * l.narrow_sample() + row * l.narrow_row() + within;
      };
      double mean = 0, mean_ddx = 0, square = 0, b = 0;
      for (std::int64_t k = 0; k < l.group; ++k) {
        mean += x[at(k)] / group;
        mean_ddx += ddx[at(k)] / group;
      }
      for (std::int64_t k = 0; k < l.group; ++k) {
        square += (x[at(k)] - mean) * (x[at(k)] - mean);
        b += ddx[at(k)] * (x[at(k)] - mean);
      }
      const double sigma = std::sqrt(square / group + eps);
      s += sigma;
      q += b / sigma;
      for (std::int64_t k = 0; k < l.group; ++k) {
        const std::int64_t beyond =
            (k * l.groups + m) * l.wide_sample() + row * l.wide_row() + within;
        const double z = x[at(k)] - mean;
        FG_REQUIRE(y[beyond] == x[at(k)] && ddy[beyond] == ddx[at(k)]);
        require_close(first[at(k)], dy[beyond] + w * z / sigma);
        require_close(
            dx[at(k)],
            w * ((ddx[at(k)] - mean_ddx) / sigma - b * z / (group * sigma * sigma * sigma)));
      }
    }
    for (std::int64_t k = 0; k < l.group; ++k) {
      const std::int64_t last = (k * l.groups + m) * l.wide_sample() + l.appended(f, l.pixels - 1);
      require_close(y[last], s / static_cast<double>(l.positions()));
      require_close(ddy[last], q / (group * static_cast<double>(l.positions())));
    }
  }
}

}  // namespace

FG_RACE_CHECK(minibatch_stddev_contiguous) {
  check({4, 2, 2, 4, 15, false});   // several groups and parts
  check({3, 1, 1, 9, 121, false});  // several segments
}

FG_RACE_CHECK(minibatch_stddev_channels_last) {
  check({4, 2, 2, 6, 15, true});
  check({3, 1, 1, 9, 121, true});
}

}  // namespace fg::minibatch_stddev
