#include "../common/glue.h"

#include "../common/activation_options.h"
#include "problem.h"

namespace fg::bias_act {
namespace {

// Arguments of the op besides tensors.
struct Options {
  std::int64_t dim;
  ActivationOptions activation;
};

// Return an op's arguments. `like` is dense, not empty, and has the memory order of the results.
Arguments arguments(Pass pass, const Tensor& like, const Options& o) {
  Arguments a{};
  a.pass = pass;
  a.dtype = dtype_of(like, "bias_act");
  set_activation(a, o.activation);
  const std::int64_t channels = like.size(o.dim), inner = channels > 1 ? like.stride(o.dim) : 1;
  a.layout = {like.numel() / (channels * inner), channels, inner};
  return a;
}

void check(
    const Tensor& main, const Options& o, std::initializer_list<OptionalTensor> same,
    std::initializer_list<OptionalTensor> biases) {
  STD_TORCH_CHECK(
      o.dim >= 0 && o.dim < main.dim(), "dim must be from 0 to ", main.dim() - 1, ", got ", o.dim);
  check_like(main, same, "the tensors of a derivative of bias_act");
  for (const OptionalTensor& b : biases) {
    STD_TORCH_CHECK(
        fits(b, {main.size(o.dim)}, main.scalar_type()),
        "a bias must have the dtype of the other tensors and shape [", main.size(o.dim), "]");
  }
}

// Set the inputs that both derivatives may have, run, and return the gradient of the bias.
// `like` is a result.
Tensor finish(
    Arguments& a, Inputs& in, const OptionalTensor& x, const OptionalTensor& b,
    const OptionalTensor& y, const Tensor& like, bool need_db) {
  a.x = in.ordered(x, like);
  a.b = in.contiguous(b);
  a.y = in.ordered(y, like);
  Tensor db = empty_if(need_db, like, {a.layout.channels});
  a.db = data_if(need_db, db);
  launch_with_workspace(a, like, "bias_act");
  return db;
}

Tensor db_of_nothing(const Tensor& like, std::int64_t dim, bool need_db) {
  Tensor db = empty_if(need_db, like, {like.size(dim)});
  return torch::stable::zero_(db);
}

Tensor bias_act(
    const Tensor& x, const OptionalTensor& b, std::int64_t dim, const std::string& act,
    double alpha, double gain, std::optional<double> clamp) {
  const Options o{dim, {act, alpha, gain, clamp}};
  check(x, o, {}, {b});
  Tensor y = result_like(x);
  if (x.numel() == 0) {
    return y;
  }
  Arguments a = arguments(Pass::forward, y, o);
  Inputs in;
  a.x = in.ordered(x, y);
  a.b = in.contiguous(b);
  a.out = y.mutable_data_ptr();
  launch(a, y, "bias_act");
  return y;
}

std::tuple<Tensor, Tensor> bias_act_backward(
    const Tensor& dy, const OptionalTensor& x, const OptionalTensor& b, const OptionalTensor& y,
    std::int64_t dim, const std::string& act, double alpha, double gain,
    std::optional<double> clamp, bool need_db) {
  const Options o{dim, {act, alpha, gain, clamp}};
  check(dy, o, {x, y}, {b});
  Tensor dx = result_like(dy);
  if (dy.numel() == 0) {
    return {dx, db_of_nothing(dy, dim, need_db)};
  }
  Arguments a = arguments(Pass::backward, dx, o);
  Inputs in;
  a.dy = in.ordered(dy, dx);
  a.out = dx.mutable_data_ptr();
  return {dx, finish(a, in, x, b, y, dx, need_db)};
}

std::tuple<Tensor, Tensor, Tensor> bias_act_double_backward(
    const Tensor& ddx, const OptionalTensor& ddb, const OptionalTensor& dy, const OptionalTensor& x,
    const OptionalTensor& b, const OptionalTensor& y, std::int64_t dim, const std::string& act,
    double alpha, double gain, std::optional<double> clamp, bool need_db) {
  const Options o{dim, {act, alpha, gain, clamp}};
  check(ddx, o, {dy, x, y}, {b, ddb});
  const bool curved = dy.has_value();
  STD_TORCH_CHECK(
      curved || !need_db,
      "need_db must be false without dy: the second derivative in x is zero then");
  Tensor ddy = result_like(ddx), dx = result_if(curved, ddx);
  if (ddx.numel() == 0) {
    return {ddy, dx, db_of_nothing(ddx, dim, need_db)};
  }
  Arguments a = arguments(Pass::double_backward, ddy, o);
  Inputs in;
  a.ddx = in.ordered(ddx, ddy);
  a.ddb = in.contiguous(ddb);
  a.dy = in.ordered(dy, ddy);
  a.out = ddy.mutable_data_ptr();
  a.out_v = data_if(curved, dx);
  return {ddy, dx, finish(a, in, x, b, y, ddy, need_db)};
}

FG_REGISTER_WITH_DERIVATIVES(bias_act)

}  // namespace
}  // namespace fg::bias_act
