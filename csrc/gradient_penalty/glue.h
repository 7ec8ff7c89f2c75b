// The six registered ops in terms of tensors, for any `Device` that runs the kernels:
//
//   struct Device {
//     // Makes the tensor's device current.
//     explicit Device(const Tensor&);
//     // Returns the size of the sums' workspace in elements of the accumulation type.
//     std::int64_t workspace(const Arguments&) const;
//     // Runs the sweeps and adds their sums up, in a fixed order.
//     void run(const Arguments&) const;
//   };
#pragma once

#include "../common/stable.h"
#include "problem.h"

namespace fg::gradient_penalty {

inline Tensor nothing(const Tensor& like) { return torch::stable::new_empty(like, {0}); }

// Return an empty result for `t`. It has the strides of `t` where they are dense and each sample is
// one stretch of memory, else it is contiguous.
inline Tensor samples_like(const Tensor& t) {
  STD_TORCH_CHECK(t.dim() > 0, "a gradient penalty needs [N, ...] tensors, got a scalar");
  Tensor result = result_like(t);
  return result.stride(0) * result.size(0) == result.numel()
             ? result
             : torch::stable::new_empty(t, t.sizes());
}

inline Tensor samples_if(bool wanted, const Tensor& like) {
  return wanted ? samples_like(like) : nothing(like);
}

// Return `t` in the memory order of a result for it: `t` itself if it has that order, else a copy.
inline Tensor in_stretches(const Tensor& t) {
  return t.is_contiguous() ? t : in_order_of(t, samples_like(t));
}

inline void* data_if(bool wanted, const Tensor& t) {
  return wanted ? t.mutable_data_ptr() : nullptr;
}

inline void check_same(const Tensor& like, std::initializer_list<const OptionalTensor*> tensors) {
  for (const OptionalTensor* t : tensors) {
    if (*t) {
      bool fits = (*t)->scalar_type() == like.scalar_type() && (*t)->dim() == like.dim();
      for (std::int64_t d = 0; fits && d < like.dim(); ++d) {
        fits = (*t)->size(d) == like.size(d);
      }
      STD_TORCH_CHECK(fits, "the tensors of a gradient penalty must have one shape and dtype");
    }
  }
}

inline void check_numbers(
    const Tensor& like, ScalarType dtype, std::initializer_list<const OptionalTensor*> tensors) {
  for (const OptionalTensor* t : tensors) {
    STD_TORCH_CHECK(
        !*t || ((*t)->scalar_type() == dtype && (*t)->dim() == 1 && (*t)->size(0) == like.size(0)),
        "a gradient penalty needs one number for each of ", like.size(0), " samples");
  }
}

inline ScalarType sum_type(const Tensor& t) {
  return t.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

inline Tensor numbers_like(const Tensor& t, bool wanted = true) {
  return torch::stable::new_empty(t, {wanted ? t.size(0) : 0}, sum_type(t));
}

inline Arguments arguments(Op op, Pass pass, const Tensor& like, double center = 0) {
  Arguments a{};
  a.op = op;
  a.pass = pass;
  a.dtype = dtype_of(like, op == Op::lerp_samples ? "lerp_samples" : "grad_norm_penalty");
  const std::int64_t samples = like.size(0);
  a.layout = {samples, samples ? like.numel() / samples : 0};
  a.center = center;
  return a;
}

template <class Device>
void run(const Device& device, Arguments& a, const Tensor& like) {
  if (a.layout.samples == 0) {
    return;
  }
  Tensor workspace =
      torch::stable::new_empty(like, {a.wants_sums() ? device.workspace(a) : 0}, sum_type(like));
  a.workspace = data_if(a.wants_sums(), workspace);
  device.run(a);
}

// ---- lerp_samples

template <class Device>
Tensor lerp_samples(const Tensor& real_, const Tensor& fake_, const Tensor& alpha_) {
  const OptionalTensor given_fake(fake_), given_alpha(alpha_);
  check_same(real_, {&given_fake});
  check_numbers(real_, real_.scalar_type(), {&given_alpha});
  const Device device(real_);
  Tensor y = samples_like(real_);
  const Tensor real = in_order_of(real_, y), fake = in_order_of(fake_, y),
               alpha = torch::stable::contiguous(alpha_);
  Arguments a = arguments(Op::lerp_samples, Pass::forward, y);
  a.x = real.const_data_ptr();
  a.y = fake.const_data_ptr();
  a.alpha = alpha.const_data_ptr();
  a.out = y.mutable_data_ptr();
  run(device, a, y);
  return y;
}

template <class Device>
std::tuple<Tensor, Tensor, Tensor> lerp_samples_backward(
    const Tensor& dy_, const OptionalTensor& real_, const OptionalTensor& fake_,
    const Tensor& alpha_, bool need_dreal, bool need_dfake, bool need_dalpha) {
  const OptionalTensor given_alpha(alpha_);
  check_same(dy_, {&real_, &fake_});
  check_numbers(dy_, dy_.scalar_type(), {&given_alpha});
  STD_TORCH_CHECK(
      (real_ && fake_) || !need_dalpha, "need_dalpha must be false without real and fake");
  const Device device(dy_);
  const Tensor dy = in_stretches(dy_), alpha = torch::stable::contiguous(alpha_);
  const OptionalTensor real = need_dalpha ? in_order_of(real_, dy) : std::nullopt;
  const OptionalTensor fake = need_dalpha ? in_order_of(fake_, dy) : std::nullopt;
  Tensor dreal = samples_if(need_dreal, dy_), dfake = samples_if(need_dfake, dy_);
  Tensor dalpha = torch::stable::new_empty(dy_, {need_dalpha ? dy_.size(0) : 0});
  Arguments a = arguments(Op::lerp_samples, Pass::backward, dy);
  a.g = dy.const_data_ptr();
  a.x = data_or_null(real);
  a.y = data_or_null(fake);
  a.alpha = alpha.const_data_ptr();
  a.out_x = data_if(need_dreal, dreal);
  a.out_y = data_if(need_dfake, dfake);
  a.dalpha = data_if(need_dalpha, dalpha);
  run(device, a, dy);
  return {dreal, dfake, dalpha};
}

template <class Device>
std::tuple<Tensor, Tensor, Tensor, Tensor> lerp_samples_double_backward(
    const OptionalTensor& ddreal_, const OptionalTensor& ddfake_, const OptionalTensor& ddalpha_,
    const Tensor& dy_, const OptionalTensor& real_, const OptionalTensor& fake_,
    const Tensor& alpha_, bool need_ddy, bool need_dreal, bool need_dfake, bool need_dalpha) {
  const OptionalTensor given_alpha(alpha_);
  check_same(dy_, {&ddreal_, &ddfake_, &real_, &fake_});
  check_numbers(dy_, dy_.scalar_type(), {&given_alpha, &ddalpha_});
  STD_TORCH_CHECK((real_ && fake_) || !ddalpha_, "ddalpha must be None without real and fake");
  STD_TORCH_CHECK(
      ddalpha_ || !(need_dreal || need_dfake),
      "need_dreal and need_dfake must be false without ddalpha");
  const Device device(dy_);
  const bool bends = need_ddy && ddalpha_;
  const Tensor dy = in_stretches(dy_), alpha = torch::stable::contiguous(alpha_);
  const OptionalTensor ddreal = in_order_of(ddreal_, dy), ddfake = in_order_of(ddfake_, dy),
                       ddalpha = contiguous(ddalpha_);
  const OptionalTensor real = bends ? in_order_of(real_, dy) : std::nullopt;
  const OptionalTensor fake = bends ? in_order_of(fake_, dy) : std::nullopt;
  Tensor ddy = samples_if(need_ddy, dy_), dreal = samples_if(need_dreal, dy_),
         dfake = samples_if(need_dfake, dy_);
  Tensor dalpha = torch::stable::new_empty(dy_, {need_dalpha ? dy_.size(0) : 0});
  Arguments a = arguments(Op::lerp_samples, Pass::double_backward, dy);
  a.x = data_or_null(ddreal);
  a.y = data_or_null(ddfake);
  a.u = data_or_null(real);
  a.w = data_or_null(fake);
  a.g = need_dreal || need_dfake || need_dalpha ? dy.const_data_ptr() : nullptr;
  a.alpha = alpha.const_data_ptr();
  a.ddalpha = data_or_null(ddalpha);
  a.out = data_if(need_ddy, ddy);
  a.out_x = data_if(need_dreal, dreal);
  a.out_y = data_if(need_dfake, dfake);
  a.dalpha = data_if(need_dalpha, dalpha);
  run(device, a, dy);
  return {ddy, dreal, dfake, dalpha};
}

// ---- grad_norm_penalty

template <class Device>
std::tuple<Tensor, Tensor> grad_norm_penalty(const Tensor& grad_, double center) {
  const Device device(grad_);
  const Tensor grad = in_stretches(grad_);
  Tensor penalty = numbers_like(grad), norm = numbers_like(grad);
  Arguments a = arguments(Op::grad_norm_penalty, Pass::forward, grad, center);
  a.g = a.x = grad.const_data_ptr();
  a.penalty = penalty.mutable_data_ptr();
  a.norm_out = norm.mutable_data_ptr();
  run(device, a, grad);
  return {penalty, norm};
}

template <class Device>
Tensor grad_norm_penalty_backward(
    const Tensor& dpenalty_, const Tensor& grad_, const Tensor& norm_, double center) {
  const OptionalTensor given_dpenalty(dpenalty_), given_norm(norm_);
  check_numbers(grad_, sum_type(grad_), {&given_dpenalty, &given_norm});
  const Device device(grad_);
  Tensor dgrad = samples_like(grad_);
  const Tensor grad = in_order_of(grad_, dgrad);
  const Tensor dpenalty = torch::stable::contiguous(dpenalty_),
               norm = torch::stable::contiguous(norm_);
  Arguments a = arguments(Op::grad_norm_penalty, Pass::backward, grad, center);
  a.g = grad.const_data_ptr();
  a.dpenalty = dpenalty.const_data_ptr();
  a.norm = norm.const_data_ptr();
  a.out_x = dgrad.mutable_data_ptr();
  run(device, a, grad);
  return dgrad;
}

template <class Device>
std::tuple<Tensor, Tensor> grad_norm_penalty_double_backward(
    const Tensor& ddgrad_, const Tensor& dpenalty_, const Tensor& grad_, const Tensor& norm_,
    double center, bool need_ddpenalty, bool need_dgrad) {
  const OptionalTensor given_ddgrad(ddgrad_), given_dpenalty(dpenalty_), given_norm(norm_);
  check_same(grad_, {&given_ddgrad});
  check_numbers(grad_, sum_type(grad_), {&given_dpenalty, &given_norm});
  const Device device(grad_);
  const Tensor grad = in_stretches(grad_), ddgrad = in_order_of(ddgrad_, grad);
  const Tensor dpenalty = torch::stable::contiguous(dpenalty_),
               norm = torch::stable::contiguous(norm_);
  Tensor ddpenalty = numbers_like(grad, need_ddpenalty), dgrad = samples_if(need_dgrad, grad_);
  Arguments a = arguments(Op::grad_norm_penalty, Pass::double_backward, grad, center);
  a.g = grad.const_data_ptr();
  a.x = ddgrad.const_data_ptr();
  a.dpenalty = dpenalty.const_data_ptr();
  a.norm = norm.const_data_ptr();
  a.ddpenalty = data_if(need_ddpenalty, ddpenalty);
  a.out = data_if(need_dgrad, dgrad);
  run(device, a, grad);
  return {ddpenalty, dgrad};
}

}  // namespace fg::gradient_penalty

// Register the ops in a namespace for a dispatch key.
#define FG_REGISTER_GRADIENT_PENALTY(NAMESPACE, KEY, DEVICE)                                       \
  STABLE_TORCH_LIBRARY_IMPL(NAMESPACE, KEY, m) {                                                   \
    m.impl("lerp_samples", TORCH_BOX(&fg::gradient_penalty::lerp_samples<DEVICE>));                \
    m.impl(                                                                                        \
        "lerp_samples_backward", TORCH_BOX(&fg::gradient_penalty::lerp_samples_backward<DEVICE>)); \
    m.impl(                                                                                        \
        "lerp_samples_double_backward",                                                            \
        TORCH_BOX(&fg::gradient_penalty::lerp_samples_double_backward<DEVICE>));                   \
    m.impl("grad_norm_penalty", TORCH_BOX(&fg::gradient_penalty::grad_norm_penalty<DEVICE>));      \
    m.impl(                                                                                        \
        "grad_norm_penalty_backward",                                                              \
        TORCH_BOX(&fg::gradient_penalty::grad_norm_penalty_backward<DEVICE>));                     \
    m.impl(                                                                                        \
        "grad_norm_penalty_double_backward",                                                       \
        TORCH_BOX(&fg::gradient_penalty::grad_norm_penalty_double_backward<DEVICE>));              \
  }
