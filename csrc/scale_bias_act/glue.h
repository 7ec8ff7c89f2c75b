// The three registered ops in terms of tensors, for any `Device` that runs the kernels:
//
//   struct Device {
//     // Makes the tensor's device current.
//     explicit Device(const Tensor&);
//     // Returns the size of the partial sums' workspace in elements of the accumulation type.
//     std::int64_t workspace(const Arguments&) const;
//     // Runs the kernels and adds the sums up, in a fixed order.
//     void run(const Arguments&) const;
//   };
#pragma once

#include "../common/activation_options.h"
#include "../common/registration.h"
#include "../common/stable.h"
#include "problem.h"

namespace fg::scale_bias_act {

// Arguments of the op: x and its parameters, or directions of them.
struct Inputs {
  const OptionalTensor &x, &scale, &noise, &b;
};

struct Wanted {
  bool scale, noise, b;
};

inline void check_shape(
    const OptionalTensor& t, const char* name, const Tensor& like,
    std::initializer_list<std::int64_t> shape) {
  if (t) {
    bool fits = t->scalar_type() == like.scalar_type() &&
                t->dim() == static_cast<std::int64_t>(shape.size());
    std::int64_t d = 0;
    for (std::int64_t size : shape) {
      fits = fits && t->size(d++) == size;
    }
    STD_TORCH_CHECK(fits, name, " of scale_bias_act must fit the other tensors in shape and dtype");
  }
}

inline void check(const Tensor& like, const Inputs& i) {
  STD_TORCH_CHECK(
      like.dim() == 4, "images of scale_bias_act must be [N, C, H, W] tensors, got rank ",
      like.dim());
  const std::int64_t n = like.size(0), c = like.size(1), h = like.size(2), w = like.size(3);
  check_shape(i.x, "x", like, {n, c, h, w});
  check_shape(i.scale, "scale", like, {n, c});
  check_shape(
      i.noise, "noise", like,
      {i.noise && i.noise->dim() > 0 && i.noise->size(0) == 1 ? 1 : n, 1, h, w});
  check_shape(i.b, "b", like, {c});
}

// Return an empty result in the layout of `like`.
inline Tensor image_like(const Tensor& like) {
  const std::int64_t n = like.size(0), c = like.size(1), h = like.size(2), w = like.size(3);
  return is_channels_last(like) ? channels_first_view(torch::stable::new_empty(like, {n, h, w, c}))
                                : torch::stable::new_empty(like, {n, c, h, w});
}

inline Tensor nothing(const Tensor& like) { return torch::stable::new_empty(like, {0}); }

inline Tensor sums_of(const Tensor& like, bool wanted, std::initializer_list<std::int64_t> shape) {
  return wanted ? torch::stable::new_empty(like, shape) : nothing(like);
}

// Return an op's arguments. `out` is the first result, from image_like.
inline Arguments arguments(
    Pass pass, const Tensor& out, const ActivationOptions& o, bool shared_noise) {
  Arguments a{};
  a.pass = pass;
  a.dtype = dtype_of(out, "scale_bias_act");
  set_activation(a, o);
  a.layout = {out.size(0), out.size(1), out.size(2) * out.size(3), is_channels_last(out)};
  a.shared_noise = shared_noise;
  return a;
}

// Inputs other than gradients, in the memory order that kernels read. It must outlive the run.
struct Ordered {
  OptionalTensor x, scale, noise, b;

  Ordered(const Inputs& i, const Tensor& out)
      : x(in_order_of(i.x, out)), scale(contiguous(i.scale)), noise(contiguous(i.noise)),
        b(contiguous(i.b)) {}
};

inline void set_inputs(Arguments& a, const Ordered& i) {
  a.x = data_or_null(i.x);
  a.scale = data_or_null(i.scale);
  a.noise = data_or_null(i.noise);
  a.b = data_or_null(i.b);
}

// Gradients of scale, noise and b; [0] if not needed.
struct Sums {
  Tensor scale, noise, b;

  Sums(const Tensor& like, const Inputs& i, const Wanted& wanted)
      : scale(sums_of(like, wanted.scale, {like.size(0), like.size(1)})),
        noise(sums_of(
            like, wanted.noise, {i.noise ? i.noise->size(0) : 0, 1, like.size(2), like.size(3)})),
        b(sums_of(like, wanted.b, {like.size(1)})) {
    STD_TORCH_CHECK(!wanted.noise || i.noise, "need_dnoise must be false without noise");
  }

