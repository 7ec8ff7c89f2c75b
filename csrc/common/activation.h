// Activations with their first and second derivatives: one formula for the CPU, CUDA and the
// emulation.
#pragma once

#include <type_traits>

#include "math.h"

namespace fg {

// `piecewise` has slope 1 above zero and alpha below: linear (alpha 1), relu (alpha 0) and lrelu.
enum class Act : int { piecewise, tanh, sigmoid, elu, selu, softplus, swish };

inline constexpr double selu_scale = 1.0507009873554804934193349852946;
inline constexpr double selu_alpha = 1.6732632423543772848170429916717;

template <class R>
struct Sigmoid {
  R value, slope, curvature;
};

// Computed from e^-|v|, which neither overflows nor cancels.
template <class R>
FG_INLINE Sigmoid<R> sigmoid(R v) {
  const R e = exp_(v < 0 ? v : -v);
  const R large = 1 / (1 + e), small = e * large;
  const R s = v < 0 ? small : large, d = large * small;
  return {s, d, d * (1 - 2 * s)};
}

template <class R>
FG_INLINE R tanh_(R v) {
  const R t = expm1_(v < 0 ? 2 * v : -2 * v);  // in (-1, 0]
  const R magnitude = -t / (2 + t);
  return v < 0 ? -magnitude : magnitude;
}

template <Act A, class R>
FG_INLINE R value(R v, R alpha) {
  if constexpr (A == Act::piecewise) {
    // alpha 0 is a special case: relu(-inf) is 0, not NaN. NaN fails v < 0 and passes through.
    const R below = alpha == 0 ? R(0) : v * alpha;
    return v < 0 ? below : v;
  } else if constexpr (A == Act::tanh) {
    return tanh_(v);
  } else if constexpr (A == Act::sigmoid) {
    return sigmoid(v).value;
  } else if constexpr (A == Act::elu) {
    const R e = expm1_(v > 0 ? R(0) : v);
    return v > 0 ? v : e;
  } else if constexpr (A == Act::selu) {
    const R e = expm1_(v > 0 ? R(0) : v);
    return v > 0 ? R(selu_scale) * v : R(selu_scale * selu_alpha) * e;
  } else if constexpr (A == Act::softplus) {
    return (v < 0 ? R(0) : v) + log1p_(exp_(v < 0 ? v : -v));
  } else {
    return v * sigmoid(v).value;  // swish
  }
}

// act'(v)
template <Act A, class R>
FG_INLINE R slope(R v, R alpha) {
  if constexpr (A == Act::piecewise) {
    return v > 0 ? R(1) : alpha;
  } else if constexpr (A == Act::tanh) {
    const R t = tanh_(v);
    return (1 - t) * (1 + t);
  } else if constexpr (A == Act::sigmoid) {
    return sigmoid(v).slope;
  } else if constexpr (A == Act::elu) {
    const R e = exp_(v > 0 ? R(0) : v);
    return v > 0 ? R(1) : e;
  } else if constexpr (A == Act::selu) {
    const R e = exp_(v > 0 ? R(0) : v);
    return v > 0 ? R(selu_scale) : R(selu_scale * selu_alpha) * e;
  } else if constexpr (A == Act::softplus) {
    return sigmoid(v).value;
  } else {
    const Sigmoid<R> s = sigmoid(v);  // swish
    return s.value + v * s.slope;
  }
}

// act''(v)
template <Act A, class R>
FG_INLINE R curvature(R v) {
  if constexpr (A == Act::tanh) {
    const R t = tanh_(v);
    return -2 * t * (1 - t) * (1 + t);
  } else if constexpr (A == Act::sigmoid) {
    return sigmoid(v).curvature;
  } else if constexpr (A == Act::elu || A == Act::selu) {
    const R e = exp_(v > 0 ? R(0) : v);
    return v > 0 ? R(0) : (A == Act::selu ? R(selu_scale * selu_alpha) : R(1)) * e;
  } else if constexpr (A == Act::softplus) {
    return sigmoid(v).slope;
  } else if constexpr (A == Act::swish) {
    const Sigmoid<R> s = sigmoid(v);
    return 2 * s.slope + v * s.curvature;
  } else {
    return R(0);
  }
}

// Settings that all elements share, in the type of the computation.
template <class R>
struct Scalars {
  R alpha, gain, clamp;  // clamp is NaN for none: every comparison with NaN is false
};

// Return the settings of an op's arguments.
template <class R, class Arguments>
FG_INLINE Scalars<R> scalars_of(const Arguments& a) {
  return {static_cast<R>(a.alpha), static_cast<R>(a.gain), static_cast<R>(a.clamp)};
}

template <class R>
FG_INLINE R clamped(R y, R clamp) {
  return y > clamp ? clamp : y < -clamp ? -clamp : y;
}

// Return s where the clamp is not active, else 0.
template <class R>
FG_INLINE R where_below(R y, R clamp, R s) {
  return (y < 0 ? -y : y) >= clamp ? R(0) : s;
}

template <Act A, class R>
FG_INLINE R forward(R v, const Scalars<R>& s) {
  return clamped(value<A>(v, s.alpha) * s.gain, s.clamp);
}

// Return dy/dv from v.
template <Act A, class R>
FG_INLINE R slope_from_input(R v, const Scalars<R>& s) {
  return where_below(value<A>(v, s.alpha) * s.gain, s.clamp, slope<A>(v, s.alpha) * s.gain);
}

// Return dy/dv from y, for `piecewise` with alpha >= 0. v has the sign of y, or the opposite one
// if the gain is negative.
template <class R>
FG_INLINE R slope_from_output(R y, const Scalars<R>& s) {
  return where_below(y, s.clamp, slope<Act::piecewise>(s.gain < 0 ? -y : y, s.alpha) * s.gain);
}

// Return d2y/dv2 from v.
template <Act A, class R>
FG_INLINE R curvature_from_input(R v, const Scalars<R>& s) {
  return where_below(value<A>(v, s.alpha) * s.gain, s.clamp, curvature<A>(v) * s.gain);
}

// Call f with the activation as a compile-time constant: f(std::integral_constant<Act, A>{}).
template <class F>
FG_INLINE auto with_act(Act act, F&& f) {
  switch (act) {
    case Act::tanh:
      return f(std::integral_constant<Act, Act::tanh>{});
    case Act::sigmoid:
      return f(std::integral_constant<Act, Act::sigmoid>{});
    case Act::elu:
      return f(std::integral_constant<Act, Act::elu>{});
    case Act::selu:
      return f(std::integral_constant<Act, Act::selu>{});
    case Act::softplus:
      return f(std::integral_constant<Act, Act::softplus>{});
    case Act::swish:
      return f(std::integral_constant<Act, Act::swish>{});
    default:
      return f(std::integral_constant<Act, Act::piecewise>{});
  }
}

}  // namespace fg
