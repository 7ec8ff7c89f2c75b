// Check of every stage on several threads against sums in double, for the sanitizers. It doesn't
// use torch. Each buffer has its own allocation, full of NaN: reads of unwritten values show.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <thread>
#include <vector>

#include "engine.h"

using namespace fg::winograd;
using std::int64_t;

namespace {

constexpr int threads = 3;

// Call f for each of n workers on a thread of its own.
const auto parallel = [](int n, const auto& f) {
  std::vector<std::thread> workers;
  for (int i = 0; i < n; ++i) {
    workers.emplace_back([&f, i] { f(i, i + 1); });
  }
  for (std::thread& t : workers) {
    t.join();
  }
};

std::mt19937 generator(1);

std::vector<float> random(int64_t n) {
  std::vector<float> values(n);
  for (float& v : values) {
    v = std::uniform_real_distribution<float>(-1, 1)(generator);
  }
  return values;
}

std::vector<float> unwritten(int64_t n) {
  return std::vector<float>(n, std::numeric_limits<float>::quiet_NaN());
}

struct Memory {
  std::vector<float> shared, sums, zeros, scratch;

  explicit Memory(const Cut& cut)
      : shared(unwritten(cut.shared())), sums(unwritten(cut.sums())), zeros(cut.zeros(), 0.f),
        scratch(unwritten(threads * cut.scratch())) {}

  Buffers buffers() { return {shared.data(), sums.data(), zeros.data(), scratch.data()}; }
};

bool failed = false;

void compare(
    const char* what, const Shape& s, const std::vector<float>& found,
    const std::vector<double>& expected) {
  double largest = 0, error = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(expected[i]));
    const double e = std::abs(found[i] - expected[i]);
    error = e <= error ? error : e;  // NaN is kept
  }
  if (!(error <= 3e-5 * largest)) {
    std::printf(
        "%s of %lld x %lld x %lld x %lld to %lld channels is off by %g of %g\n", what,
        static_cast<long long>(s.n), static_cast<long long>(s.h), static_cast<long long>(s.w),
        static_cast<long long>(s.c), static_cast<long long>(s.k), error, largest);
    failed = true;
  }
}

// Call f(pixel of the result, pixel of the image, n, tap) for every product of a convolution.
void for_each_product(const Shape& s, int stride, auto f) {
  for (int64_t n = 0; n < s.n; ++n) {
    for (int64_t y = 0; y < s.oh; ++y) {
      for (int64_t x = 0; x < s.ow; ++x) {
        for (int64_t tap = 0; tap < 9; ++tap) {
          const int64_t iy = stride * y + tap / 3 - s.pad_y, ix = stride * x + tap % 3 - s.pad_x;
          if (iy >= 0 && iy < s.h && ix >= 0 && ix < s.w) {
            f((n * s.oh + y) * s.ow + x, (n * s.h + iy) * s.w + ix, n, tap);
          }
        }
      }
    }
  }
}

