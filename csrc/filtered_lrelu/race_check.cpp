// Checks of the kernel of filtered_lrelu with several blocks, for races under ThreadSanitizer and
// against the definition.

#include "emulation/race_check.h"
#include "problem.h"

namespace fg::filtered_lrelu {
namespace {

using namespace emulation;
using I = std::int64_t;

Axis axis(I in, I up, I down, I pad, I taps_up, I taps_down) {
  const I out = (in * up + 2 * pad - taps_up + 1 - taps_down) / down + 1;
  const I upsampled = (out - 1) * down + taps_down;
  return {in, out, up, down, pad, taps_up, taps_down, 0, upsampled};
}

double tap(const Floats& f, bool separable, I y, I x, I rows, I columns) {
  return separable ? f[rows - 1 - y] * f[columns - 1 - x]
                   : f[(rows - 1 - y) * columns + columns - 1 - x];
}

struct Case {
  Axis x, y;
  I outer, inner;
  bool up_separable, down_separable;
  Floats input, bias, fu, fd;

  // Return a pixel of the upsampled image by its definition.
  double upsampled(I n, I my, I mx, I c) const {
    double sum = 0;
    for (I ky = 0; ky < y.taps_up; ++ky) {
      for (I kx = 0; kx < x.taps_up; ++kx) {
        const I py = my - y.pad + ky, px = mx - x.pad + kx;
        if (py < 0 || px < 0 || py % y.up != 0 || px % x.up != 0 || py / y.up >= y.in ||
            px / x.up >= x.in) {
          continue;
        }
        const double v = input[((n * y.in + py / y.up) * x.in + px / x.up) * inner + c] +
                         bias[inner == 1 ? n % static_cast<I>(bias.size()) : c];
        sum += tap(fu, up_separable, ky, kx, y.taps_up, x.taps_up) * v;
      }
    }
    return sum;
  }
};

// Run the op and compare its outputs, `step` apart.
void check(const Case& k, I step = 1) {
  const double gain = 0.5, slope = 0.25, clamp = 1;
  const I rows = (k.y.codes + rows_per_byte - 1) / rows_per_byte;
  Floats output(k.outer * k.y.out * k.x.out * k.inner), again(output.size());
  std::vector<std::uint8_t> codes(k.outer * rows * k.x.codes * k.inner);
  Arguments a{};
  a.outer = k.outer;
  a.inner = k.inner;
  a.channels = static_cast<I>(k.bias.size());
  a.x = k.x;
  a.y = k.y;
  a.y.codes = rows * rows_per_byte;
  a.input = k.input.data();
  a.bias = k.bias.data();
  a.output = output.data();
  a.new_codes = codes.data();
  a.up_filter = k.fu.data();
  a.down_filter = k.fd.data();
  a.up_separable = k.up_separable;
  a.down_separable = k.down_separable;
  a.gain = gain;
  a.slope = slope;
  a.clamp = clamp;
  run_kernels(a);
  for (I n = 0; n < k.outer; ++n) {
    for (I oy = 0; oy < k.y.out; ++oy) {
      for (I ox = oy % step; ox < k.x.out; ox += step) {
        for (I c = 0; c < k.inner; ++c) {
          double wanted = 0, size = 0;
          for (I ky = 0; ky < k.y.taps_down; ++ky) {
            for (I kx = 0; kx < k.x.taps_down; ++kx) {
              const I my = oy * k.y.down + ky, mx = ox * k.x.down + kx;
              const double u = gain * k.upsampled(n, my, mx, c), v = u < 0 ? slope * u : u;
              const double h = tap(k.fd, k.down_separable, ky, kx, k.y.taps_down, k.x.taps_down);
              wanted += h * (v > clamp ? clamp : v < -clamp ? -clamp : v);
              size += std::abs(h);
              const unsigned byte =
                  codes[((n * rows + my / rows_per_byte) * k.x.codes + mx) * k.inner + c];
              const unsigned code = byte >> my % rows_per_byte * 2 & 3;
              if (std::abs(u) > 1e-4 && std::abs(std::abs(v) - clamp) > 1e-4) {
                FG_REQUIRE(code == (std::abs(v) > clamp ? 2u : u < 0 ? 1u : 0u));
              }
            }
          }
          require_close(
              output[((n * k.y.out + oy) * k.x.out + ox) * k.inner + c], wanted, 10 + size);
        }
      }
    }
  }
  // The linear op with codes reads what the other one wrote.
  a.new_codes = nullptr;
  a.codes = codes.data();
  a.output = again.data();
  run_kernels(a);
}

Case made(
    const Axis& x, const Axis& y, I outer, I inner, bool up_separable = true,
    bool down_separable = true) {
  Case k{x, y, outer, inner, up_separable, down_separable, {}, {}, {}, {}};
  k.input = pattern(outer * y.in * x.in * inner, 1);
  k.bias = pattern(inner == 1 ? 2 : inner, 2);
  k.fu = pattern(up_separable ? x.taps_up : x.taps_up * y.taps_up, 3);
  k.fd = pattern(down_separable ? x.taps_down : x.taps_down * y.taps_down, 4);
  return k;
}

}  // namespace

FG_RACE_CHECK(filtered_lrelu_layers) {
  check(made(axis(20, 2, 2, 11, 12, 12), axis(20, 2, 2, 11, 12, 12), 2, 1));
  check(made(axis(6, 4, 2, 16, 24, 12), axis(7, 4, 2, 16, 24, 12), 2, 1));
  check(made(axis(9, 2, 2, 11, 12, 12), axis(9, 2, 2, 11, 12, 12), 1, 9));
}

FG_RACE_CHECK(filtered_lrelu_other_factors) {
  check(made(axis(20, 3, 2, 4, 7, 5), axis(11, 3, 2, 3, 7, 5), 2, 1));
  check(made(axis(12, 1, 3, 4, 4, 4), axis(9, 1, 3, 4, 4, 4), 1, 3));
}

// No tile holds these filters.
FG_RACE_CHECK(filtered_lrelu_long_filters) {
  check(made(axis(20, 2, 1, 90, 4, 170), axis(5, 2, 1, 85, 4, 170), 2, 1), 11);
  check(made(axis(9, 1, 2, 85, 170, 3), axis(4, 1, 2, 85, 170, 4), 1, 2, true, false), 4);
  check(made(axis(9, 3, 1, 90, 3, 170), axis(4, 3, 1, 85, 4, 170), 1, 1, false, true), 4);
}

FG_RACE_CHECK(filtered_lrelu_two_dimensional) {
  check(made(axis(9, 2, 2, 4, 4, 5), axis(9, 2, 2, 4, 3, 4), 2, 1, false, false));
  check(made(axis(9, 2, 1, 4, 4, 3), axis(9, 2, 1, 4, 4, 5), 1, 2, true, false));
}

}  // namespace fg::filtered_lrelu
