#include "../common/glue.h"

#include "problem.h"

namespace fg::pixel_norm {
namespace {

void check(const Tensor& x, std::int64_t dim, std::initializer_list<OptionalTensor> same) {
  STD_TORCH_CHECK(dim >= 0 && dim < x.dim(), "dim must be from 0 to ", x.dim() - 1, ", got ", dim);
  check_like(x, same, "the tensors of a derivative of pixel_norm");
}

// Return an op's arguments. `like` is dense, not empty, and has the memory order of the results.
Arguments arguments(Pass pass, const Tensor& like, std::int64_t dim, double eps) {
  Arguments a{};
  a.pass = pass;
  a.dtype = dtype_of(like, "pixel_norm");
  const std::int64_t channels = like.size(dim),
                     inner = channels > 1 ? like.stride(dim) : like.numel();
  a.layout = {like.numel() / (channels * inner), channels, inner};
  a.eps = eps;
  return a;
}

Tensor pixel_norm(const Tensor& x, std::int64_t dim, double eps) {
  check(x, dim, {});
  Tensor y = result_like(x);
  if (x.numel() == 0) {
    return y;
  }
  Arguments a = arguments(Pass::forward, y, dim, eps);
  Inputs in;
  a.x = in.ordered(x, y);
  a.out = y.mutable_data_ptr();
  launch(a, y, "pixel_norm");
  return y;
}

Tensor pixel_norm_backward(const Tensor& dy, const Tensor& x, std::int64_t dim, double eps) {
  check(x, dim, {dy});
  Tensor dx = result_like(x);
  if (x.numel() == 0) {
    return dx;
  }
  Arguments a = arguments(Pass::backward, dx, dim, eps);
  Inputs in;
  a.dy = in.ordered(dy, dx);
  a.x = in.ordered(x, dx);
  a.out = dx.mutable_data_ptr();
  launch(a, dx, "pixel_norm");
  return dx;
}

std::tuple<Tensor, Tensor> pixel_norm_double_backward(
    const Tensor& ddx, const Tensor& dy, const Tensor& x, std::int64_t dim, double eps,
    bool need_ddy, bool need_dx) {
  check(x, dim, {ddx, dy});
  Tensor ddy = result_if(need_ddy, x), dx = result_if(need_dx, x);
  if (x.numel() == 0 || !(need_ddy || need_dx)) {
    return {ddy, dx};
  }
  const Tensor& like = need_ddy ? ddy : dx;
  Arguments a = arguments(Pass::double_backward, like, dim, eps);
  Inputs in;
  a.ddx = in.ordered(ddx, like);
  a.dy = in.ordered(dy, like);
  a.x = in.ordered(x, like);
  a.out = data_if(need_ddy, ddy);
  a.dx = data_if(need_dx, dx);
  launch(a, like, "pixel_norm");
  return {ddy, dx};
}

FG_REGISTER_WITH_DERIVATIVES(pixel_norm)

}  // namespace
}  // namespace fg::pixel_norm
