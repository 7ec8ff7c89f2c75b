// The three registered ops in terms of tensors, for any `Device` that runs the kernels:
//
//   struct Device {
//     // Makes the tensor's device current.
//     explicit Device(const Tensor&);
//     void run(const Arguments&) const;
//   };
#pragma once

#include "../common/registration.h"
#include "../common/stable.h"
#include "problem.h"

namespace fg::pixel_norm {

// Return an op's arguments. `like` is dense, not empty, and has the memory order of the results.
inline Arguments arguments(Pass pass, const Tensor& like, std::int64_t dim, double eps) {
  Arguments a{};
  a.pass = pass;
  a.dtype = dtype_of(like, "pixel_norm");
  const std::int64_t channels = like.size(dim),
                     inner = channels > 1 ? like.stride(dim) : like.numel();
  a.layout = {like.numel() / (channels * inner), channels, inner};
  a.eps = eps;
  return a;
}

inline void check(const Tensor& x, std::int64_t dim, std::initializer_list<const Tensor*> same) {
  STD_TORCH_CHECK(dim >= 0 && dim < x.dim(), "dim must be from 0 to ", x.dim() - 1, ", got ", dim);
  for (const Tensor* t : same) {
    bool fits = t->scalar_type() == x.scalar_type() && t->dim() == x.dim();
    for (std::int64_t d = 0; fits && d < x.dim(); ++d) {
      fits = t->size(d) == x.size(d);
    }
    STD_TORCH_CHECK(
        fits, "the tensors of a derivative of pixel_norm must have one shape and dtype");
  }
}

inline Tensor result_if(bool wanted, const Tensor& x) {
  return wanted ? result_like(x) : torch::stable::new_empty(x, {0});
}

template <class Device>
Tensor pixel_norm(const Tensor& x_, std::int64_t dim, double eps) {
  check(x_, dim, {});
  Tensor y = result_like(x_);
  if (x_.numel() == 0) {
    return y;
  }
  const Device device(x_);
  const Tensor x = in_order_of(x_, y);
  Arguments a = arguments(Pass::forward, y, dim, eps);
  a.x = x.const_data_ptr();
  a.out = y.mutable_data_ptr();
  device.run(a);
  return y;
}

template <class Device>
Tensor pixel_norm_backward(const Tensor& dy_, const Tensor& x_, std::int64_t dim, double eps) {
  check(x_, dim, {&dy_});
  Tensor dx = result_like(x_);
  if (x_.numel() == 0) {
    return dx;
  }
  const Device device(x_);
  const Tensor dy = in_order_of(dy_, dx), x = in_order_of(x_, dx);
  Arguments a = arguments(Pass::backward, dx, dim, eps);
  a.dy = dy.const_data_ptr();
  a.x = x.const_data_ptr();
  a.out = dx.mutable_data_ptr();
  device.run(a);
  return dx;
}

template <class Device>
std::tuple<Tensor, Tensor> pixel_norm_double_backward(
    const Tensor& ddx_, const Tensor& dy_, const Tensor& x_, std::int64_t dim, double eps,
    bool need_ddy, bool need_dx) {
  check(x_, dim, {&ddx_, &dy_});
  Tensor ddy = result_if(need_ddy, x_), dx = result_if(need_dx, x_);
  if (x_.numel() == 0 || !(need_ddy || need_dx)) {
    return {ddy, dx};
  }
  const Device device(x_);
  const Tensor& like = need_ddy ? ddy : dx;
  const Tensor ddx = in_order_of(ddx_, like), dy = in_order_of(dy_, like),
               x = in_order_of(x_, like);
  Arguments a = arguments(Pass::double_backward, like, dim, eps);
  a.ddx = ddx.const_data_ptr();
  a.dy = dy.const_data_ptr();
  a.x = x.const_data_ptr();
  a.out = need_ddy ? ddy.mutable_data_ptr() : nullptr;
  a.dx = need_dx ? dx.mutable_data_ptr() : nullptr;
  device.run(a);
  return {ddy, dx};
}

}  // namespace fg::pixel_norm
