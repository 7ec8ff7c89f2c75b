// Addition of the CPU kernels' partial sums.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <cstdint>

namespace fg {

// Partial sums of one gradient, [outer][count][inner], to be added up over outer and inner. A
// gradient with a value for each image has `images` such arrays.
struct Parts {
  std::int64_t images, outer, count, inner;
};

// Return the parts of a gradient of images that are divided by scale_bias_act's Partition. With
// `over_rows` there are sums of a group of rows for each column, else sums of a chunk of columns
// for each row.
template <class Partition>
Parts parts_of(const Partition& p, bool over_rows, bool per_image) {
  const std::int64_t images = per_image ? p.batch : 1, together = p.batch / images;
  return over_rows ? Parts{images, together * p.groups, p.minor, 1}
                   : Parts{images, together, p.major, p.chunks};
}

constexpr std::int64_t sums_of_a_task = 4096;

// Add up in a fixed order, in double.
template <class R, class T>
void add_up(const Parts& p, const R* partial, T* result) {
  const std::int64_t grain = std::max<std::int64_t>(1, sums_of_a_task / (p.outer * p.inner));
  torch::stable::parallel_for(
      0, p.images * p.count, grain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t at = begin; at < end; ++at) {
          const std::int64_t image = at / p.count, i = at % p.count;
          double total = 0;
          for (std::int64_t n = 0; n < p.outer; ++n) {
            for (std::int64_t j = 0; j < p.inner; ++j) {
              total +=
                  static_cast<double>(partial[((image * p.outer + n) * p.count + i) * p.inner + j]);
            }
          }
          result[at] = static_cast<T>(static_cast<R>(total));
        }
      });
}

}  // namespace fg
