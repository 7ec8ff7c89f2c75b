// CUDA kernels of adaptive_norm and their launches. Torch-free; the emulation runs them unchanged.
//
// Each sweep of problem.h is a launch. If it has sums, another launch adds them up. Each step
// between sweeps is a launch with a thread for each group.
#pragma once

#include <cstdint>
#include <initializer_list>

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

// Return an address that is as well aligned as all of these pointers.
inline const void* least_aligned(std::initializer_list<const void*> pointers) {
  std::uintptr_t bits = 0;
  for (const void* p : pointers) {
    bits |= reinterpret_cast<std::uintptr_t>(p);
  }
  return reinterpret_cast<const void*>(bits);
}

// Return the plan of scale_bias_act for the same images.
inline Plan plan_of(const Arguments& a) {
  scale_bias_act::Arguments images{};
  images.dtype = a.dtype;
  images.layout = a.layout;
  images.x = a.x;
  images.dy = a.dy;
  images.ddx =
      least_aligned({a.ddx, a.scale_map, a.shift_map, a.residual, a.dscale_map, a.dshift_map});
  images.out = a.out;
  images.out_x = a.out_x;
  return scale_bias_act::make_plan(images);
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
    const std::int64_t groups = a_.groups(),
                       blocks = scale_bias_act::divide_up(groups, step_threads);
    try_(blocks > scale_bias_act::grid_limit, [&] {
      return fg_launch(
          step_kernel<T>, dim3(static_cast<unsigned>(blocks)), dim3(step_threads), 0, stream_,
          table_, step, groups);
    });
  }

  cudaError_t error() const { return error_; }

 private:
  template <class F>
  void try_(bool too_large, F&& f) {
    if (error_ == cudaSuccess) {
      error_ = too_large ? cudaErrorInvalidConfiguration : f();
    }
  }

  template <Sweep S>
  void launch() {
    const auto in = [](const void* p) { return static_cast<const T*>(p); };
    const bool maps = a_.has_maps(), map_sums = maps && S == Sweep::first_sums;
    Tensors<T> t{};
    t.x = in(a_.x);
    t.dy = in(maps && S == Sweep::backward ? a_.dshift_map : a_.dy);
    t.ddx = in(a_.ddx);
    t.scale = in(a_.scale_map);
    t.shift = in(a_.shift_map);
    t.residual = in(a_.residual);
    t.numbers = table_.numbers;
    t.out = static_cast<T*>(map_sums ? a_.dshift_map : a_.out);
    t.out_x = static_cast<T*>(map_sums ? a_.dscale_map : a_.out_x);
    t.partial = table_.numbers + (int{coefficient_count} + int{total_count}) * a_.numbers();
    const Setting<R> s{
        {static_cast<R>(a_.alpha), static_cast<R>(a_.gain), static_cast<R>(a_.clamp)}, a_.act};
    const dim3 grid(static_cast<unsigned>(p_.batch * p_.tiles * p_.chunks));
    const dim3 block(static_cast<unsigned>(p_.lanes), static_cast<unsigned>(p_.height));
    try_(!p_.fits_a_grid(), [&] {
      return scale_bias_act::with_variant<T>(
          p_, a_.act != Act::piecewise, [&](auto curved, auto last, auto columns) {
            // moments has no activation, and bend_sums needs a curved one.
            constexpr bool C =
                S == Sweep::bend_sums || (S != Sweep::moments && decltype(curved)::value);
            constexpr int V = decltype(columns)::value;
            constexpr bool L = V == 1 || decltype(last)::value;
            constexpr auto kernel = sweep_kernel<S, C, L, T, V>;
            return fg_launch(kernel, grid, block, 0, stream_, t, s, p_);
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
    try_(false, [&] { return scale_bias_act::launch_sums(reductions, 1, stream_); });
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

}  // namespace fg::adaptive_norm
