#include "../common/glue.h"

#include "problem.h"

namespace fg::minibatch_stddev {
namespace {

void check(const Tensor& x, std::int64_t group_size, std::int64_t parts) {
  STD_TORCH_CHECK(x.dim() == 4, "x must be a [N, C, H, W] tensor, got rank ", x.dim());
  STD_TORCH_CHECK(
      parts > 0 && x.size(1) > 0 && x.size(1) % parts == 0,
      "num_channels must divide the channels of x, got ", parts, " for ", x.size(1), " channels");
  STD_TORCH_CHECK(
      group_size > 0 && (x.size(0) <= group_size || x.size(0) % group_size == 0),
      "the batch must have at most group_size samples or a multiple of it, got ", x.size(0),
      " samples for group_size ", group_size);
}

void check_same(const Tensor& x, const Tensor& t, std::int64_t channels) {
  STD_TORCH_CHECK(
      fits(t, {x.size(0), channels, x.size(2), x.size(3)}, x.scalar_type()),
      "the tensors of a derivative of minibatch_stddev must fit x");
}

// Return an empty image batch for `x`, in its layout.
Tensor image_like(const Tensor& x, std::int64_t more_channels) {
  return empty_images(
      x, is_channels_last(x), x.size(0), x.size(1) + more_channels, x.size(2), x.size(3));
}

Arguments arguments(Pass pass, const Tensor& x, std::int64_t group_size, std::int64_t parts) {
  Arguments a{};
  a.pass = pass;
  a.dtype = dtype_of(x, "minibatch_stddev");
  const std::int64_t group = std::min(group_size, x.size(0));
  a.layout = {group,     x.size(0) / group,     parts,
              x.size(1), x.size(2) * x.size(3), is_channels_last(x)};
  return a;
}

Tensor minibatch_stddev(const Tensor& x, std::int64_t group_size, std::int64_t parts) {
  check(x, group_size, parts);
  Tensor y = image_like(x, parts);
  if (x.numel() == 0) {
    return y;
  }
  Arguments a = arguments(Pass::forward, x, group_size, parts);
  Inputs in;
  a.x = in.images(x, a.layout.channels_last);
  a.wide = y.mutable_data_ptr();
  launch_with_workspace(a, y, "minibatch_stddev");
  return y;
}

Tensor minibatch_stddev_backward(
    const Tensor& dy, const Tensor& x, std::int64_t group_size, std::int64_t parts) {
  check(x, group_size, parts);
  check_same(x, dy, x.size(1) + parts);
  Tensor dx = image_like(x, 0);
  if (x.numel() == 0) {
    return dx;
  }
  Arguments a = arguments(Pass::backward, x, group_size, parts);
  Inputs in;
  a.x = in.images(x, a.layout.channels_last);
  a.dy = in.images(dy, a.layout.channels_last);
  a.narrow = dx.mutable_data_ptr();
  launch_with_workspace(a, dx, "minibatch_stddev");
  return dx;
}

std::tuple<Tensor, Tensor> minibatch_stddev_double_backward(
    const Tensor& ddx, const Tensor& dy, const Tensor& x, std::int64_t group_size,
    std::int64_t parts, bool need_ddy, bool need_dx) {
  check(x, group_size, parts);
  check_same(x, ddx, x.size(1));
  check_same(x, dy, x.size(1) + parts);
  Tensor ddy = need_ddy ? image_like(x, parts) : nothing(x),
         dx = need_dx ? image_like(x, 0) : nothing(x);
  if (x.numel() == 0 || !(need_ddy || need_dx)) {
    return {ddy, dx};
  }
  Arguments a = arguments(Pass::double_backward, x, group_size, parts);
  Inputs in;
  a.x = in.images(x, a.layout.channels_last);
  a.ddx = in.images(ddx, a.layout.channels_last);
  a.dy = in.images(dy, a.layout.channels_last);
  a.wide = data_if(need_ddy, ddy);
  a.narrow = data_if(need_dx, dx);
  launch_with_workspace(a, x, "minibatch_stddev");
  return {ddy, dx};
}

FG_REGISTER_WITH_DERIVATIVES(minibatch_stddev)

}  // namespace
}  // namespace fg::minibatch_stddev
