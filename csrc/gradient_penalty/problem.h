// One run of interpolate, grad_norm_penalty or a derivative, in plain types: what the glue fills in and every kernel reads.
#pragma once

#include <cstdint>

#include "../common/dtype.h"

namespace fg::gradient_penalty {

// Memory of the big tensors: [samples][elements].
struct Layout {
  std::int64_t samples, elements;

  std::int64_t numel() const { return samples * elements; }
};

// All that either op does with the big tensors is one of these sweeps over memory. p, q, c and unit are numbers of the
// sample (weights.h), the sum is one over the elements of each sample.
//
//   forward           out = p·x + q·(unit·y)
//   backward          out_x = p·g   out_y = q·g   sum = Σ g·(x - y)
//   double_backward   out = p·x + q·y + c·(u - w)   out_x = c·g   out_y = -c·g   sum = Σ g·(x - y)
//
//   interpolate        forward: x = real, y = fake, out = y
//                      backward: g = dy, x = real, y = fake, out_x = dreal, out_y = dfake, the sum is dalpha
//                      double_backward: x = ddreal, y = ddfake, u = real, w = fake, out = ddy, out_x = dreal, out_y = dfake,
//                      the sum is dalpha
//   grad_norm_penalty  forward, by sweep backward: g = x = grad, the sum is the squared norm
//                      backward, by sweep backward: g = grad, out_x = dgrad
//                      double_backward, by sweep backward: g = grad, x = ddgrad, the sum gives ddpenalty and q;
//                      then by sweep forward: x = ddgrad, y = grad, out = dgrad
enum class Op { interpolate, grad_norm_penalty };
enum class Pass { forward, backward, double_backward };

struct Arguments {
  Op op;
  Pass pass;  // of the op
  DType dtype;
  Layout layout;
  double center;
  // Of dtype and layout; null where absent, which is zero, or not wanted.
  const void *x = nullptr, *y = nullptr, *u = nullptr, *w = nullptr, *g = nullptr;
  void *out = nullptr, *out_x = nullptr, *out_y = nullptr;
  // One number for each sample: of dtype,
  const void *alpha = nullptr, *ddalpha = nullptr;
  void* dalpha = nullptr;
  // and of the accumulation type.
  const void *dpenalty = nullptr, *norm = nullptr;
  void *penalty = nullptr, *norm_out = nullptr, *ddpenalty = nullptr;
  void* workspace =
      nullptr;  // as many elements of the accumulation type as the device asked for; null if none

  bool wants_sums() const {
    return dalpha || (op == Op::grad_norm_penalty && pass != Pass::backward);
  }
};

}  // namespace fg::gradient_penalty