void check_convolution(const Kernels& kernels, const Shape& s, int stride = 1) {
  const auto x = random(s.n * s.h * s.w * s.c), w = random(s.k * s.c * 9),
             style = random(s.n * s.c);
  const auto scale = random(s.n * s.k), noise = random(s.n * s.oh * s.ow), bias = random(s.k);
  const int64_t pixels = s.n * s.oh * s.ow;
  const auto with = random(pixels * s.k), dy = random(pixels * s.k);
  std::vector<double> z(pixels * s.k), y(pixels * s.k), sums(s.n * s.k), dw(s.k * s.c * 9);
  for_each_product(s, stride, [&](int64_t out, int64_t in, int64_t n, int64_t tap) {
    for (int64_t k = 0; k < s.k; ++k) {
      for (int64_t c = 0; c < s.c; ++c) {
        const double pixel = double(x[in * s.c + c]) * style[n * s.c + c];
        z[out * s.k + k] += pixel * w[(k * s.c + c) * 9 + tap];
        dw[(k * s.c + c) * 9 + tap] += pixel * dy[out * s.k + k];
      }
    }
  });
  for (int64_t p = 0; p < pixels; ++p) {
    const int64_t n = p / (s.oh * s.ow);
    for (int64_t k = 0; k < s.k; ++k) {
      const double v = z[p * s.k + k] * scale[n * s.k + k] + noise[p] + bias[k];
      y[p * s.k + k] = 1.5 * (v < 0 ? 0.2 * v : v);
      sums[n * s.k + k] += z[p * s.k + k] * with[p * s.k + k];
    }
  }

  const Scheme& scheme = stride == 1 ? convolution : downsampling;
  const Cut cut(s, scheme, kernels.blocking, threads);
  std::vector<float> found = unwritten(pixels * s.k), found_sums(s.n * s.k, 0.f),
                     found_dw = unwritten(s.k * s.c * 9);
  const Epilogue epilogue{
      scale.data(), noise.data(),       bias.data(),
      true,         fg::Act::piecewise, {0.2f, 1.5f, std::numeric_limits<float>::quiet_NaN()},
      false};
  const Forward f{s,        x.data(),     style.data(), {w.data(), s.c * 9, 9, 1, false},
                  epilogue, found.data(), with.data(),  found_sums.data()};
  run(f, cut, stride == 1 ? kernels.convolution : kernels.downsampling, Memory(cut).buffers(),
      threads, parallel);
  compare("the result", s, found, y);
  compare("the sums", s, found_sums, sums);
  const GradientCut by_channels(s, scheme, threads);
  std::vector<float> zeros(by_channels.zeros(), 0.f),
      scratch = unwritten(threads * by_channels.scratch());
  run(WeightGradient{s, x.data(), style.data(), dy.data(), found_dw.data()}, by_channels,
      stride == 1 ? kernels.gradient : kernels.downsampling_gradient, zeros.data(), scratch.data(),
      threads, parallel);
  compare("the gradient of the weights", s, found_dw, dw);
}

void check_upsampling(
    const Kernels& kernels, int64_t n, int64_t h, int64_t w, int64_t c, int64_t k) {
  const Shape s{n, h, w, c, 2 * h + 1, 2 * w + 1, k, 0, 0};
  const auto x = random(n * h * w * c), weights = random(c * k * 9), style = random(n * c);
  std::vector<double> y(n * s.oh * s.ow * k);
  for (int64_t p = 0; p < n * h * w; ++p) {
    for (int64_t tap = 0; tap < 9; ++tap) {
      const int64_t to =
          (p / (h * w) * s.oh + p / w % h * 2 + tap / 3) * s.ow + p % w * 2 + tap % 3;
      for (int64_t i = 0; i < c * k; ++i) {
        y[to * k + i % k] +=
            double(x[p * c + i / k]) * style[p / (h * w) * c + i / k] * weights[i * 9 + tap];
      }
    }
  }
  const Cut cut(s, upsampling, kernels.blocking, threads);
  std::vector<float> found = unwritten(y.size());
  Forward f{};
  f.shape = s;
  f.x = x.data();
  f.style = style.data();
  f.weights = {weights.data(), 9, k * 9, 1, false};
  f.y = found.data();
  run(f, cut, kernels.upsampling, Memory(cut).buffers(), threads, parallel);
  compare("the upsampled image", s, found, y);
}

}  // namespace

int main() {
  for (const Kernels* kernels :
       {&FG_SELECT_LEVEL(winograd_kernels), &fg::baseline::winograd_kernels}) {
    check_convolution(*kernels, {2, 9, 6, 16, 9, 6, 33, 1, 1});
    check_convolution(*kernels, {1, 5, 13, 20, 7, 11, 16, 2, 0});
    check_convolution(*kernels, {3, 3, 3, 2, 1, 3, 5, 0, 1});
    // More channels than one pass of products can have.
    check_convolution(*kernels, {2, 6, 6, 300, 6, 6, 17, 1, 1});
    // Few tiles share the image, many the weights.
    check_convolution(*kernels, {1, 8, 8, 300, 8, 8, 40, 1, 1});
    check_convolution(*kernels, {2, 9, 19, 16, 4, 9, 33, 0, 0}, 2);
    check_convolution(*kernels, {1, 21, 3, 90, 10, 1, 5, 0, 0}, 2);
    check_convolution(*kernels, {2, 11, 5, 300, 5, 2, 16, 0, 0}, 2);
    check_upsampling(*kernels, 2, 4, 8, 16, 20);
    check_upsampling(*kernels, 2, 5, 12, 7, 16);
    check_upsampling(*kernels, 1, 8, 3, 300, 5);
    check_upsampling(*kernels, 3, 1, 1, 2, 3);
  }
  std::puts(failed ? "failed" : "all stages are right");
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
