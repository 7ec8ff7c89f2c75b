// CUDA kernels of adaptive_norm and their launches. Torch-free; the emulation runs them unchanged.
//
// Each sweep of problem.h is a launch. If it has sums, another launch adds them up. Each step
// between sweeps is a launch with a thread for each group.
#pragma once

#include "../scale_bias_act/sums.cuh"
#include "coefficients.h"
#include "sweep.cuh"

namespace fg::adaptive_norm {

constexpr int step_threads = 128;

template <class T>
__global__ void __launch_bounds__(step_threads) step_kernel(
    Table<T> table, Step step, std::int64_t groups) {
  const std::int64_t group = static_cast<std::int64_t>(blockIdx.x) * step_threads + threadIdx.x;
  if (group < groups) {
    take_step(table, step, group);
  }
}

// ---- host side

// Return the plan of scale_bias_act for the same images.
inline Plan plan_of(const Arguments& a) {
  return scale_bias_act::make_plan(
      a.layout, a.dtype,
      are_aligned(
          {a.x, a.dy, a.ddx, a.scale_map, a.shift_map, a.residual, a.dscale_map, a.dshift_map,
           a.out, a.out_x}));
}

template <class T>
class Run {
  using R = accumulate_t<T>;

 public:
  Run(const Arguments& a, cudaStream_t stream)
      : a_(a), p_(plan_of(a)), table_(table_of<T>(a)), stream_(stream) {}

  void sweep(Sweep sweep) {
    switch (sweep) {
      case Sweep::moments:
        return launch<Sweep::moments>();
      case Sweep::forward:
        return launch<Sweep::forward>();
      case Sweep::first_sums:
        return launch<Sweep::first_sums>();
      case Sweep::backward:
        return launch<Sweep::backward>();
      case Sweep::second_sums:
        return launch<Sweep::second_sums>();
      case Sweep::bend_sums:
        return launch<Sweep::bend_sums>();
      default:
        return launch<Sweep::double_backward>();
    }
  }

  void step(Step step) {
    try_([&] {
      const std::int64_t groups = a_.groups();
      return launch_blocks(
          step_kernel<T>, divide_up(groups, step_threads), step_threads, stream_, table_, step,
          groups);
    });
  }

  cudaError_t error() const { return error_; }

 private:
  template <class F>
  void try_(F&& f) {
    if (error_ == cudaSuccess) {
      error_ = f();
    }
  }

  template <Sweep S>
  void launch() {
    const bool maps = a_.has_maps(), map_sums = maps && S == Sweep::first_sums;
    Tensors<T> t{};
    t.x = as<T>(a_.x);
    t.dy = as<T>(maps && S == Sweep::backward ? a_.dshift_map : a_.dy);
    t.ddx = as<T>(a_.ddx);
    t.scale = as<T>(a_.scale_map);
    t.shift = as<T>(a_.shift_map);
    t.residual = as<T>(a_.residual);
    t.numbers = table_.numbers;
    t.out = as<T>(map_sums ? a_.dshift_map : a_.out);
    t.out_x = as<T>(map_sums ? a_.dscale_map : a_.out_x);
    t.partial = table_.numbers + (int{coefficient_count} + int{total_count}) * a_.numbers();
    const Setting<R> s{scalars_of<R>(a_), a_.act};
    try_([&] {
      if (!p_.fits_a_grid()) {
        return cudaErrorInvalidConfiguration;
      }
      return scale_bias_act::with_variant<T>(
          p_, a_.act != Act::piecewise, [&](auto curved, auto last, auto columns) {
            // moments has no activation, and bend_sums needs a curved one.
            constexpr bool C =
                S == Sweep::bend_sums || (S != Sweep::moments && decltype(curved)::value);
            constexpr int V = decltype(columns)::value;
            constexpr bool L = V == 1 || decltype(last)::value;
            constexpr auto kernel = sweep_kernel<S, C, L, T, V>;
            return launch_blocks(
                kernel, p_.batch * p_.tiles * p_.chunks, dim3(p_.lanes, p_.height), stream_, t, s,
                p_);
          });
    });
    if constexpr (totals_of(S).count > 0) {
      add_up(t.partial, totals_of(S));
    }
  }

  // Add up all sums of a sweep, which are one array [sums, batch][parts][channels].
  void add_up(const R* partial, Totals totals) {
    scale_bias_act::Reductions<R> reductions{};
    scale_bias_act::Reduction<R>& r = reductions.of[0];
    r.partial = partial;
    r.out = table_.numbers + (coefficient_count + totals.first) * a_.numbers();
    r.outer = totals.count * a_.layout.batch;
    r.terms = p_.channel_parts();
    r.inner = a_.layout.channels;
    try_([&] { return scale_bias_act::launch_sums(reductions, 1, stream_); });
  }

  const Arguments& a_;
  Plan p_;
  Table<T> table_;
  cudaStream_t stream_;
  cudaError_t error_ = cudaSuccess;
};

template <class T>
cudaError_t run(const Arguments& a, cudaStream_t stream) {
  Run<T> passes(a, stream);
  run_passes(a, passes);
  return passes.error();
}

std::int64_t workspace(const Arguments& a) {
  return a.workspace_size(plan_of(a).channel_sums(a.layout));
}

}  // namespace fg::adaptive_norm
