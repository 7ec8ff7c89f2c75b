// Check of the kernels on several threads against sums in double, for the sanitizers. It is free of
// torch. Each buffer has its own allocation. The sanitizers see vectors, but neither masked ones
// nor tiles: the sums check those. Exit status 77 says that there is no AMX here.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "../common/cpu_level.h"
#include "problem.h"

using namespace fg::amx;
using std::int64_t;

namespace {

constexpr int64_t threads = 3;

// Call f for units [0, n) on several threads.
void parallel(int64_t n, const auto& f) {
  std::vector<std::thread> workers;
  for (int64_t i = 0; i < threads; ++i) {
    workers.emplace_back([&f, n, i] { f(n * i / threads, n * (i + 1) / threads); });
  }
  for (std::thread& t : workers) {
    t.join();
  }
}

float number(Bits b) {
  const std::uint32_t wide = std::uint32_t{b} << 16;
  float f;
  std::memcpy(&f, &wide, sizeof f);
  return f;
}

// Return eighths, which bfloat16 has.
std::vector<Bits> random(int64_t n) {
  static std::mt19937 generator(1);
  std::vector<Bits> values(n);
  for (Bits& v : values) {
    const float f = static_cast<float>(std::uniform_int_distribution<int>(-8, 8)(generator)) / 8;
    std::uint32_t wide;
    std::memcpy(&wide, &f, sizeof f);
    v = static_cast<Bits>(wide >> 16);
  }
  return values;
}

// Memory of tiles, full of NaN.
struct Tiles {
  std::unique_ptr<Bits, decltype(&std::free)> data;

  explicit Tiles(int64_t n)
      : data(static_cast<Bits*>(std::aligned_alloc(64, (n * 2 + 63) / 64 * 64)), std::free) {
    std::memset(data.get(), 0xff, n * 2);
  }
};

bool failed = false;

void compare(
    const char* what, const Geometry& g, const std::vector<Bits>& found,
    const std::vector<double>& expected) {
  double largest = 0, error = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(expected[i]));
    const double e = std::abs(number(found[i]) - expected[i]);
    error = e <= error ? error : e;  // NaN is kept
  }
  if (!(error <= largest / 256)) {
    std::printf(
        "%s of %lld to %lld channels in %lld groups is off by %g of %g\n", what,
        static_cast<long long>(g.c), static_cast<long long>(g.k), static_cast<long long>(g.groups),
        error, largest);
    failed = true;
  }
}

// Call f(element of x, of w, of y) for each product.
void for_each_product(const Geometry& g, auto f) {
  for (int64_t n = 0; n < g.n; ++n) {
    for (int64_t i = 0; i < g.oh * g.ow * g.kh * g.kw; ++i) {
      const int64_t tx = i % g.kw, ty = i / g.kw % g.kh, x = i / g.kw / g.kh % g.ow,
                    y = i / g.kw / g.kh / g.ow;
      const int64_t in_y = y * g.stride_y + ty - g.pad_y, in_x = x * g.stride_x + tx - g.pad_x;
      if (in_y < 0 || in_y >= g.h || in_x < 0 || in_x >= g.w) {
        continue;
      }
      for (int64_t k = 0; k < g.groups * g.k; ++k) {
        for (int64_t c = 0; c < g.c; ++c) {
          f(((n * g.h + in_y) * g.w + in_x) * g.c * g.groups + k / g.k * g.c + c,
            ((k * g.c + c) * g.kh + ty) * g.kw + tx,
            ((n * g.oh + y) * g.ow + x) * g.k * g.groups + k);
        }
      }
    }
  }
}

