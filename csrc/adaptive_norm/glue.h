// The three registered ops in terms of tensors, for any `Device` that runs the kernels:
//
//   struct Device {
//     // Makes the tensor's device current.
//     explicit Device(const Tensor&);
//     // Returns the size of a run's workspace in elements of the accumulation type.
//     std::int64_t workspace(const Arguments&) const;
//     void run(const Arguments&) const;
//   };
#pragma once

#include "../common/activation_options.h"
#include "../scale_bias_act/glue.h"
#include "problem.h"

namespace fg::adaptive_norm {

using scale_bias_act::image_like;

// The last arguments of every op.
struct Settings {
  const std::string& over;
  double eps;
  ActivationOptions activation;
};

// Arguments of a norm besides the image. Scale and shift are both [N, C], or both maps with the
// shape of the image.
struct Parameters {
  const OptionalTensor &scale, &shift, &mean, &var;

  bool maps() const { return (scale && scale->dim() == 4) || (shift && shift->dim() == 4); }
};

inline Over over_of(const std::string& over) {
  STD_TORCH_CHECK(
      over == "given" || over == "sample" || over == "batch",
      "over must be given, sample or batch, got ", over);
  return over == "given" ? Over::given : over == "sample" ? Over::sample : Over::batch;
}

inline ScalarType wide_type(const Tensor& like) {
  return like.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

inline void check_image(const OptionalTensor& t, const char* name, const Tensor& like) {
  scale_bias_act::check_shape(
      t, name, like, {like.size(0), like.size(1), like.size(2), like.size(3)});
}

// Check that t is [rows, C].
inline void check_numbers(
    const OptionalTensor& t, const char* name, const Tensor& like, std::int64_t rows,
    ScalarType type) {
  STD_TORCH_CHECK(
      !t || (t->scalar_type() == type && t->dim() == 2 && t->size(0) == rows &&
             t->size(1) == like.size(1)),
      name, " of adaptive_norm must fit the other tensors in shape and dtype");
}

// Check parameters, or directions of them. Directions of mean and variance always have one number
// for each image.
inline void check_parameters(const Tensor& like, const Parameters& p, bool of_batch) {
  STD_TORCH_CHECK(
      like.dim() == 4, "images of adaptive_norm must be [N, C, H, W] tensors, got rank ",
      like.dim());
  const std::int64_t n = like.size(0);
  if (p.maps()) {
    check_image(p.scale, "scale", like);
    check_image(p.shift, "shift", like);
  } else {
    check_numbers(p.scale, "scale", like, n, like.scalar_type());
    check_numbers(p.shift, "shift", like, n, like.scalar_type());
  }
  check_numbers(p.mean, "mean", like, of_batch ? 1 : n, wide_type(like));
  check_numbers(p.var, "var", like, of_batch ? 1 : n, wide_type(like));
}

// Return an op's arguments. `out` is the first result, from image_like.
inline Arguments arguments(Pass pass, const Tensor& out, const Settings& s) {
  Arguments a{};
  a.pass = pass;
  a.dtype = dtype_of(out, "adaptive_norm");
  set_activation(a, s.activation);
  a.eps = s.eps;
  a.layout = {out.size(0), out.size(1), out.size(2) * out.size(3), is_channels_last(out)};
  a.over = over_of(s.over);
  return a;
}

// Parameters in the memory order that kernels read, maps in that of `out`. It must outlive the run.
struct Ordered {
  bool maps;
  OptionalTensor scale, shift, mean, var;

  Ordered(const Parameters& p, const Tensor& out)
      : maps(p.maps()), scale(maps ? in_order_of(p.scale, out) : contiguous(p.scale)),
        shift(maps ? in_order_of(p.shift, out) : contiguous(p.shift)), mean(contiguous(p.mean)),
        var(contiguous(p.var)) {}
};

inline void set_parameters(Arguments& a, const Ordered& o) {
  (o.maps ? a.scale_map : a.scale) = data_or_null(o.scale);
  (o.maps ? a.shift_map : a.shift) = data_or_null(o.shift);
  a.mean = data_or_null(o.mean);
  a.var = data_or_null(o.var);
}

struct Wanted {
  bool scale, shift, stats;
};

// Gradients of the parameters, [0] if not needed. With maps, dshift always exists because the
// backward sweep reads it.
struct Gradients {
  bool maps;
  Tensor scale, shift, mean, var;

  Gradients(const Tensor& like, const Wanted& w, bool maps_)
      : maps(maps_),
        scale(maps && w.scale ? image_like(like) : numbers(like, w.scale, like.scalar_type())),
        shift(maps ? image_like(like) : numbers(like, w.shift, like.scalar_type())),
        mean(numbers(like, w.stats, wide_type(like))),
        var(numbers(like, w.stats, wide_type(like))) {}

  void clear() {
    for (Tensor* t : {&scale, &shift, &mean, &var}) {
      torch::stable::zero_(*t);
    }
  }

  void put(Arguments& a, const Wanted& w) {
    (maps ? a.dscale_map : a.dscale) = w.scale ? scale.mutable_data_ptr() : nullptr;
    (maps ? a.dshift_map : a.dshift) = w.shift || maps ? shift.mutable_data_ptr() : nullptr;
    a.dmean = w.stats ? mean.mutable_data_ptr() : nullptr;
    a.dvar = w.stats ? var.mutable_data_ptr() : nullptr;
  }

 private:
  static Tensor numbers(const Tensor& like, bool wanted, ScalarType type) {
    return wanted ? torch::stable::new_empty(like, {like.size(0), like.size(1)}, type)
                  : torch::stable::new_empty(like, {0}, type);
  }
};

template <class Device>
void run(const Device& device, Arguments& a, const Tensor& like) {
  Tensor workspace = torch::stable::new_empty(like, {device.workspace(a)}, wide_type(like));
  a.workspace = workspace.mutable_data_ptr();
  device.run(a);
}

template <class Device>
std::tuple<Tensor, Tensor, Tensor> adaptive_norm(
    const Tensor& x_, const OptionalTensor& scale, const OptionalTensor& shift,
    const OptionalTensor& mean, const OptionalTensor& var, const OptionalTensor& residual_,
    const std::string& over, double eps, const std::string& act, double alpha, double gain,
    std::optional<double> clamp) {
  const Parameters parameters{scale, shift, mean, var};
  check_parameters(x_, parameters, false);
  check_image(residual_, "residual", x_);
  Tensor y = image_like(x_);
  Arguments a = arguments(Pass::forward, y, {over, eps, {act, alpha, gain, clamp}});
  STD_TORCH_CHECK(
      a.own() != (mean && var),
      "mean and var must be given if and only if over is 'given', got over '", over, "'");
  const auto found = [&] {
    return a.own() ? torch::stable::new_empty(
                         x_, {a.over == Over::batch ? 1 : x_.size(0), x_.size(1)}, wide_type(x_))
                   : torch::stable::new_empty(x_, {0}, wide_type(x_));
  };
  Tensor mean_out = found(), var_out = found();
  if (x_.numel() == 0) {
    torch::stable::zero_(mean_out);
    torch::stable::zero_(var_out);
    return {y, mean_out, var_out};
  }
  const Device device(x_);
  const Tensor x = in_order_of(x_, y);
  const OptionalTensor residual = in_order_of(residual_, y);
  const Ordered ordered(parameters, y);
  set_parameters(a, ordered);
  a.x = x.const_data_ptr();
  a.residual = data_or_null(residual);
  a.out = y.mutable_data_ptr();
  a.mean_out = a.own() ? mean_out.mutable_data_ptr() : nullptr;
  a.var_out = a.own() ? var_out.mutable_data_ptr() : nullptr;
  run(device, a, x_);
  return {y, mean_out, var_out};
}

template <class Device>
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> adaptive_norm_backward(
    const Tensor& dy_, const Tensor& x_, const OptionalTensor& scale, const OptionalTensor& shift,
    const Tensor& mean_, const Tensor& var_, const std::string& over, double eps,
    const std::string& act, double alpha, double gain, std::optional<double> clamp,
    bool need_dscale, bool need_dshift, bool need_dstats) {
  const OptionalTensor mean(mean_), var(var_);
  const Parameters parameters{scale, shift, mean, var};
  const Wanted wanted{need_dscale, need_dshift, need_dstats};
  Tensor dx = image_like(dy_);
  Arguments a = arguments(Pass::backward, dx, {over, eps, {act, alpha, gain, clamp}});
  check_parameters(dy_, parameters, a.over == Over::batch);
  check_image(x_, "x", dy_);
  Gradients gradients(dy_, wanted, parameters.maps());
  if (dy_.numel() == 0) {
    gradients.clear();
    return {dx, gradients.scale, gradients.shift, gradients.mean, gradients.var};
  }
  const Device device(dy_);
  const Tensor dy = in_order_of(dy_, dx), x = in_order_of(x_, dx);
  const Ordered ordered(parameters, dx);
  set_parameters(a, ordered);
  a.dy = dy.const_data_ptr();
  a.x = x.const_data_ptr();
  a.out = dx.mutable_data_ptr();
  gradients.put(a, wanted);
  run(device, a, dy_);
  return {dx, gradients.scale, gradients.shift, gradients.mean, gradients.var};
}

template <class Device>
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> adaptive_norm_double_backward(
    const Tensor& ddx_, const OptionalTensor& ddscale, const OptionalTensor& ddshift,
    const OptionalTensor& ddmean, const OptionalTensor& ddvar, const Tensor& dy_, const Tensor& x_,
    const OptionalTensor& scale, const OptionalTensor& shift, const Tensor& mean_,
    const Tensor& var_, const std::string& over, double eps, const std::string& act, double alpha,
    double gain, std::optional<double> clamp, bool need_dx, bool need_dscale, bool need_dshift,
    bool need_dstats) {
  const OptionalTensor mean(mean_), var(var_);
  const Parameters parameters{scale, shift, mean, var}, directions{ddscale, ddshift, ddmean, ddvar};
  const Wanted wanted{need_dscale, need_dshift, need_dstats};
  Tensor ddy = image_like(ddx_);
  Tensor dx = need_dx ? image_like(ddx_) : scale_bias_act::nothing(ddx_);
  Arguments a = arguments(Pass::double_backward, ddy, {over, eps, {act, alpha, gain, clamp}});
  STD_TORCH_CHECK(
      !parameters.maps(),
      "scale and shift of a second derivative of adaptive_norm must not be maps");
  check_parameters(ddx_, parameters, a.over == Over::batch);
  check_parameters(ddx_, directions, false);
  check_image(dy_, "dy", ddx_);
  check_image(x_, "x", ddx_);
  Gradients gradients(ddx_, wanted, false);
  if (ddx_.numel() == 0) {
    gradients.clear();
    return {ddy, dx, gradients.scale, gradients.shift, gradients.mean, gradients.var};
  }
  const Device device(ddx_);
  const Tensor ddx = in_order_of(ddx_, ddy), dy = in_order_of(dy_, ddy), x = in_order_of(x_, ddy);
  const Ordered ordered(parameters, ddy), along(directions, ddy);
  set_parameters(a, ordered);
  a.ddscale = data_or_null(along.scale);
  a.ddshift = data_or_null(along.shift);
  a.ddmean = data_or_null(along.mean);
  a.ddvar = data_or_null(along.var);
  a.ddx = ddx.const_data_ptr();
  a.dy = dy.const_data_ptr();
  a.x = x.const_data_ptr();
  a.out = ddy.mutable_data_ptr();
  a.out_x = need_dx ? dx.mutable_data_ptr() : nullptr;
  gradients.put(a, wanted);
  run(device, a, ddx_);
  return {ddy, dx, gradients.scale, gradients.shift, gradients.mean, gradients.var};
}

}  // namespace fg::adaptive_norm
