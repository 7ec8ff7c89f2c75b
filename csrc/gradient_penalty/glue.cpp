#include "../common/glue.h"

#include "problem.h"

namespace fg::gradient_penalty {
namespace {

// Test if each sample of a dense tensor is one stretch of memory.
bool has_stretches(const Tensor& t) { return t.stride(0) * t.size(0) == t.numel(); }

// Return an empty result for `t`. It has the strides of `t` where they are dense and each sample is
// one stretch of memory, else it is contiguous.
Tensor samples_like(const Tensor& t) {
  STD_TORCH_CHECK(t.dim() > 0, "a gradient penalty needs [N, ...] tensors, got a scalar");
  Tensor result = result_like(t);
  return has_stretches(result) ? result : empty(t, t.sizes());
}

Tensor samples_if(bool wanted, const Tensor& like) {
  return wanted ? samples_like(like) : nothing(like);
}

// Return a tensor with the memory order of a result for `t`: `t` itself if possible.
Tensor order_of(const Tensor& t) {
  return t.is_contiguous() || (t.dim() > 0 && is_dense(t) && has_stretches(t)) ? t
                                                                               : samples_like(t);
}

void check_samples(const Tensor& like, std::initializer_list<OptionalTensor> tensors) {
  check_like(like, tensors, "the tensors of a gradient penalty");
}

void check_numbers(
    const Tensor& like, ScalarType dtype, std::initializer_list<OptionalTensor> tensors) {
  for (const OptionalTensor& t : tensors) {
    STD_TORCH_CHECK(
        fits(t, {like.size(0)}, dtype), "a gradient penalty needs one number for each of ",
        like.size(0), " samples");
  }
}

Tensor numbers_like(const Tensor& t, bool wanted = true) {
  return empty(t, {wanted ? t.size(0) : 0}, sum_type(t));
}

const char* name_of(Op op) { return op == Op::lerp_samples ? "lerp_samples" : "grad_norm_penalty"; }

Arguments arguments(Op op, Pass pass, const Tensor& like, double center = 0) {
  Arguments a{};
  a.op = op;
  a.pass = pass;
  a.dtype = dtype_of(like, name_of(op));
  const std::int64_t samples = like.size(0);
  a.layout = {samples, samples ? like.numel() / samples : 0};
  a.center = center;
  return a;
}

void launch_if_any(Arguments& a, const Tensor& like) {
  if (a.layout.samples > 0) {
    launch_with_workspace(a, like, name_of(a.op));
  }
}

// ---- lerp_samples

Tensor lerp_samples(const Tensor& real, const Tensor& fake, const Tensor& alpha) {
  check_samples(real, {fake});
  check_numbers(real, real.scalar_type(), {alpha});
  Tensor y = samples_like(real);
  Inputs in;
  Arguments a = arguments(Op::lerp_samples, Pass::forward, y);
  a.x = in.ordered(real, y);
  a.y = in.ordered(fake, y);
  a.alpha = in.contiguous(alpha);
  a.out = y.mutable_data_ptr();
  launch_if_any(a, y);
  return y;
}

std::tuple<Tensor, Tensor, Tensor> lerp_samples_backward(
    const Tensor& dy, const OptionalTensor& real, const OptionalTensor& fake, const Tensor& alpha,
    bool need_dreal, bool need_dfake, bool need_dalpha) {
  check_samples(dy, {real, fake});
  check_numbers(dy, dy.scalar_type(), {alpha});
  STD_TORCH_CHECK(
      (real && fake) || !need_dalpha, "need_dalpha must be false without real and fake");
  const Tensor order = order_of(dy);
  Tensor dreal = samples_if(need_dreal, dy), dfake = samples_if(need_dfake, dy),
         dalpha = empty_if(need_dalpha, dy, {dy.size(0)});
  Inputs in;
  Arguments a = arguments(Op::lerp_samples, Pass::backward, dy);
  a.g = in.ordered(dy, order);
  if (need_dalpha) {
    a.x = in.ordered(real, order);
    a.y = in.ordered(fake, order);
  }
  a.alpha = in.contiguous(alpha);
  a.out_x = data_if(need_dreal, dreal);
  a.out_y = data_if(need_dfake, dfake);
  a.dalpha = data_if(need_dalpha, dalpha);
  launch_if_any(a, dy);
  return {dreal, dfake, dalpha};
}

std::tuple<Tensor, Tensor, Tensor, Tensor> lerp_samples_double_backward(
    const OptionalTensor& ddreal, const OptionalTensor& ddfake, const OptionalTensor& ddalpha,
    const Tensor& dy, const OptionalTensor& real, const OptionalTensor& fake, const Tensor& alpha,
    bool need_ddy, bool need_dreal, bool need_dfake, bool need_dalpha) {
  check_samples(dy, {ddreal, ddfake, real, fake});
  check_numbers(dy, dy.scalar_type(), {alpha, ddalpha});
  STD_TORCH_CHECK((real && fake) || !ddalpha, "ddalpha must be None without real and fake");
  STD_TORCH_CHECK(
      ddalpha || !(need_dreal || need_dfake),
      "need_dreal and need_dfake must be false without ddalpha");
  const Tensor order = order_of(dy);
  Tensor ddy = samples_if(need_ddy, dy), dreal = samples_if(need_dreal, dy),
         dfake = samples_if(need_dfake, dy), dalpha = empty_if(need_dalpha, dy, {dy.size(0)});
  Inputs in;
  Arguments a = arguments(Op::lerp_samples, Pass::double_backward, dy);
  a.x = in.ordered(ddreal, order);
  a.y = in.ordered(ddfake, order);
  if (need_ddy && ddalpha) {
    a.u = in.ordered(real, order);
    a.w = in.ordered(fake, order);
  }
  if (need_dreal || need_dfake || need_dalpha) {
    a.g = in.ordered(dy, order);
  }
  a.alpha = in.contiguous(alpha);
  a.ddalpha = in.contiguous(ddalpha);
  a.out = data_if(need_ddy, ddy);
  a.out_x = data_if(need_dreal, dreal);
  a.out_y = data_if(need_dfake, dfake);
  a.dalpha = data_if(need_dalpha, dalpha);
  launch_if_any(a, dy);
  return {ddy, dreal, dfake, dalpha};
}

// ---- grad_norm_penalty

std::tuple<Tensor, Tensor> grad_norm_penalty(const Tensor& grad, double center) {
  const Tensor order = order_of(grad);
  Tensor penalty = numbers_like(grad), norm = numbers_like(grad);
  Inputs in;
  Arguments a = arguments(Op::grad_norm_penalty, Pass::forward, grad, center);
  a.g = a.x = in.ordered(grad, order);
  a.penalty = penalty.mutable_data_ptr();
  a.norm_out = norm.mutable_data_ptr();
  launch_if_any(a, grad);
  return {penalty, norm};
}

Tensor grad_norm_penalty_backward(
    const Tensor& dpenalty, const Tensor& grad, const Tensor& norm, double center) {
  check_numbers(grad, sum_type(grad), {dpenalty, norm});
  Tensor dgrad = samples_like(grad);
  Inputs in;
  Arguments a = arguments(Op::grad_norm_penalty, Pass::backward, grad, center);
  a.g = in.ordered(grad, dgrad);
  a.dpenalty = in.contiguous(dpenalty);
  a.norm = in.contiguous(norm);
  a.out_x = dgrad.mutable_data_ptr();
  launch_if_any(a, grad);
  return dgrad;
}

std::tuple<Tensor, Tensor> grad_norm_penalty_double_backward(
    const Tensor& ddgrad, const Tensor& dpenalty, const Tensor& grad, const Tensor& norm,
    double center, bool need_ddpenalty, bool need_dgrad) {
  check_samples(grad, {ddgrad});
  check_numbers(grad, sum_type(grad), {dpenalty, norm});
  const Tensor order = order_of(grad);
  Tensor ddpenalty = numbers_like(grad, need_ddpenalty), dgrad = samples_if(need_dgrad, grad);
  Inputs in;
  Arguments a = arguments(Op::grad_norm_penalty, Pass::double_backward, grad, center);
  a.g = in.ordered(grad, order);
  a.x = in.ordered(ddgrad, order);
  a.dpenalty = in.contiguous(dpenalty);
  a.norm = in.contiguous(norm);
  a.ddpenalty = data_if(need_ddpenalty, ddpenalty);
  a.out = data_if(need_dgrad, dgrad);
  launch_if_any(a, grad);
  return {ddpenalty, dgrad};
}

FG_REGISTER_WITH_DERIVATIVES(lerp_samples)
FG_REGISTER_WITH_DERIVATIVES(grad_norm_penalty)

}  // namespace
}  // namespace fg::gradient_penalty
