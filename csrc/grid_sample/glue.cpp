#include "../common/glue.h"

#include "problem.h"

namespace fg::grid_sample {
namespace {

using Size = std::vector<std::int64_t>;  // height, width

struct Settings {
  const std::string &mode, &padding_mode;
  bool align_corners;
};

Padding padding_of(const std::string& name) {
  STD_TORCH_CHECK(
      name == "zeros" || name == "border" || name == "reflection",
      "padding_mode must be zeros, border or reflection, got ", name);
  return name == "zeros"    ? Padding::zeros
         : name == "border" ? Padding::border
                            : Padding::reflection;
}

Tensor images_if(bool wanted, const Tensor& like, std::int64_t height, std::int64_t width) {
  return wanted
             ? empty_images(like, is_channels_last(like), like.size(0), like.size(1), height, width)
             : nothing(like);
}

void check_images(
    const OptionalTensor& t, const Tensor& like, std::int64_t height, std::int64_t width) {
  STD_TORCH_CHECK(
      fits(t, {like.size(0), like.size(1), height, width}, like.scalar_type()),
      "the images of grid_sample must have one shape and dtype");
}

// Check and return an op's arguments. `like` has the dtype, batch size, channels and layout of the
// results.
Arguments arguments(
    const Tensor& like, const Tensor& grid, const OptionalTensor& b, const Size& size,
    const Settings& s, Inputs& in) {
  STD_TORCH_CHECK(
      like.dim() == 4, "images of grid_sample must be [N, C, H, W] tensors, got rank ", like.dim());
  STD_TORCH_CHECK(
      grid.dim() == 4 && grid.size(0) == like.size(0) && grid.size(3) == 2,
      "grid must be a [N, Ho, Wo, 2] tensor");
  STD_TORCH_CHECK(
      grid.scalar_type() == sum_type(like),
      "grid must be float32, or float64 for images of float64");
  STD_TORCH_CHECK(
      !b || (b->scalar_type() == sum_type(like) && b->dim() == 4 && b->numel() == grid.numel()),
      "ddgrid must have the shape and dtype of grid");
  STD_TORCH_CHECK(
      size.size() == 2 && size[0] > 0 && size[1] > 0,
      "an image of grid_sample must have at least one pixel");
  const std::int64_t points = grid.size(1) * grid.size(2), most = 0x7fffffff;
  STD_TORCH_CHECK(
      size[0] <= most / size[1] && points <= most,
      "an image of grid_sample must have at most 2^31 - 1 pixels; split it");
  STD_TORCH_CHECK(
      s.mode == "bilinear" || s.mode == "nearest", "mode must be bilinear or nearest, got ",
      s.mode);
  Arguments a{};
  a.dtype = dtype_of(like, "grid_sample");
  a.layout = {like.size(0), like.size(1), size[0], size[1], points, is_channels_last(like)};
  a.nearest = s.mode == "nearest";
  a.align_corners = s.align_corners;
  a.padding = padding_of(s.padding_mode);
  a.grid = in.contiguous(grid);
  a.b = in.contiguous(b);
  return a;
}

void launch_with_zeros(Arguments& a, const Tensor& like) {
  if (a.layout.images == 0) {
    return;
  }
  const std::int64_t size = workspace(a);
  const Tensor memory = size > 0 ? torch::stable::new_zeros(like, {size}, ScalarType::Long) : like;
  a.workspace = data_if(size > 0, memory);
  launch(a, like, "grid_sample");
}

Tensor grid_sample(
    const Tensor& x, const Tensor& grid, const std::string& mode, const std::string& padding_mode,
    bool align_corners) {
  STD_TORCH_CHECK(x.dim() == 4, "x must be a [N, C, H, W] tensor, got rank ", x.dim());
  Inputs in;
  Arguments a =
      arguments(x, grid, {}, {x.size(2), x.size(3)}, {mode, padding_mode, align_corners}, in);
  Tensor y = images_if(true, x, grid.size(1), grid.size(2));
  a.p = in.images(x, a.layout.channels_last);
  a.out = y.mutable_data_ptr();
  launch_with_zeros(a, y);
  return y;
}

std::tuple<Tensor, Tensor> grid_sample_backward(
    const Tensor& dy, const OptionalTensor& x, const Tensor& grid, Size size,
    const std::string& mode, const std::string& padding_mode, bool align_corners, bool need_dx,
    bool need_dgrid) {
  Inputs in;
  Arguments a = arguments(dy, grid, {}, size, {mode, padding_mode, align_corners}, in);
  check_images(dy, dy, grid.size(1), grid.size(2));
  check_images(x, dy, size[0], size[1]);
  STD_TORCH_CHECK(x || !need_dgrid, "need_dgrid must be false without x");
  Tensor dx = images_if(need_dx, dy, size[0], size[1]),
         dgrid = empty_if(need_dgrid, grid, grid.sizes());
  a.v = in.images(dy, a.layout.channels_last);
  if (need_dgrid) {
    a.p = in.images(x, a.layout.channels_last);
  }
  a.image = data_if(need_dx, dx);
  a.dgrid = data_if(need_dgrid, dgrid);
  launch_with_zeros(a, dy);
  return {dx, dgrid};
}

std::tuple<Tensor, Tensor, Tensor> grid_sample_double_backward(
    const OptionalTensor& ddx, const OptionalTensor& ddgrid, const Tensor& dy,
    const OptionalTensor& x, const Tensor& grid, Size size, const std::string& mode,
    const std::string& padding_mode, bool align_corners, bool need_ddy, bool need_dx,
    bool need_dgrid) {
  Inputs in;
  Arguments a = arguments(dy, grid, ddgrid, size, {mode, padding_mode, align_corners}, in);
  check_images(dy, dy, grid.size(1), grid.size(2));
  check_images(ddx, dy, size[0], size[1]);
  check_images(x, dy, size[0], size[1]);
  STD_TORCH_CHECK(x || !ddgrid, "ddgrid must be None without x");
  STD_TORCH_CHECK(ddgrid || !need_dx, "need_dx must be false without ddgrid");
  Tensor ddy = images_if(need_ddy, dy, grid.size(1), grid.size(2)),
         dx = images_if(need_dx, dy, size[0], size[1]),
         dgrid = empty_if(need_dgrid, grid, grid.sizes());
  a.v = in.images(dy, a.layout.channels_last);
  a.p = in.images(ddx, a.layout.channels_last);
  if (ddgrid) {
    a.q = in.images(x, a.layout.channels_last);
  }
  a.out = data_if(need_ddy, ddy);
  a.image = data_if(need_dx, dx);
  a.dgrid = data_if(need_dgrid, dgrid);
  launch_with_zeros(a, dy);
  return {ddy, dx, dgrid};
}

FG_REGISTER_WITH_DERIVATIVES(grid_sample)

}  // namespace
}  // namespace fg::grid_sample
