// One run of adaptive_norm or of a derivative, in plain types: set by the glue, read by every
// kernel.
#pragma once

#include <cstdint>

#include "../common/activation.h"
#include "../common/problem.h"

namespace fg::adaptive_norm {

using Layout = ImageLayout;

// Source of mean and variance: arguments, or statistics of each sample or of the batch.
enum class Over { given, sample, batch };

// A run is a sequence of sweeps over the images. They compute with these numbers:
//
// - z = x - mean, v = p·z + t
// - s1 = gain·act'(v), s2 = gain·act''(v); both are 0 where the clamp is active
// - g = dy·s1, u = ddx, h = p·u + slope·z + shift, q = dy·s2·h
//
// Sums are over the pixels. The sweeps are:
//
// - moments: Σ z, Σ z², where mean is an anchor near the mean
// - forward: out = y
// - first_sums: Σ g, Σ g·z
// - backward: out = dx = p·g + f_x·z + f_1
// - second_sums: Σ g, Σ g·z, Σ u, Σ u·z, Σ g·u
// - bend_sums: Σ q, Σ q·z
// - double_backward: out = ddy = s1·h, out_x = dx = p·q + slope·g + f_u·u + f_x·z + f_1
//
// Coefficients are numbers of each image and channel; coefficients.h computes them between sweeps.
//
// Scale and shift may be maps, which are images themselves. There are no second derivatives then,
// and p is the inverse of the deviation alone. With m = 1 + scale:
//
// - v = p·m·z + shift
// - first_sums: Σ g·m, Σ g·m·z, and dshift = g, dscale = g·p·z
// - backward: out = dx = p·m·g + f_x·z + f_1. It reads g from dshift.
enum class Sweep {
  moments,
  forward,
  first_sums,
  backward,
  second_sums,
  bend_sums,
  double_backward
};

enum Coefficient { c_mean, c_p, c_t, c_slope, c_shift, c_u, c_x, c_1, coefficient_count };

// Return the number of coefficients that a sweep reads, which are the first ones.
constexpr int coefficients_of(Sweep sweep) {
  return sweep == Sweep::moments                                       ? 1
         : sweep == Sweep::backward || sweep == Sweep::double_backward ? coefficient_count
         : sweep == Sweep::bend_sums                                   ? c_u
                                                                       : c_slope;
}

enum Total { t_g, t_gx, t_u, t_ux, t_gu, t_q, t_qx, total_count };
constexpr int most_sums = 5;  // per sweep

// Totals of a sweep: `count` from `first` on. Those of z and z² have the places of g's.
struct Totals {
  int first, count;
};

constexpr Totals totals_of(Sweep sweep) {
  return sweep == Sweep::moments || sweep == Sweep::first_sums ? Totals{t_g, 2}
         : sweep == Sweep::second_sums                         ? Totals{t_g, 5}
         : sweep == Sweep::bend_sums                           ? Totals{t_q, 2}
                                                               : Totals{0, 0};
}

struct Arguments {
  Pass pass;
  DType dtype;
  Act act;
  double alpha, gain, clamp, eps;  // clamp is NaN for none, and rounded to dtype
  Layout layout;
  Over over;
  // Null if absent.
  //
  // - x, dy, ddx, out and out_x have the layout and dtype.
  // - All others are [batch][channels] of dtype. Those of mean or variance have the accumulation
  //   type; mean and var over the batch are [channels].
  // - A forward pass with statistics writes mean_out and var_out. Otherwise mean and var are read.
  const void *x = nullptr, *dy = nullptr, *ddx = nullptr;
  const void *scale = nullptr, *shift = nullptr, *mean = nullptr, *var = nullptr;
  // Images like x; null if absent. The residual is added to a forward result. Maps need a
  // dshift_map.
  const void *scale_map = nullptr, *shift_map = nullptr, *residual = nullptr;
  void *dscale_map = nullptr, *dshift_map = nullptr;
  const void *ddscale = nullptr, *ddshift = nullptr, *ddmean = nullptr, *ddvar = nullptr;
  void *out = nullptr, *out_x = nullptr;  // out_x is null if not needed
  void *dscale = nullptr, *dshift = nullptr, *dmean = nullptr, *dvar = nullptr, *mean_out = nullptr,
       *var_out = nullptr;
  void* workspace = nullptr;  // elements of the accumulation type, as many as the device needs

  bool own() const { return over != Over::given; }
  bool wants_parameters() const { return dscale || dshift || dmean; }
  bool has_maps() const { return scale_map || shift_map; }
  bool takes_sums() const { return own() || wants_parameters() || has_maps(); }
  // True if sums of q are needed.
  bool takes_bends() const {
    return act != Act::piecewise && ((own() && out_x) || wants_parameters());
  }
  std::int64_t numbers() const { return layout.batch * layout.channels; }
  std::int64_t groups() const { return over == Over::batch ? layout.channels : numbers(); }

  // Return the workspace's size: coefficients, totals, then `partial` for each sum of a sweep.
  std::int64_t workspace_size(std::int64_t partial) const {
    return (int{coefficient_count} + int{total_count}) * numbers() + most_sums * partial;
  }
};

std::int64_t workspace(const Arguments& a);
void run(const Arguments& a);
int run(const Arguments& a, void* stream);

// Steps between sweeps; see coefficients.h.
enum class Step { anchor, moments, base, first, direction, second };

// Run all sweeps and steps of a pass, for any `Device` with sweep(Sweep), which computes totals,
// and step(Step).
template <class Device>
void run_passes(const Arguments& a, Device&& device) {
  if (a.pass == Pass::forward) {
    if (a.own()) {
      device.step(Step::anchor);
      device.sweep(Sweep::moments);
    }
    device.step(a.own() ? Step::moments : Step::base);
    device.sweep(Sweep::forward);
    return;
  }
  device.step(Step::base);
  if (a.pass == Pass::backward) {
    if (a.takes_sums()) {
      device.sweep(Sweep::first_sums);
    }
    device.step(Step::first);
    device.sweep(Sweep::backward);
    return;
  }
  if (a.takes_sums()) {
    device.sweep(Sweep::second_sums);
  }
  device.step(Step::direction);
  if (a.takes_bends()) {
    device.sweep(Sweep::bend_sums);
  }
  device.step(Step::second);
  device.sweep(Sweep::double_backward);
}

}  // namespace fg::adaptive_norm
