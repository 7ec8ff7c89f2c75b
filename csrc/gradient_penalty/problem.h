// One run of lerp_samples, grad_norm_penalty or a derivative, in plain types: set by the glue, read
// by every kernel.
#pragma once

#include <cstdint>

#include "../common/problem.h"

namespace fg::gradient_penalty {

// Memory of the large tensors: [samples][elements].
struct Layout {
  std::int64_t samples, elements;

  std::int64_t numel() const { return samples * elements; }
};

// Both ops and their derivatives are such sweeps over the large tensors. p, q, c and unit are
// numbers of the sample (weights.h). The sum runs over the elements of each sample.
//
// - forward: out = p·x + q·(unit·y)
// - backward: out_x = p·g, out_y = q·g, sum = Σ g·(x - y)
// - double_backward: out = p·x + q·y + c·(u - w), out_x = c·g, out_y = -c·g, sum = Σ g·(x - y)
//
// lerp_samples uses the sweep of the same name:
//
// - forward: x = real, y = fake, out = y.
// - backward: g = dy, x = real, y = fake, out_x = dreal, out_y = dfake. The sum is dalpha.
// - double_backward: x = ddreal, y = ddfake, u = real, w = fake, out = ddy, out_x = dreal,
//   out_y = dfake. The sum is dalpha.
//
// grad_norm_penalty uses these sweeps:
//
// - forward: sweep backward with g = x = grad. The sum is the squared norm.
// - backward: sweep backward with g = grad, out_x = dgrad.
// - double_backward: sweep backward with g = grad, x = ddgrad. The sum gives ddpenalty and q. Then
//   sweep forward with x = ddgrad, y = grad, out = dgrad.
enum class Op { lerp_samples, grad_norm_penalty };
struct Arguments {
  Op op;
  Pass pass;  // of the op
  DType dtype;
  Layout layout;
  double center;
  // These have dtype and layout. Null if absent, which means zero, or not needed.
  const void *x = nullptr, *y = nullptr, *u = nullptr, *w = nullptr, *g = nullptr;
  void *out = nullptr, *out_x = nullptr, *out_y = nullptr;
  // One number for each sample, of dtype.
  const void *alpha = nullptr, *ddalpha = nullptr;
  void* dalpha = nullptr;
  // One number for each sample, of the accumulation type.
  const void *dpenalty = nullptr, *norm = nullptr;
  void *penalty = nullptr, *norm_out = nullptr, *ddpenalty = nullptr;
  // Elements of the accumulation type, as many as the device needs; null if none.
  void* workspace = nullptr;

  bool wants_sums() const {
    return dalpha || (op == Op::grad_norm_penalty && pass != Pass::backward);
  }
};

std::int64_t workspace(const Arguments& a);
void run(const Arguments& a);
int run(const Arguments& a, void* stream);

}  // namespace fg::gradient_penalty
