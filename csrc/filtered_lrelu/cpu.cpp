#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

#include "../common/integers.h"
#include "../upfirdn2d/taps.h"
#include "cpu_kernel.h"

namespace fg::filtered_lrelu {
namespace {

using upfirdn2d::Taps;

// Elements of an upsampled row of a tile.
constexpr std::int64_t row_elements = 4096;
// Images are cut into strips until there are so many tiles, but not into fewer rows.
constexpr std::int64_t enough_tiles = 64, least_rows = 32;
// Upsampled pixels of a task.
constexpr std::int64_t task_pixels = 16384;
// Rows of arrays start at cache lines.
constexpr std::int64_t line_elements = 16;

std::int64_t rounded_up(std::int64_t n, std::int64_t to) { return divide_up(n, to) * to; }

// A filter: one row and one column of taps if it is separable, else all of its rows.
struct Filter {
  std::int64_t columns;
  bool separable;
  std::vector<double> x, y;

  Filter(
      const float* given, std::int64_t rows, std::int64_t columns, bool separable, bool flip,
      double gain, double tolerance)
      : columns(columns), separable(separable) {
    static constexpr float one = 1;
    const float* const f = given ? given : &one;
    Taps row(f, separable ? columns : rows * columns, flip, gain), column(f, rows, flip, 1);
    if (!separable) {
      const Taps all = row;
      this->separable = upfirdn2d::separates(all, rows, columns, tolerance, column, row);
      if (!this->separable) {
        row = all;
        std::fill(column.values.begin(), column.values.end(), 1.0);
      }
    }
    x = row.values;
    y = column.values;
  }

  std::int64_t rows() const {
    return separable ? 1 : static_cast<std::int64_t>(x.size()) / columns;
  }
};

// Phases with weights of their own.
template <class R>
class Bank {
 public:
  // Add the phases 0 .. count - 1 of an axis for each row of taps.
  Bank(const upfirdn2d::Axis& axis, const std::vector<double>& taps, std::int64_t count) {
    const std::int64_t rows = static_cast<std::int64_t>(taps.size()) / axis.taps;
    weights_.reserve(rows * count * divide_up(axis.taps, axis.up));
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t r = 0; r < count; ++r) {
        const upfirdn2d::Phase p = upfirdn2d::phase(axis, r);
        phases_.push_back({p.first, p.count, weights_.data() + weights_.size()});
        for (std::int64_t j = 0; j < p.count; ++j) {
          weights_.push_back(static_cast<R>(taps[row * axis.taps + p.tap + j * axis.up]));
        }
      }
    }
  }

  const Phase<R>* phases() const { return phases_.data(); }

  std::int64_t longest() const {
    std::int64_t most = 0;
    for (const Phase<R>& p : phases_) {
      most = std::max(most, p.count);
    }
    return most;
  }

  // The least first input of all phases, and one more than the greatest input.
  std::pair<std::int64_t, std::int64_t> extent() const {
    std::int64_t low = 0, high = 1;
    bool any = false;
    for (const Phase<R>& p : phases_) {
      if (p.count > 0) {
        low = any ? std::min(low, p.first) : p.first;
        high = any ? std::max(high, p.first + p.count) : p.first + p.count;
        any = true;
      }
    }
    return {low, high};
  }

 private:
  std::vector<R> weights_;
  std::vector<Phase<R>> phases_;
};

template <class R>
std::vector<R> converted(const std::vector<double>& values) {
  return {values.begin(), values.end()};
}

template <class R>
Cut cut_up(const Arguments& a, const Plan<R>& p, std::int64_t reach, std::int64_t input_rows) {
  Cut c{};
  c.lanes = std::min<std::int64_t>(a.inner, line_elements);
  c.slices = divide_up(a.inner, c.lanes);
  const std::int64_t most = row_elements / (a.x.down * c.lanes) / p.period_out * p.period_out;
  c.width = std::clamp(most, p.period_out, rounded_up(a.x.out, p.period_out));
  c.across = divide_up(a.x.out, c.width);
  const std::int64_t tiles = a.outer * c.slices * c.across;
  const std::int64_t rows = divide_up(a.y.out, divide_up(enough_tiles, tiles));
  c.height = rounded_up(std::max(rows, least_rows), rows_per_byte);
  c.strips = divide_up(a.y.out, c.height);
  const std::int64_t columns = (p.period_out - 1) * a.x.down + std::max(a.x.taps_down, a.x.down);
  const std::int64_t periods = c.width / p.period_out - 1 + divide_up(columns, p.planes);
  c.length = (periods - 1) * p.advance + reach;
  c.plane = rounded_up(periods * c.lanes, line_elements);
  c.result = rounded_up(c.width / p.period_out * c.lanes, line_elements);
  // A whole plane is computed from an array, at any of its offsets.
  c.staged = rounded_up(c.plane + (reach - 1) / p.advance * c.lanes, line_elements);
  c.input_rows = input_rows;
  c.rows = std::max(a.y.taps_down, a.y.down);
  return c;
}

