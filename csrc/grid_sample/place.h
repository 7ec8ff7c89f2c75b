// Position of a point among pixels and the weights of these pixels, on any device.
#pragma once

#include <cmath>
#include <cstdint>

#include "../common/math.h"
#include "problem.h"

namespace fg::grid_sample {

// Conversion of a coordinate to pixels: u = (coordinate + 1)·scale - shift. Reflection mirrors u at
// `low` and every half period from there.
template <class R>
struct Axis {
  R scale, shift, low, period, size;
  bool nearest;
  Padding padding;
};

template <class R>
FG_INLINE Axis<R> axis_of(const Arguments& a, std::int64_t size) {
  const R pixels = static_cast<R>(size), half = R(0.5);
  return a.align_corners
             ? Axis<R>{half * (pixels - 1), 0, 0, 2 * (pixels - 1), pixels, a.nearest, a.padding}
             : Axis<R>{half * pixels, half, -half, 2 * pixels, pixels, a.nearest, a.padding};
}

// Position between the pixels `first` and `first + 1`, at the fraction `t` of the way. `slope` is
// the derivative of t in the coordinate.
template <class R>
struct Place {
  std::int32_t first;
  bool has_first, has_next;  // true if the pixel is in the image and has weight
  R t, slope;
};

// Locate a coordinate. NaN fails every comparison, so it is at the first pixel, or with zeros
// outside the image.
template <class R>
FG_INLINE Place<R> place_of(const Axis<R>& a, R coordinate) {
  R u = (coordinate + 1) * a.scale - a.shift, slope = a.scale;
  if (a.padding == Padding::reflection) {
    const bool before = u < a.low;
    const R distance = before ? a.low - u : u - a.low;
    const R rest = distance - a.period * std::floor(distance / a.period);
    const bool back = 2 * rest > a.period;
    u = (back ? a.period - rest : rest) + a.low;
    slope = before != back ? -slope : slope;
  }
  if (a.padding != Padding::zeros) {
    const bool between = u > 0 && u < a.size - 1;
    slope = between ? slope : R(0);
    u = between ? u : u >= a.size - 1 ? a.size - 1 : R(0);
  }
  const bool near = u >= -1 && u < a.size;
  u = near ? u : R(0);
  const R below = std::floor(u), t = u - below;
  // A point halfway between two pixels has the even one, like torch's.
  if (a.nearest) {
    const R half = R(0.5) * below;
    const bool up = t > R(0.5) || (t == R(0.5) && half != std::floor(half));
    const R first = up ? below + 1 : below;
    return {
        static_cast<std::int32_t>(first), near && first >= 0 && first < a.size, false, R(0), R(0)};
  }
  return {
      static_cast<std::int32_t>(below), near && below >= 0, near && below + 1 < a.size, t, slope};
}

// Weighted sum of four pixels and its derivatives in the grid's coordinates.
template <class R>
struct Jet {
  R value, x, y, xy;
};

template <class R>
FG_INLINE Jet<R> jet_of(R v00, R v01, R v10, R v11, R tx, R ty, R slope_x, R slope_y) {
  const R upper = (1 - tx) * v00 + tx * v01, lower = (1 - tx) * v10 + tx * v11;
  const R upper_x = v01 - v00, lower_x = v11 - v10;
  return {
      (1 - ty) * upper + ty * lower, slope_x * ((1 - ty) * upper_x + ty * lower_x),
      slope_y * (lower - upper), slope_x * slope_y * (lower_x - upper_x)};
}

// Return the weight of the pixel that is `down` and `across` of a point's first pixel.
template <class R>
FG_INLINE R share_of(bool down, bool across, R tx, R ty) {
  return (across ? tx : 1 - tx) * (down ? ty : 1 - ty);
}

// Return the derivative along b of that weight.
template <class R>
FG_INLINE R share_along(bool down, bool across, R tx, R ty, R along_x, R along_y) {
  const R x = across ? tx : 1 - tx, y = down ? ty : 1 - ty;
  return (across ? along_x : -along_x) * y + (down ? along_y : -along_y) * x;
}

}  // namespace fg::grid_sample