  void clear() {
    for (Tensor* t : {&scale, &noise, &b}) {
      torch::stable::zero_(*t);
    }
  }
};

template <class Device>
void run_with_sums(
    const Device& device, Arguments& a, Sums& sums, const Wanted& wanted, const Tensor& like) {
  a.dscale = wanted.scale ? sums.scale.mutable_data_ptr() : nullptr;
  a.dnoise = wanted.noise ? sums.noise.mutable_data_ptr() : nullptr;
  a.db = wanted.b ? sums.b.mutable_data_ptr() : nullptr;
  const auto sum_type = a.dtype == DType::f64 ? ScalarType::Double : ScalarType::Float;
  const std::int64_t size = wanted.scale || wanted.noise || wanted.b ? device.workspace(a) : 0;
  Tensor workspace = torch::stable::new_empty(like, {size}, sum_type);
  a.workspace = size ? workspace.mutable_data_ptr() : nullptr;
  device.run(a);
}

inline bool is_shared(const OptionalTensor& noise, const Tensor& like) {
  return noise && noise->size(0) != like.size(0);
}

template <class Device>
Tensor scale_bias_act(
    const Tensor& x_, const OptionalTensor& scale, const OptionalTensor& noise,
    const OptionalTensor& b, const std::string& act, double alpha, double gain,
    std::optional<double> clamp) {
  const OptionalTensor given(x_);
  const Inputs inputs{given, scale, noise, b};
  check(x_, inputs);
  Tensor y = image_like(x_);
  if (x_.numel() == 0) {
    return y;
  }
  const Device device(x_);
  const Ordered ordered(inputs, y);
  Arguments a = arguments(Pass::forward, y, {act, alpha, gain, clamp}, is_shared(noise, x_));
  set_inputs(a, ordered);
  a.out = y.mutable_data_ptr();
  device.run(a);
  return y;
}

template <class Device>
std::tuple<Tensor, Tensor, Tensor, Tensor> scale_bias_act_backward(
    const Tensor& dy_, const OptionalTensor& x, const OptionalTensor& scale,
    const OptionalTensor& noise, const OptionalTensor& b, const std::string& act, double alpha,
    double gain, std::optional<double> clamp, bool need_dscale, bool need_dnoise, bool need_db) {
  const Inputs inputs{x, scale, noise, b};
  const Wanted wanted{need_dscale, need_dnoise, need_db};
  check(dy_, inputs);
  STD_TORCH_CHECK(x || !need_dscale, "need_dscale must be false without x");
  Tensor dx = image_like(dy_);
  Sums sums(dy_, inputs, wanted);
  if (dy_.numel() == 0) {
    sums.clear();
    return {dx, sums.scale, sums.noise, sums.b};
  }
  const Device device(dy_);
  const Tensor dy = in_order_of(dy_, dx);
  const Ordered ordered(inputs, dx);
  Arguments a = arguments(Pass::backward, dx, {act, alpha, gain, clamp}, is_shared(noise, dy_));
  set_inputs(a, ordered);
  a.dy = dy.const_data_ptr();
  a.out = dx.mutable_data_ptr();
  run_with_sums(device, a, sums, wanted, dy);
  return {dx, sums.scale, sums.noise, sums.b};
}

template <class Device>
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> scale_bias_act_double_backward(
    const Tensor& ddx_, const OptionalTensor& ddscale, const OptionalTensor& ddnoise,
    const OptionalTensor& ddb, const Tensor& dy_, const OptionalTensor& x,
    const OptionalTensor& scale, const OptionalTensor& noise, const OptionalTensor& b,
    const std::string& act, double alpha, double gain, std::optional<double> clamp, bool need_dx,
    bool need_dscale, bool need_dnoise, bool need_db) {
  const OptionalTensor given_ddx(ddx_), given_dy(dy_);
  const Inputs inputs{x, scale, noise, b}, directions{given_ddx, ddscale, ddnoise, ddb};
  const Wanted wanted{need_dscale, need_dnoise, need_db};
  check(ddx_, inputs);
  check(ddx_, directions);
  check(ddx_, {given_dy, scale, noise, b});
  STD_TORCH_CHECK(x || !(need_dx || ddscale), "need_dx must be false and ddscale None without x");
  const bool shared = is_shared(noise, ddx_) || is_shared(ddnoise, ddx_);
  STD_TORCH_CHECK(
      !noise || !ddnoise || noise->size(0) == ddnoise->size(0),
      "ddnoise must have the shape of noise");
  Tensor ddy = image_like(ddx_);
  Tensor dx = need_dx ? image_like(ddx_) : nothing(ddx_);
  Sums sums(ddx_, inputs, wanted);
  if (ddx_.numel() == 0) {
    sums.clear();
    return {ddy, dx, sums.scale, sums.noise, sums.b};
  }
  const Device device(ddx_);
  const bool needs_dy = need_dx || need_dscale || need_dnoise || need_db;
  const OptionalTensor dy = needs_dy ? OptionalTensor(in_order_of(dy_, ddy)) : std::nullopt;
  const Ordered ordered(inputs, ddy), along(directions, ddy);
  Arguments a = arguments(Pass::double_backward, ddy, {act, alpha, gain, clamp}, shared);
  set_inputs(a, ordered);
  a.ddx = data_or_null(along.x);
  a.ddscale = data_or_null(along.scale);
  a.ddnoise = data_or_null(along.noise);
  a.ddb = data_or_null(along.b);
  a.dy = data_or_null(dy);
  a.out = ddy.mutable_data_ptr();
  a.out_x = need_dx ? dx.mutable_data_ptr() : nullptr;
  run_with_sums(device, a, sums, wanted, ddx_);
  return {ddy, dx, sums.scale, sums.noise, sums.b};
}

}  // namespace fg::scale_bias_act
