// Runs all units of a convolution on any number of threads. Torch-free.
#pragma once

#include <vector>

#include "cpu_kernel.h"
#include "stages.h"

namespace fg::winograd {

// Run a convolution. `sums`, if not null, must be zero. The scratch memory of a thread is
// cut.scratch() elements of b.scratch. `parallel` is that of `run_stages`.
template <class Parallel>
void run(
    const Forward& f, const Cut& cut, const ForwardKernels& kernels, const Buffers& b, int threads,
    Parallel parallel) {
  struct Stage {
    ForwardUnit run;
    Pass pass;
  };
  std::vector<Stage> stages;
  std::vector<int> ends;
  const auto add = [&](ForwardUnit run, const Pass& pass, std::int64_t units) {
    stages.push_back({run, pass});
    ends.push_back((ends.empty() ? 0 : ends.back()) + static_cast<int>(units));
  };
  for (std::int64_t k = 0; k < cut.k; k += cut.pass_k) {
    for (std::int64_t t = 0; t < cut.tiles; t += cut.pass_tiles) {
      const Pass pass{
          t, std::min(cut.pass_tiles, cut.tiles - t), k, std::min(cut.pass_k, cut.k - k)};
      if (t == 0 || !cut.by_tiles) {
        add(kernels.shared, pass, cut.first_units(pass));
      }
      add(kernels.unit, pass, cut.units(pass));
      if (f.sums) {
        add(kernels.sums, pass, pass.ks / lanes);
      }
    }
  }
  run_stages(ends, threads, parallel, [&](int thread, std::size_t stage, int unit) {
    Buffers own = b;
    own.scratch += thread * cut.scratch();
    stages[stage].run(f, cut, stages[stage].pass, own, unit);
  });
}

// Compute the gradient of weights. The scratch memory of a thread is cut.scratch() elements.
template <class Parallel>
void run(
    const WeightGradient& g, const GradientCut& cut, GradientUnit kernel, const float* zeros,
    float* scratch, int threads, Parallel parallel) {
  const int ends[] = {static_cast<int>(cut.units())};
  run_stages(ends, threads, parallel, [&](int thread, std::size_t, int unit) {
    kernel(g, cut, zeros, scratch + thread * cut.scratch(), unit);
  });
}

}  // namespace fg::winograd
