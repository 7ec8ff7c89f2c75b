#include "../common/glue.h"

#include "../common/activation_options.h"
#include "problem.h"

namespace fg::scale_bias_act {
namespace {

// Arguments of the op: x and its parameters, or directions of them.
struct Given {
  const OptionalTensor &x, &scale, &noise, &b;
};

struct Wanted {
  bool scale, noise, b;
};

void check(const Tensor& like, const Given& i) {
  STD_TORCH_CHECK(
      like.dim() == 4, "images of scale_bias_act must be [N, C, H, W] tensors, got rank ",
      like.dim());
  const std::int64_t n = like.size(0), c = like.size(1), h = like.size(2), w = like.size(3);
  const auto check_shape = [&](const OptionalTensor& t, const char* name, Sizes shape) {
    STD_TORCH_CHECK(
        fits(t, shape, like.scalar_type()), name,
        " of scale_bias_act must fit the other tensors in shape and dtype");
  };
  check_shape(i.x, "x", {n, c, h, w});
  check_shape(i.scale, "scale", {n, c});
  check_shape(
      i.noise, "noise", {i.noise && i.noise->dim() > 0 && i.noise->size(0) == 1 ? 1 : n, 1, h, w});
  check_shape(i.b, "b", {c});
}

bool is_shared(const OptionalTensor& noise, const Tensor& like) {
  return noise && noise->size(0) != like.size(0);
}

// Return an op's arguments with its inputs. `out` is the first result, from images_like.
Arguments arguments(
    Pass pass, const Tensor& out, const ActivationOptions& o, bool shared_noise, const Given& i,
    Inputs& in) {
  Arguments a{};
  a.pass = pass;
  a.dtype = dtype_of(out, "scale_bias_act");
  set_activation(a, o);
  a.layout = image_layout(out);
  a.shared_noise = shared_noise;
  a.x = in.ordered(i.x, out);
  a.scale = in.contiguous(i.scale);
  a.noise = in.contiguous(i.noise);
  a.b = in.contiguous(i.b);
  a.out = out.mutable_data_ptr();
  return a;
}

// Gradients of scale, noise and b; [0] if not needed.
struct Sums {
  Tensor scale, noise, b;

  Sums(const Tensor& like, const Given& i, const Wanted& wanted)
      : scale(empty_if(wanted.scale, like, {like.size(0), like.size(1)})),
        noise(empty_if(
            wanted.noise, like, {i.noise ? i.noise->size(0) : 0, 1, like.size(2), like.size(3)})),
        b(empty_if(wanted.b, like, {like.size(1)})) {
    STD_TORCH_CHECK(!wanted.noise || i.noise, "need_dnoise must be false without noise");
  }
};

void launch_with_sums(Arguments& a, Sums& sums, const Wanted& wanted, const Tensor& like) {
  a.dscale = data_if(wanted.scale, sums.scale);
  a.dnoise = data_if(wanted.noise, sums.noise);
  a.db = data_if(wanted.b, sums.b);
  launch_with_workspace(a, like, "scale_bias_act");
}

Tensor scale_bias_act(
    const Tensor& x, const OptionalTensor& scale, const OptionalTensor& noise,
    const OptionalTensor& b, const std::string& act, double alpha, double gain,
    std::optional<double> clamp) {
  const OptionalTensor given_x(x);
  const Given given{given_x, scale, noise, b};
  check(x, given);
  Tensor y = images_like(x);
  if (x.numel() == 0) {
    return y;
  }
  Inputs in;
  Arguments a =
      arguments(Pass::forward, y, {act, alpha, gain, clamp}, is_shared(noise, x), given, in);
  launch(a, y, "scale_bias_act");
  return y;
}

std::tuple<Tensor, Tensor, Tensor, Tensor> scale_bias_act_backward(
    const Tensor& dy, const OptionalTensor& x, const OptionalTensor& scale,
    const OptionalTensor& noise, const OptionalTensor& b, const std::string& act, double alpha,
    double gain, std::optional<double> clamp, bool need_dscale, bool need_dnoise, bool need_db) {
  const Given given{x, scale, noise, b};
  const Wanted wanted{need_dscale, need_dnoise, need_db};
  check(dy, given);
  STD_TORCH_CHECK(x || !need_dscale, "need_dscale must be false without x");
  Tensor dx = images_like(dy);
  Sums sums(dy, given, wanted);
  if (dy.numel() == 0) {
    clear({&sums.scale, &sums.noise, &sums.b});
    return {dx, sums.scale, sums.noise, sums.b};
  }
  Inputs in;
  Arguments a =
      arguments(Pass::backward, dx, {act, alpha, gain, clamp}, is_shared(noise, dy), given, in);
  a.dy = in.ordered(dy, dx);
  launch_with_sums(a, sums, wanted, dx);
  return {dx, sums.scale, sums.noise, sums.b};
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> scale_bias_act_double_backward(
    const Tensor& ddx, const OptionalTensor& ddscale, const OptionalTensor& ddnoise,
    const OptionalTensor& ddb, const Tensor& dy, const OptionalTensor& x,
    const OptionalTensor& scale, const OptionalTensor& noise, const OptionalTensor& b,
    const std::string& act, double alpha, double gain, std::optional<double> clamp, bool need_dx,
    bool need_dscale, bool need_dnoise, bool need_db) {
  const OptionalTensor given_ddx(ddx), given_dy(dy);
  const Given given{x, scale, noise, b};
  const Wanted wanted{need_dscale, need_dnoise, need_db};
  check(ddx, given);
  check(ddx, {given_ddx, ddscale, ddnoise, ddb});
  check(ddx, {given_dy, scale, noise, b});
  STD_TORCH_CHECK(x || !(need_dx || ddscale), "need_dx must be false and ddscale None without x");
  STD_TORCH_CHECK(
      !noise || !ddnoise || noise->size(0) == ddnoise->size(0),
      "ddnoise must have the shape of noise");
  Tensor ddy = images_like(ddx);
  Tensor dx = need_dx ? images_like(ddx) : nothing(ddx);
  Sums sums(ddx, given, wanted);
  if (ddx.numel() == 0) {
    clear({&sums.scale, &sums.noise, &sums.b});
    return {ddy, dx, sums.scale, sums.noise, sums.b};
  }
  const bool shared = is_shared(noise, ddx) || is_shared(ddnoise, ddx);
  Inputs in;
  Arguments a = arguments(Pass::double_backward, ddy, {act, alpha, gain, clamp}, shared, given, in);
  a.ddx = in.ordered(ddx, ddy);
  a.ddscale = in.contiguous(ddscale);
  a.ddnoise = in.contiguous(ddnoise);
  a.ddb = in.contiguous(ddb);
  if (need_dx || need_dscale || need_dnoise || need_db) {
    a.dy = in.ordered(dy, ddy);
  }
  a.out_x = data_if(need_dx, dx);
  launch_with_sums(a, sums, wanted, ddy);
  return {ddy, dx, sums.scale, sums.noise, sums.b};
}

FG_REGISTER_WITH_DERIVATIVES(scale_bias_act)

}  // namespace
}  // namespace fg::scale_bias_act
