// Runs the stages in order, with any function that runs loops in parallel:
// parallel(units, [](begin, end) { ... }). Torch-free.
#pragma once

#include "cpu_kernel.h"

namespace fg::winograd {

// Call f with every part of a convolution. All blocks of tiles of one chunk of output channels come
// before the next chunk.
template <class F>
void for_each_part(const Cut& cut, F f) {
  for (std::int64_t k = 0; k < cut.k; k += cut.chunk) {
    for (std::int64_t t = 0; t < cut.tiles; t += cut.block) {
      f(Part{t, std::min(cut.block, cut.tiles - t), k, std::min(cut.chunk, cut.k - k)});
    }
  }
}

// Run a convolution. `sums`, if not null, must be zero.
template <class Parallel>
void run(
    const Forward& f, const Cut& cut, const ForwardStages& stages, const Kernels& kernels,
    const Buffers& b, Parallel parallel) {
  for_each_part(cut, [&](const Part& part) {
    const auto stage = [&](ForwardStage s, std::int64_t units) {
      parallel(
          units, [&](std::int64_t begin, std::int64_t end) { s(f, cut, part, b, begin, end); });
    };
    const std::int64_t groups = part.ks / lanes;
    if (part.first_tile == 0) {
      stage(stages.weights, groups);
      if (stages.edges) {
        stage(stages.edges, edge_units(f.shape, part));
      }
    }
    if (part.first_k == 0 || cut.block < cut.tiles) {
      stage(stages.in, part.tiles);
    }
    stage(stages.products, cut.points * groups);
    stage(stages.out, part.tiles);
    if (f.sums) {
      stage(kernels.sums, groups);
    }
  });
}

template <class Parallel>
void run(
    const WeightGradient& g, const Cut& cut, const GradientStages& stages, const Buffers& b,
    Parallel parallel) {
  for_each_part(cut, [&](const Part& part) {
    const auto stage = [&](GradientStage s, std::int64_t units) {
      parallel(
          units, [&](std::int64_t begin, std::int64_t end) { s(g, cut, part, b, begin, end); });
    };
    const std::int64_t groups = cut.c / lanes;
    stage(stages.in, part.tiles);
    stage(stages.products, groups * cut.weight_points);
    if (part.first_tile + part.tiles == cut.tiles) {
      stage(stages.out, groups * (part.ks / lanes));
    }
  });
}

}  // namespace fg::winograd
