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

#include <algorithm>

#include "../common/registration.h"
#include "../common/stable.h"
#include "problem.h"

namespace fg::minibatch_stddev {

inline void check(const Tensor& x, std::int64_t group_size, std::int64_t parts) {
  STD_TORCH_CHECK(x.dim() == 4, "x must be a [N, C, H, W] tensor, got rank ", x.dim());
  STD_TORCH_CHECK(
      parts > 0 && x.size(1) > 0 && x.size(1) % parts == 0,
      "num_channels must divide the channels of x, got ", parts, " for ", x.size(1), " channels");
  STD_TORCH_CHECK(
      group_size > 0 && (x.size(0) <= group_size || x.size(0) % group_size == 0),
      "the batch must have at most group_size samples or a multiple of it, got ", x.size(0),
      " samples for group_size ", group_size);
}

inline void check_same(const Tensor& x, const Tensor& t, std::int64_t channels) {
  STD_TORCH_CHECK(
      t.scalar_type() == x.scalar_type() && t.dim() == 4 && t.size(0) == x.size(0) &&
          t.size(1) == channels && t.size(2) == x.size(2) && t.size(3) == x.size(3),
      "the tensors of a derivative of minibatch_stddev must fit x");
}

// Return an empty image batch for `x`, in its layout.
inline Tensor image_like(const Tensor& x, std::int64_t more_channels) {
  const std::int64_t channels = x.size(1) + more_channels;
  return is_channels_last(x)
             ? channels_first_view(
                   torch::stable::new_empty(x, {x.size(0), x.size(2), x.size(3), channels}))
             : torch::stable::new_empty(x, {x.size(0), channels, x.size(2), x.size(3)});
}

// Return `t` as dense as a result for `x`.
inline Tensor in_layout(const Tensor& t, const Tensor& x) {
  return is_channels_last(x) ? channels_first_view(torch::stable::contiguous(channels_last_view(t)))
                             : torch::stable::contiguous(t);
}

inline Arguments arguments(
    Pass pass, const Tensor& x, std::int64_t group_size, std::int64_t parts) {
  Arguments a{};
  a.pass = pass;
  a.dtype = dtype_of(x, "minibatch_stddev");
  const std::int64_t group = std::min(group_size, x.size(0));
  a.layout = {group,     x.size(0) / group,     parts,
              x.size(1), x.size(2) * x.size(3), is_channels_last(x)};
  return a;
}

template <class Device>
void run(const Device& device, Arguments& a, const Tensor& x) {
  const auto sum_type = a.dtype == DType::f64 ? ScalarType::Double : ScalarType::Float;
  Tensor workspace = torch::stable::new_empty(x, {device.workspace(a)}, sum_type);
  a.workspace = workspace.mutable_data_ptr();
  device.run(a);
}

template <class Device>
Tensor minibatch_stddev(const Tensor& x_, std::int64_t group_size, std::int64_t parts) {
  check(x_, group_size, parts);
  Tensor y = image_like(x_, parts);
  if (x_.numel() == 0) {
    return y;
  }
  const Device device(x_);
  const Tensor x = in_layout(x_, x_);
  Arguments a = arguments(Pass::forward, x_, group_size, parts);
  a.x = x.const_data_ptr();
  a.wide = y.mutable_data_ptr();
  run(device, a, x);
  return y;
}

template <class Device>
Tensor minibatch_stddev_backward(
    const Tensor& dy_, const Tensor& x_, std::int64_t group_size, std::int64_t parts) {
  check(x_, group_size, parts);
  check_same(x_, dy_, x_.size(1) + parts);
  Tensor dx = image_like(x_, 0);
  if (x_.numel() == 0) {
    return dx;
  }
  const Device device(x_);
  const Tensor x = in_layout(x_, x_), dy = in_layout(dy_, x_);
  Arguments a = arguments(Pass::backward, x_, group_size, parts);
  a.x = x.const_data_ptr();
  a.dy = dy.const_data_ptr();
  a.narrow = dx.mutable_data_ptr();
  run(device, a, x);
  return dx;
}

template <class Device>
std::tuple<Tensor, Tensor> minibatch_stddev_double_backward(
    const Tensor& ddx_, const Tensor& dy_, const Tensor& x_, std::int64_t group_size,
    std::int64_t parts, bool need_ddy, bool need_dx) {
  check(x_, group_size, parts);
  check_same(x_, ddx_, x_.size(1));
  check_same(x_, dy_, x_.size(1) + parts);
  Tensor ddy = need_ddy ? image_like(x_, parts) : torch::stable::new_empty(x_, {0});
  Tensor dx = need_dx ? image_like(x_, 0) : torch::stable::new_empty(x_, {0});
  if (x_.numel() == 0 || !(need_ddy || need_dx)) {
    return {ddy, dx};
  }
  const Device device(x_);
  const Tensor x = in_layout(x_, x_), ddx = in_layout(ddx_, x_), dy = in_layout(dy_, x_);
  Arguments a = arguments(Pass::double_backward, x_, group_size, parts);
  a.x = x.const_data_ptr();
  a.ddx = ddx.const_data_ptr();
  a.dy = dy.const_data_ptr();
  a.wide = need_ddy ? ddy.mutable_data_ptr() : nullptr;
  a.narrow = need_dx ? dx.mutable_data_ptr() : nullptr;
  run(device, a, x);
  return {ddy, dx};
}

}  // namespace fg::minibatch_stddev
