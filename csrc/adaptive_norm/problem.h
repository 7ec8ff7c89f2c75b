// One run of adaptive_norm or of a derivative, in plain types: what the glue fills in and every kernel reads.
#pragma once

#include <cstdint>

#include "../scale_bias_act/problem.h"

namespace fg::adaptive_norm {

using scale_bias_act::Layout;
using scale_bias_act::Pass;

// Where mean and variance come from: they are given, or those of each sample, or of the batch.
enum class Over { given, sample, batch };

// A run goes through sweeps over the images, with z = x - mean, v = p·z + t, s1 = gain·act'(v), s2 = gain·act''(v), both 0
// where the clamp is active, g = dy·s1, u = ddx, h = p·u + slope·z + shift and q = dy·s2·h:
//
//   moments           Σ z, Σ z², with mean an anchor near the mean
//   forward           out = y
//   first_sums        Σ g, Σ g·z
//   backward          out = dx = p·g + f_x·z + f_1
//   second_sums       Σ g, Σ g·z, Σ u, Σ u·z, Σ g·u
//   bend_sums         Σ q, Σ q·z
//   double_backward   out = ddy = s1·h
//                     out_x = dx = p·q + slope·g + f_u·u + f_x·z + f_1
//
// Sums are over the pixels. Coefficients are numbers for each image and channel, which coefficients.h works out between.
//
// Scale and shift may be maps, images of their own. With m = 1 + scale, then, v = p·m·z + shift, where p is the deviation's
// inverse alone, and there are no second derivatives:
//
//   first_sums        Σ g·m, Σ g·m·z, and dshift = g, dscale = g·p·z
//   backward          out = dx = p·m·g + f_x·z + f_1, with g read from dshift
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

enum Total { t_g, t_gx, t_u, t_ux, t_gu, t_q, t_qx, total_count };
constexpr int most_sums = 5;  // of a sweep

// The totals that a sweep leaves: `count` from `first` on. Those of z and z² lie in the places of g's.
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
  double alpha, gain, clamp, eps;  // clamp: NaN for none, and rounded to dtype
  Layout layout;
  Over over;
  // Null where absent. x, dy, ddx, out and out_x have the layout; all others are [batch][channels], of dtype, or of its
  // accumulation type where they belong to mean or variance; those found over the batch, mean and var themselves, are
  // [channels]. In a forward pass that finds them mean_out and var_out are written, else mean and var read.
  const void *x = nullptr, *dy = nullptr, *ddx = nullptr;
  const void *scale = nullptr, *shift = nullptr, *mean = nullptr, *var = nullptr;
  // Images as x is; null where absent. The residual is added to a forward result. With a map there is a dshift_map.
  const void *scale_map = nullptr, *shift_map = nullptr, *residual = nullptr;
  void *dscale_map = nullptr, *dshift_map = nullptr;
  const void *ddscale = nullptr, *ddshift = nullptr, *ddmean = nullptr, *ddvar = nullptr;
  void *out = nullptr, *out_x = nullptr;  // out_x: null if not wanted
  void *dscale = nullptr, *dshift = nullptr, *dmean = nullptr, *dvar = nullptr, *mean_out = nullptr,
       *var_out = nullptr;
  void* workspace = nullptr;  // as many elements of the accumulation type as the device asked for

  bool own() const { return over != Over::given; }
  bool wants_parameters() const { return dscale || dshift || dmean; }
  bool has_maps() const { return scale_map || shift_map; }
  bool takes_sums() const { return own() || wants_parameters() || has_maps(); }
  bool takes_bends() const {
    return act != Act::piecewise && ((own() && out_x) || wants_parameters());
  }  // sums of q
  std::int64_t numbers() const { return layout.batch * layout.channels; }
  std::int64_t groups() const { return over == Over::batch ? layout.channels : numbers(); }

  // Elements of the workspace: coefficients, totals, then `partial` for each sum of a sweep.
  std::int64_t workspace_size(std::int64_t partial) const {
    return (int{coefficient_count} + int{total_count}) * numbers() + most_sums * partial;
  }
};

// What happens between the sweeps; see coefficients.h.
enum class Step { anchor, moments, base, first, direction, second };

// The order of things, for any `Device` with sweep(Sweep), which leaves totals, and step(Step).
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
