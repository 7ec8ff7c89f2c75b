#include <torch/csrc/stable/ops.h>

#include "../common/with_dtype.h"
#include "cpu_kernel.h"

namespace fg::minibatch_stddev {
namespace {

// Compute w of each group and part from dy of the appended channels, in a fixed order, in double.
template <class R, class T>
void gather(const Arguments& a, R* weight) {
  const Layout l = a.layout;
  const T* const dy = static_cast<const T*>(a.dy);
  for (std::int64_t number = 0; number < l.groups * l.parts; ++number) {
    double total = 0;
    for (std::int64_t k = 0; k < l.group; ++k) {
      const T* const sample = dy + (k * l.groups + number / l.parts) * l.wide_sample();
      for (std::int64_t pixel = 0; pixel < l.pixels; ++pixel) {
        total += static_cast<double>(sample[l.appended(number % l.parts, pixel)]);
      }
    }
    weight[number] = static_cast<R>(total / static_cast<double>(l.group * l.positions()));
  }
}

// Write the sum of each group and part, divided by its number of terms, to the appended channels of
// its samples.
template <class R, class T>
void scatter(const Arguments& a, const Partition& p, const R* partial) {
  const Layout l = a.layout;
  const double count = static_cast<double>(l.positions() * (a.pass == Pass::forward ? 1 : l.group));
  for (std::int64_t number = 0; number < l.groups * l.parts; ++number) {
    double total = 0;
    for (std::int64_t i = number * p.of_part; i < (number + 1) * p.of_part; ++i) {
      total += static_cast<double>(partial[i]);
    }
    const T value = static_cast<T>(static_cast<R>(total / count));
    for (std::int64_t k = 0; k < l.group; ++k) {
      T* const sample =
          static_cast<T*>(a.wide) + (k * l.groups + number / l.parts) * l.wide_sample();
      for (std::int64_t pixel = 0; pixel < l.pixels; ++pixel) {
        sample[l.appended(number % l.parts, pixel)] = value;
      }
    }
  }
}

}  // namespace

std::int64_t workspace(const Arguments& a) {
  return Partition(a.layout).units() + a.layout.groups * a.layout.parts;
}

void run(const Arguments& a) {
  const Layout l = a.layout;
  const Partition p(l);
  const bool streaming = is_worth_streaming(a.dtype, l.group * l.groups * l.narrow_sample());
  const Sweep sweep = FG_SELECT_LEVEL(minibatch_stddev_sweep);
  const std::int64_t elements = l.group * l.groups * l.narrow_sample() / p.units();
  const std::int64_t grain = std::max<std::int64_t>(1, 32768 / std::max<std::int64_t>(1, elements));
  with_dtype(a.dtype, [&](auto t) {
    using T = decltype(t);
    using R = sum_t<T>;
    const Numbers<R> numbers(a, p);
    if (a.wants_weights()) {
      gather<R, T>(a, numbers.weight);
    }
    torch::stable::parallel_for(0, p.units(), grain, [&](std::int64_t begin, std::int64_t end) {
      sweep(a, p, streaming, begin, end);
    });
    if (a.wants_sums()) {
      scatter<R, T>(a, p, numbers.partial);
    }
  });
}

}  // namespace fg::minibatch_stddev
