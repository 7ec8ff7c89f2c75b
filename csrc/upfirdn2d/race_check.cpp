// Checks of every kernel of upfirdn2d with several blocks, for races under ThreadSanitizer and
// against the definition.

#include "emulation/race_check.h"
#include "problem.h"

namespace fg::upfirdn2d {
namespace {

using namespace emulation;

Axis axis(
    std::int64_t in, std::int64_t up, std::int64_t down, std::int64_t pad, std::int64_t taps) {
  return {in, (in * up + 2 * pad - taps) / down + 1, up, down, pad, taps};
}

// Return an output by the definition in problem.h, applied to x and y at once.
double expected(
    const Arguments& a, std::int64_t outer, std::int64_t oy, std::int64_t ox, std::int64_t c) {
  const auto input = static_cast<const float*>(a.input);
  double sum = 0;
  for (std::int64_t ky = 0; ky < a.y.taps; ++ky) {
    for (std::int64_t kx = 0; kx < a.x.taps; ++kx) {
      const std::int64_t y = oy * a.y.down - a.y.pad + ky, x = ox * a.x.down - a.x.pad + kx;
      if (y < 0 || x < 0 || y % a.y.up != 0 || x % a.x.up != 0 || y / a.y.up >= a.y.in ||
          x / a.x.up >= a.x.in) {
        continue;
      }
      const std::int64_t fy = a.y.taps - 1 - ky, fx = a.x.taps - 1 - kx;
      const double h = a.separable ? a.filter[fy] * a.filter[fx] : a.filter[fy * a.x.taps + fx];
      sum += h * input[((outer * a.y.in + y / a.y.up) * a.x.in + x / a.x.up) * a.inner + c];
    }
  }
  return a.gain * sum;
}

// With an epilogue there are three channels, or `inner` of them.
void check(
    const Axis& x, const Axis& y, std::int64_t outer, std::int64_t inner, bool separable,
    bool has_epilogue = false) {
  std::vector<float> input(outer * y.in * x.in * inner), output(outer * y.out * x.out * inner);
  std::vector<float> filter(separable ? x.taps : x.taps * y.taps);
  for (std::size_t i = 0; i < input.size(); ++i) {
    input[i] = static_cast<float>(i % 7) - 3;
  }
  for (std::size_t i = 0; i < filter.size(); ++i) {
    filter[i] = 0.1f * static_cast<float>(i + 1);
  }
  Arguments a{};
  a.outer = outer;
  a.inner = inner;
  a.x = x;
  a.y = y;
  a.input = input.data();
  a.output = output.data();
  a.filter = filter.data();
  a.separable = separable;
  a.gain = 0.5;
  const std::int64_t channels = inner > 1 ? inner : 3, batch = outer * inner / channels,
                     pixels = y.out * x.out;
  std::vector<float> scale(batch * channels, 0.5f), noise(batch * pixels, 0.25f), b(channels, -1);
  std::vector<float> filtered(output.size());
  if (has_epilogue) {
    a.has_epilogue = true;
    a.epilogue = {a.dtype,        Act::piecewise, 0.2,          1.5,          1e9,
                  channels,       false,          scale.data(), noise.data(), b.data(),
                  filtered.data()};
  }
  run_kernels(a);
  std::size_t i = 0;
  for (std::int64_t n = 0; n < outer; ++n) {
    for (std::int64_t oy = 0; oy < y.out; ++oy) {
      for (std::int64_t ox = 0; ox < x.out; ++ox) {
        for (std::int64_t c = 0; c < inner; ++c, ++i) {
          double wanted = expected(a, n, oy, ox, c);
          if (has_epilogue) {
            require_close(filtered[i], wanted);
            const double v = 0.5 * wanted + 0.25 - 1;
            wanted = 1.5 * (v < 0 ? 0.2 * v : v);
          }
          require_close(output[i], wanted);
        }
      }
    }
  }
}

}  // namespace

FG_RACE_CHECK(upfirdn2d_tiles) {
  check(axis(20, 2, 1, 2, 4), axis(36, 2, 1, 3, 4), 2, 1, true);  // several tiles
  check(axis(150, 1, 1, 2, 4), axis(9, 1, 1, 2, 4), 3, 1, true);  // rows that are not vectors
  check(axis(24, 1, 2, 5, 12), axis(20, 1, 2, 5, 12), 3, 1, true);
}

FG_RACE_CHECK(upfirdn2d_small_images_share_a_block) {
  check(axis(4, 1, 1, 2, 4), axis(5, 1, 1, 2, 4), 30, 1, true);
}

FG_RACE_CHECK(upfirdn2d_separable) {
  check(axis(20, 3, 2, 4, 7), axis(21, 1, 2, 3, 7), 1, 1, true);
  check(axis(18, 1, 1, 2, 4), axis(20, 1, 1, 2, 4), 2, 8, true);  // vectors of channels
  check(axis(18, 2, 1, 2, 4), axis(7, 2, 1, 2, 4), 1, 35, true);  // single channels, several chunks
}

FG_RACE_CHECK(upfirdn2d_direct) {
  check(axis(20, 2, 1, 2, 5), axis(12, 1, 2, 2, 5), 5, 1, false);
  check(axis(9, 1, 1, 1, 3), axis(18, 1, 1, 1, 3), 3, 8, false);
}

FG_RACE_CHECK(upfirdn2d_with_an_epilogue) {
  check(axis(150, 1, 1, 1, 4), axis(9, 1, 1, 1, 4), 3, 1, true, true);
  check(axis(18, 1, 1, 1, 4), axis(20, 1, 1, 1, 4), 2, 8, true, true);
  check(axis(9, 1, 1, 1, 3), axis(8, 1, 1, 1, 3), 6, 1, false, true);
}

}  // namespace fg::upfirdn2d
