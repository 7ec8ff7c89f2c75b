// Checks of every kernel of grid_sample with several blocks, for races under ThreadSanitizer and
// against the definition.
#include <algorithm>

#include "emulation/race_check.h"
#include "problem.h"

namespace fg::grid_sample {
namespace {

using namespace emulation;

// Check the second derivative, which uses every kernel and every term. The expected sums look up a
// weight for each point and pixel.
void check(Layout l) {
  const std::int64_t images = l.images * l.channels * l.pixels(),
                     points = l.images * l.channels * l.points;
  const Floats a = pattern(images, 1), x = pattern(images, 2), dy = pattern(points, 3),
               b = pattern(2 * l.images * l.points, 4);
  Floats grid(2 * l.images * l.points), ddy(points), dx(images), dgrid(grid.size());
  for (std::size_t i = 0; i < grid.size(); ++i) {
    grid[i] = 0.0625f * static_cast<float>((i * 7) % 37) - 1.09f;  // no point on a pixel
  }
  Arguments k{};
  k.layout = l;
  k.p = a.data();
  k.q = x.data();
  k.v = dy.data();
  k.grid = grid.data();
  k.b = b.data();
  k.out = ddy.data();
  k.image = dx.data();
  k.dgrid = dgrid.data();
  run_kernels(k);

  const auto at = [&](std::int64_t n, std::int64_t c, std::int64_t i, std::int64_t count) {
    return l.channels_last ? (n * count + i) * l.channels + c : (n * l.channels + c) * count + i;
  };
  const double half_width = 0.5 * static_cast<double>(l.width),
               half_height = 0.5 * static_cast<double>(l.height);
  const auto weight = [](double u, std::int64_t i) {
    return std::max(0.0, 1 - std::abs(u - static_cast<double>(i)));
  };
  const auto slope = [](double u, std::int64_t i) {
    const double below = std::floor(u);
    return static_cast<double>(i) == below ? -1.0 : static_cast<double>(i) == below + 1 ? 1.0 : 0.0;
  };
  std::vector<double> wanted_dx(images);
  for (std::int64_t n = 0; n < l.images; ++n) {
    for (std::int64_t i = 0; i < l.points; ++i) {
      const std::int64_t g = 2 * (n * l.points + i);
      const double u = (grid[g] + 1.0) * half_width - 0.5,
                   v = (grid[g + 1] + 1.0) * half_height - 0.5;
      double along_x = 0, along_y = 0;
      for (std::int64_t c = 0; c < l.channels; ++c) {
        double out = 0;
        const double value = dy[at(n, c, i, l.points)];
        for (std::int64_t row = 0; row < l.height; ++row) {
          for (std::int64_t column = 0; column < l.width; ++column) {
            const std::int64_t pixel = at(n, c, row * l.width + column, l.pixels());
            const double wx = weight(u, column), wy = weight(v, row);
            const double sx = half_width * slope(u, column), sy = half_height * slope(v, row);
            const double turned = b[g] * sx * wy + b[g + 1] * sy * wx;
            out += wx * wy * a[pixel] + turned * x[pixel];
            along_x += value * (sx * wy * a[pixel] + b[g + 1] * sx * sy * x[pixel]);
            along_y += value * (wx * sy * a[pixel] + b[g] * sx * sy * x[pixel]);
            wanted_dx[pixel] += turned * value;
          }
        }
        require_close(ddy[at(n, c, i, l.points)], out);
      }
      require_close(dgrid[g], along_x);
      require_close(dgrid[g + 1], along_y);
    }
  }
  for (std::int64_t i = 0; i < images; ++i) {
    require_close(dx[i], wanted_dx[i]);
  }
}

}  // namespace

FG_RACE_CHECK(grid_sample_planes) { check({2, 2, 5, 6, 300, false}); }

FG_RACE_CHECK(grid_sample_channels_last) { check({2, 5, 3, 4, 40, true}); }

}  // namespace fg::grid_sample