void check_convolution(const Geometry& g) {
  const auto x = random(g.n * g.h * g.w * g.c * g.groups),
             w = random(g.groups * g.k * g.c * g.kh * g.kw);
  const int64_t taps = g.kh * g.kw, each = packed_weights(g.k, taps * g.c);
  const Tiles packed(g.groups * each);
  std::fill_n(packed.data.get(), g.groups * each, Bits{0});
  std::vector<Place> places;
  std::vector<std::int32_t> at_y, at_x;
  for (int64_t t = 0; t < taps; ++t) {
    places.push_back(
        {packed.data.get(), each, (taps * g.c + tile_depth - 1) / tile_depth, t * g.c});
  }
  for (int64_t t = 0; t < g.kh; ++t) {
    at_y.push_back(static_cast<std::int32_t>(t - g.pad_y));
    at_x.push_back(static_cast<std::int32_t>(t - g.pad_x));
  }
  const Weights weights{w.data(), g.c * taps, taps};
  parallel(g.groups, [&](int64_t first, int64_t last) {
    pack_weights(g, weights, false, places.data(), first, last);
  });
  std::vector<Bits> y(g.n * g.oh * g.ow * g.k * g.groups, Bits{0xffff});
  Walk walk{};
  walk.n = g.n;
  walk.groups = g.groups;
  walk.in = x.data();
  walk.in_h = g.h;
  walk.in_w = g.w;
  walk.in_c = g.c;
  walk.out = y.data();
  walk.out_h = walk.rows = g.oh;
  walk.out_w = walk.columns = g.ow;
  walk.out_c = g.k;
  walk.every_y = walk.every_x = 1;
  walk.step_y = g.stride_y;
  walk.step_x = g.stride_x;
  walk.at_y = at_y.data();
  walk.at_x = at_x.data();
  walk.taps_y = g.kh;
  walk.taps_x = g.kw;
  walk.weights = packed.data.get();
  walk.depth = taps * g.c;
  walk.pixels = g.n * g.oh * g.ow;
  parallel((walk.pixels + block_pixels - 1) / block_pixels, [&](int64_t first, int64_t last) {
    run_walk(walk, first, last);
  });
  std::vector<double> expected(y.size());
  for_each_product(g, [&](int64_t in, int64_t at, int64_t out) {
    expected[out] += double{number(x[in])} * number(w[at]);
  });
  compare("a convolution", g, y, expected);
}

// The grid has `side` rows and columns per image, and the image lies `before` behind its start.
void check_weight_gradient(
    const Geometry& g, int64_t side, int64_t before, const std::vector<Phase>& phases,
    const std::vector<Reached>& taps) {
  const auto x = random(g.n * g.h * g.w * g.c * g.groups),
             dy = random(g.n * g.oh * g.ow * g.k * g.groups);
  std::vector<Bits> dw(g.groups * g.k * g.c * g.kh * g.kw, Bits{0xffff});
  WeightGradient a{};
  a.shape = g;
  a.x = x.data();
  a.dy = dy.data();
  a.dw = dw.data();
  a.grid_h = a.grid_w = side;
  a.top = a.left = before;
  a.phases = phases.data();
  a.phase_count = static_cast<int64_t>(phases.size());
  a.taps = taps.data();
  a.reach = 0;
  for (const Reached& tap : taps) {
    a.reach = std::max(a.reach, tap.places);
  }
  const Tiles columns(packed_columns(a));
  a.columns = columns.data.get();
  parallel(column_tiles(a), [&](int64_t first, int64_t last) { pack_columns(a, first, last); });
  parallel(
      weight_units(g), [&](int64_t first, int64_t last) { run_weight_gradient(a, first, last); });
  std::vector<double> expected(dw.size());
  for_each_product(g, [&](int64_t in, int64_t at, int64_t out) {
    expected[at] += double{number(x[in])} * number(dy[out]);
  });
  compare("a gradient of weights", g, dw, expected);
}

// Three taps of an image padded by one, and of an odd one with a stride of 2.
void check(int64_t c, int64_t k, int64_t groups) {
  const Geometry same{2, 19, 19, c, 19, 19, k, 3, 3, 1, 1, 1, 1, 1, 1, groups},
      strided{2, 17, 17, c, 8, 8, k, 3, 3, 2, 2, 0, 0, 1, 1, groups};
  check_convolution(same);
  check_convolution(strided);
  std::vector<Reached> near, far;
  for (int64_t t = 0; t < 9; ++t) {
    const int64_t y = t / 3, x = t % 3;
    near.push_back({0, y * 20 + x});
    far.push_back({y % 2 * 2 + x % 2, y / 2 * 9 + x / 2});
  }
  check_weight_gradient(same, 20, 1, {{0, 0}}, near);
  check_weight_gradient(strided, 9, 0, {{0, 0}, {0, 1}, {1, 0}, {1, 1}}, far);
}

}  // namespace

int main() {
  if (!fg::cpu_has_amx()) {
    std::printf("no AMX here\n");
    return 77;
  }
  check(32, 32, 1);
  check(5, 33, 1);
  check(16, 16, 3);
  if (!failed) {
    std::printf("all kernels are right\n");
  }
  return failed;
}
