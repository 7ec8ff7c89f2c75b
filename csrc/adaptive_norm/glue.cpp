#include "../common/glue.h"

#include "../common/activation_options.h"
#include "problem.h"

namespace fg::adaptive_norm {
namespace {

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

Over over_of(const std::string& over) {
  STD_TORCH_CHECK(
      over == "given" || over == "sample" || over == "batch",
      "over must be given, sample or batch, got ", over);
  return over == "given" ? Over::given : over == "sample" ? Over::sample : Over::batch;
}

void check(const OptionalTensor& t, const char* name, Sizes shape, ScalarType dtype) {
  STD_TORCH_CHECK(
      fits(t, shape, dtype), name,
      " of adaptive_norm must fit the other tensors in shape and dtype");
}

void check_image(const OptionalTensor& t, const char* name, const Tensor& like) {
  check(t, name, like.sizes(), like.scalar_type());
}

// Check parameters, or directions of them. Directions of mean and variance always have one number
// for each image.
void check_parameters(const Tensor& like, const Parameters& p, bool of_batch) {
  STD_TORCH_CHECK(
      like.dim() == 4, "images of adaptive_norm must be [N, C, H, W] tensors, got rank ",
      like.dim());
  const std::int64_t n = like.size(0), c = like.size(1), rows = of_batch ? 1 : n;
  if (p.maps()) {
    check_image(p.scale, "scale", like);
    check_image(p.shift, "shift", like);
  } else {
    check(p.scale, "scale", {n, c}, like.scalar_type());
    check(p.shift, "shift", {n, c}, like.scalar_type());
  }
  check(p.mean, "mean", {rows, c}, sum_type(like));
  check(p.var, "var", {rows, c}, sum_type(like));
}

// Return an op's arguments with its parameters. `out` is the first result, from images_like.
Arguments arguments(
    Pass pass, const Tensor& out, const Settings& s, const Parameters& p, Inputs& in) {
  Arguments a{};
  a.pass = pass;
  a.dtype = dtype_of(out, "adaptive_norm");
  set_activation(a, s.activation);
  a.eps = s.eps;
  a.layout = image_layout(out);
  a.over = over_of(s.over);
  if (p.maps()) {
    a.scale_map = in.ordered(p.scale, out);
    a.shift_map = in.ordered(p.shift, out);
  } else {
    a.scale = in.contiguous(p.scale);
    a.shift = in.contiguous(p.shift);
  }
  a.mean = in.contiguous(p.mean);
  a.var = in.contiguous(p.var);
  a.out = out.mutable_data_ptr();
  return a;
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
        scale(maps && w.scale ? images_like(like) : numbers(like, w.scale, like.scalar_type())),
        shift(maps ? images_like(like) : numbers(like, w.shift, like.scalar_type())),
        mean(numbers(like, w.stats, sum_type(like))), var(numbers(like, w.stats, sum_type(like))) {}

  void put(Arguments& a, const Wanted& w) {
    (maps ? a.dscale_map : a.dscale) = data_if(w.scale, scale);
    (maps ? a.dshift_map : a.dshift) = data_if(w.shift || maps, shift);
    a.dmean = data_if(w.stats, mean);
    a.dvar = data_if(w.stats, var);
  }

 private:
  static Tensor numbers(const Tensor& like, bool wanted, ScalarType type) {
    return empty_if(wanted, like, {like.size(0), like.size(1)}, type);
  }
};

std::tuple<Tensor, Tensor, Tensor> adaptive_norm(
    const Tensor& x, const OptionalTensor& scale, const OptionalTensor& shift,
    const OptionalTensor& mean, const OptionalTensor& var, const OptionalTensor& residual,
    const std::string& over, double eps, const std::string& act, double alpha, double gain,
    std::optional<double> clamp) {
  const Parameters parameters{scale, shift, mean, var};
  check_parameters(x, parameters, false);
  check_image(residual, "residual", x);
  Tensor y = images_like(x);
  Inputs in;
  Arguments a = arguments(Pass::forward, y, {over, eps, {act, alpha, gain, clamp}}, parameters, in);
  STD_TORCH_CHECK(
      a.own() != (mean && var),
      "mean and var must be given if and only if over is 'given', got over '", over, "'");
  const std::int64_t rows = a.over == Over::batch ? 1 : x.size(0);
  Tensor mean_out = empty_if(a.own(), x, {rows, x.size(1)}, sum_type(x)),
         var_out = empty_if(a.own(), x, {rows, x.size(1)}, sum_type(x));
  if (x.numel() == 0) {
    clear({&mean_out, &var_out});
    return {y, mean_out, var_out};
  }
  a.x = in.ordered(x, y);
  a.residual = in.ordered(residual, y);
  a.mean_out = data_if(a.own(), mean_out);
  a.var_out = data_if(a.own(), var_out);
  launch_with_workspace(a, y, "adaptive_norm");
  return {y, mean_out, var_out};
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> adaptive_norm_backward(
    const Tensor& dy, const Tensor& x, const OptionalTensor& scale, const OptionalTensor& shift,
    const Tensor& mean_, const Tensor& var_, const std::string& over, double eps,
    const std::string& act, double alpha, double gain, std::optional<double> clamp,
    bool need_dscale, bool need_dshift, bool need_dstats) {
  const OptionalTensor mean(mean_), var(var_);
  const Parameters parameters{scale, shift, mean, var};
  const Wanted wanted{need_dscale, need_dshift, need_dstats};
  check_parameters(dy, parameters, over_of(over) == Over::batch);
  check_image(x, "x", dy);
  Tensor dx = images_like(dy);
  Gradients g(dy, wanted, parameters.maps());
  if (dy.numel() == 0) {
    clear({&g.scale, &g.shift, &g.mean, &g.var});
    return {dx, g.scale, g.shift, g.mean, g.var};
  }
  Inputs in;
  Arguments a =
      arguments(Pass::backward, dx, {over, eps, {act, alpha, gain, clamp}}, parameters, in);
  a.dy = in.ordered(dy, dx);
  a.x = in.ordered(x, dx);
  g.put(a, wanted);
  launch_with_workspace(a, dx, "adaptive_norm");
  return {dx, g.scale, g.shift, g.mean, g.var};
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> adaptive_norm_double_backward(
    const Tensor& ddx, const OptionalTensor& ddscale, const OptionalTensor& ddshift,
    const OptionalTensor& ddmean, const OptionalTensor& ddvar, const Tensor& dy, const Tensor& x,
    const OptionalTensor& scale, const OptionalTensor& shift, const Tensor& mean_,
    const Tensor& var_, const std::string& over, double eps, const std::string& act, double alpha,
    double gain, std::optional<double> clamp, bool need_dx, bool need_dscale, bool need_dshift,
    bool need_dstats) {
  const OptionalTensor mean(mean_), var(var_);
  const Parameters parameters{scale, shift, mean, var};
  const Wanted wanted{need_dscale, need_dshift, need_dstats};
  STD_TORCH_CHECK(
      !parameters.maps(),
      "scale and shift of a second derivative of adaptive_norm must not be maps");
  check_parameters(ddx, parameters, over_of(over) == Over::batch);
  check_parameters(ddx, {ddscale, ddshift, ddmean, ddvar}, false);
  check_image(dy, "dy", ddx);
  check_image(x, "x", ddx);
  Tensor ddy = images_like(ddx), dx = need_dx ? images_like(ddx) : nothing(ddx);
  Gradients g(ddx, wanted, false);
  if (ddx.numel() == 0) {
    clear({&g.scale, &g.shift, &g.mean, &g.var});
    return {ddy, dx, g.scale, g.shift, g.mean, g.var};
  }
  Inputs in;
  Arguments a =
      arguments(Pass::double_backward, ddy, {over, eps, {act, alpha, gain, clamp}}, parameters, in);
  a.ddscale = in.contiguous(ddscale);
  a.ddshift = in.contiguous(ddshift);
  a.ddmean = in.contiguous(ddmean);
  a.ddvar = in.contiguous(ddvar);
  a.ddx = in.ordered(ddx, ddy);
  a.dy = in.ordered(dy, ddy);
  a.x = in.ordered(x, ddy);
  a.out_x = data_if(need_dx, dx);
  g.put(a, wanted);
  launch_with_workspace(a, ddy, "adaptive_norm");
  return {ddy, dx, g.scale, g.shift, g.mean, g.var};
}

FG_REGISTER_WITH_DERIVATIVES(adaptive_norm)

}  // namespace
}  // namespace fg::adaptive_norm
