#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "cpu_kernel.h"
#include "taps.h"

namespace fg::upfirdn2d {
namespace {

// Elements of a block, whose buffers stay in L1; of a row of a block, which may take L2; of a task.
constexpr std::int64_t block_elements = 2048, row_elements = 16384, task_elements = 32768;

// Vectors that start with a cache line are read as fast again as those that cross one.
struct alignas(64) Line {
  std::byte bytes[64];
};

template <class R>
std::int64_t lines(std::int64_t elements) {
  return (elements * sizeof(R) + sizeof(Line) - 1) / sizeof(Line);
}

template <class R>
struct OwnedBank {
  std::vector<std::int64_t> begin{0};
  std::vector<Term<R>> terms;
  Bank<R> bank;

  OwnedBank(const Axis& axis, const std::vector<double>& taps) {
    for (std::int64_t r = 0; r < period(axis); ++r) {
      const Phase p = phase(axis, r);
      for (std::int64_t j = 0; j < p.count; ++j) {
        const std::int64_t tap = p.tap + j * axis.up;
        terms.push_back({p.first + j, static_cast<R>(taps[tap]), tap});
      }
      begin.push_back(static_cast<std::int64_t>(terms.size()));
    }
    const auto less = [](const Term<R>& a, const Term<R>& b) { return a.at < b.at; };
    const auto [low, high] = std::minmax_element(terms.begin(), terms.end(), less);
    const std::int64_t lowest = terms.empty() ? 0 : low->at,
                       reach = terms.empty() ? 1 : high->at - lowest + 1;
    bank = {period(axis), advance(axis), lowest, reach, begin.data(), terms.data()};
  }

  std::int64_t longest() const {
    std::int64_t most = 0;
    for (std::size_t r = 0; r + 1 < begin.size(); ++r) {
      most = std::max(most, begin[r + 1] - begin[r]);
    }
    return most;
  }
};

// Test if images are so small that a block of one would be short loops.
bool is_grouped(const Arguments& a) {
  return a.inner == 1 && a.outer >= group / 2 &&
         std::max(a.y.in * a.x.in, a.y.out * a.x.out) <= group_pixels;
}

// Grouped images lie side by side, as channels.
template <class R>
Cut cut_up(Arguments a, bool grouped, const Bank<R>& x, const Bank<R>& y) {
  a.inner = grouped ? group : a.inner;
  const std::int64_t periods_x = (a.x.out + x.period - 1) / x.period,
                     periods_y = (a.y.out + y.period - 1) / y.period;
  const std::int64_t pixels = std::max(x.period, x.advance),
                     rows = std::max(y.period, a.separable ? 1 : y.advance);
  Cut c{};
  c.width = std::clamp<std::int64_t>(row_elements / (pixels * a.inner), 1, periods_x);
  c.height =
      std::clamp<std::int64_t>(block_elements / (c.width * pixels * a.inner * rows), 1, periods_y);
  c.across = (periods_x + c.width - 1) / c.width;
  c.down = (periods_y + c.height - 1) / c.height;
  const std::int64_t length = (c.width - 1) * x.advance + x.reach,
                     met = (c.height - 1) * y.advance + y.reach;
  const std::int64_t out_rows = c.height * y.period;
  c.split = (length + x.advance - 1) / x.advance;
  c.staged_row = c.split * x.advance * a.inner;
  c.staged = c.staged_row * (a.separable ? out_rows : met);
  c.result = c.width * x.period * a.inner * out_rows;
  c.planar = std::max(c.staged, c.result);
  c.widened = a.dtype == DType::f16 || a.dtype == DType::bf16
                  ? std::min(length, a.x.in) * a.inner * met
                  : 0;
  if (grouped) {
    const std::int64_t in = a.y.in * a.x.in, out = a.y.out * a.x.out;
    c.planar = group * std::max(in, out);
    c.result = group * out;
    c.widened = group * in;
  }
  return c;
}

template <class R>
void run_in(Arguments a, RunBlocks<R> blocks) {
  static constexpr float one = 1;
  const float* const f = a.filter ? a.filter : &one;
  const std::int64_t rows = a.y.taps, columns = a.x.taps;
  Taps x(f, a.separable ? columns : rows * columns, a.flip, a.gain), y(f, rows, a.flip, 1);
  const Taps all = x;
  if (!a.separable) {
    // The tolerance is the precision of the sums.
    a.separable = separates(all, rows, columns, sizeof(R) == 8 ? 0x1p-52 : 0x1p-24, y, x);
  }
  const OwnedBank<R> down(a.y, y.values);
  std::vector<OwnedBank<R>> owned;
  for (std::int64_t row = 0; row < (a.separable ? 1 : rows); ++row) {
    const auto begin = all.values.begin() + row * columns;
    owned.emplace_back(a.x, a.separable ? x.values : std::vector<double>(begin, begin + columns));
  }
  std::vector<Bank<R>> across;
  for (const OwnedBank<R>& bank : owned) {
    across.push_back(bank.bank);
  }
  const bool grouped = is_grouped(a);
  const Plan<R> plan{
      down.bank, across.data(), cut_up(a, grouped, across[0], down.bank), grouped ? group : 1};
  const Cut& c = plan.cut;
  const std::int64_t terms = a.separable ? std::max(down.longest(), 2 * owned[0].longest())
                                         : down.longest() * owned[0].longest();
  const bool streaming = is_worth_streaming(a.dtype, a.outer * a.y.out * a.x.out * a.inner);
  const std::int64_t grain = std::max<std::int64_t>(1, task_elements / c.result);
  const std::int64_t tasks = grouped ? (a.outer + group - 1) / group : a.outer * c.across * c.down;
  torch::stable::parallel_for(0, tasks, grain, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t parameters = a.has_epilogue ? 2 * a.inner : 0;
    std::vector<Line> buffers(
        lines<R>(c.staged) + lines<R>(c.planar) + lines<R>(c.result) + lines<R>(c.widened) +
        lines<R>(parameters));
    std::vector<const R*> sources(terms);
    std::vector<R> weights(terms);
    Line* free = buffers.data();
    const auto take = [&](std::int64_t elements) {
      R* const taken = reinterpret_cast<R*>(free);
      free += lines<R>(elements);
      return taken;
    };
    const Workspace<R> w{take(c.staged),   take(c.planar), take(c.result), take(c.widened),
                         take(parameters), sources.data(), weights.data()};
    blocks(a, plan, w, streaming, begin, end);
  });
}

}  // namespace

void run(const Arguments& a) {
  if (a.dtype == DType::f64) {
    run_in<double>(a, FG_SELECT_LEVEL(upfirdn2d_kernels).twice);
  } else {
    run_in<float>(a, FG_SELECT_LEVEL(upfirdn2d_kernels).single);
  }
}

}  // namespace fg::upfirdn2d