// Buffers of a thread, each from a cache line on.
template <class R>
class Buffers {
 public:
  Buffers(const Arguments& a, const Plan<R>& p, std::int64_t terms)
      : weights_(terms), sources_(terms) {
    const Cut& c = p.cut;
    const std::int64_t staged = c.staged * p.advance, row = c.plane * p.planes;
    const std::int64_t line = rounded_up(std::max(c.length, c.width) * c.lanes, line_elements);
    // Sums of the result may read past the last plane.
    const std::int64_t result = c.result * p.period_out;
    const std::int64_t behind = c.result + (a.x.taps_down + a.x.down) * c.lanes;
    memory_.resize(
        2 * line_elements + line + result + (c.input_rows + 1) * staged + (c.rows + 1) * row +
        behind);
    codes_.resize(a.codes || a.new_codes ? row : 0);
    bytes_.resize(codes_.size());
    const std::size_t misaligned = reinterpret_cast<std::uintptr_t>(memory_.data()) / sizeof(R);
    R* next = memory_.data() + (line_elements - misaligned % line_elements) % line_elements;
    const auto take = [&](std::int64_t n) { return std::exchange(next, next + n); };
    workspace.bias = take(line_elements);
    workspace.line = take(line);
    workspace.result = take(result);
    workspace.input = take(c.input_rows * staged);
    workspace.tall = take(staged);
    workspace.ring = take(c.rows * row);
    workspace.flat = take(row);
    columns_.resize(p.input_columns + p.plane_columns);
    workspace.input_at = columns_.data();
    workspace.plane_at = columns_.data() + p.input_columns;
    workspace.codes = codes_.data();
    workspace.bytes = bytes_.data();
    workspace.sources = sources_.data();
    workspace.weights = weights_.data();
  }

  Workspace<R> workspace{};

 private:
  std::vector<R> memory_, weights_;
  std::vector<std::int64_t> columns_;
  std::vector<std::uint32_t> codes_;
  std::vector<std::uint8_t> bytes_;
  std::vector<const R*> sources_;
};

template <class R>
void run_in(const Arguments& a, RunTiles<R> tiles) {
  const double tolerance = sizeof(R) == 8 ? 0x1p-52 : 0x1p-24;
  const Filter fu(a.up_filter, a.y.taps_up, a.x.taps_up, a.up_separable, a.flip, a.gain, tolerance);
  const Filter fd(
      a.down_filter, a.y.taps_down, a.x.taps_down, a.down_separable, a.flip, 1, tolerance);
  Plan<R> p{};
  p.planes = std::lcm(a.x.up, a.x.down);
  p.advance = p.planes / a.x.up;
  p.period_out = p.planes / a.x.down;
  const Bank<R> across(upsampling(a.x), fu.x, p.planes), along(upsampling(a.y), fu.y, a.y.up);
  std::vector<std::int64_t> first_taps;
  for (std::int64_t r = 0; r < a.y.up; ++r) {
    first_taps.push_back(upfirdn2d::phase(upsampling(a.y), r).tap);
  }
  const std::vector<R> down_x = converted<R>(fd.x), down_y = converted<R>(fd.y);
  const auto [low, high] = across.extent();
  p.lowest = low;
  p.up_x = across.phases();
  p.up_y = along.phases();
  p.up_row = first_taps.data();
  p.down_x = down_x.data();
  p.down_y = down_y.data();
  p.input_columns = high - low + 1;
  p.plane_columns = (p.period_out - 1) * a.x.down + a.x.taps_down;
  p.up_separable = fu.separable;
  p.down_separable = fd.separable;
  p.slope = static_cast<R>(a.slope);
  p.clamp = static_cast<R>(a.clamp);
  p.cut = cut_up(a, p, high - low, std::max<std::int64_t>(1, along.longest()));
  const std::int64_t terms_up = across.longest() * (fu.separable ? 1 : along.longest());
  const std::int64_t terms_down = a.x.taps_down * (fd.separable ? 1 : a.y.taps_down);
  const std::int64_t terms = std::max({terms_up + 1, terms_down, along.longest(), a.y.taps_down});
  const Cut& c = p.cut;
  const std::int64_t pixels = c.height * a.y.down * c.plane * p.planes;
  torch::stable::parallel_for(
      0, a.outer * c.slices * c.across * c.strips, std::max<std::int64_t>(1, task_pixels / pixels),
      [&](std::int64_t begin, std::int64_t end) {
        const Buffers<R> buffers(a, p, terms);
        tiles(a, p, buffers.workspace, begin, end);
      });
}

}  // namespace

void run(const Arguments& a) {
  if (a.dtype == DType::f64) {
    run_in<double>(a, FG_SELECT_LEVEL(filtered_lrelu_kernels).twice);
  } else {
    run_in<float>(a, FG_SELECT_LEVEL(filtered_lrelu_kernels).single);
  }
}

}  // namespace fg::filtered_lrelu
