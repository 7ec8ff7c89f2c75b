// The three registered ops in terms of tensors, for any `Device` that runs the kernels:
//
//   struct Device {
//     // Makes the tensor's device current.
//     explicit Device(const Tensor&);
//     // Returns the size of the kernels' workspace in 64-bit integers, which must be zero at
//     first. std::int64_t workspace(const Arguments&) const;
//     void run(const Arguments&) const;
//   };
#pragma once

#include <string>
#include <vector>

#include "../common/stable.h"
#include "problem.h"

namespace fg::grid_sample {

using Size = std::vector<std::int64_t>;  // height, width

struct Settings {
  const std::string &mode, &padding_mode;
  bool align_corners;
};

inline Padding padding_of(const std::string& name) {
  STD_TORCH_CHECK(
      name == "zeros" || name == "border" || name == "reflection",
      "padding_mode must be zeros, border or reflection, got ", name);
  return name == "zeros"    ? Padding::zeros
         : name == "border" ? Padding::border
                            : Padding::reflection;
}

inline Tensor images(const Tensor& like, std::int64_t height, std::int64_t width) {
  const std::int64_t n = like.size(0), c = like.size(1);
  return is_channels_last(like)
             ? channels_first_view(torch::stable::new_empty(like, {n, height, width, c}))
             : torch::stable::new_empty(like, {n, c, height, width});
}

inline Tensor images_if(bool wanted, const Tensor& like, std::int64_t height, std::int64_t width) {
  return wanted ? images(like, height, width) : torch::stable::new_empty(like, {0});
}

inline Tensor grid_if(bool wanted, const Tensor& grid) {
  return torch::stable::new_empty(
      grid, wanted ? Size{grid.size(0), grid.size(1), grid.size(2), 2} : Size{0});
}

// Return `t` with its elements in the kernels' memory order.
inline Tensor in_memory(const Tensor& t, bool channels_last) {
  return torch::stable::contiguous(channels_last ? channels_last_view(t) : t);
}

inline OptionalTensor in_memory(const OptionalTensor& t, bool channels_last) {
  return t ? OptionalTensor(in_memory(*t, channels_last)) : std::nullopt;
}

inline void* data_if(bool wanted, const Tensor& t) {
  return wanted ? t.mutable_data_ptr() : nullptr;
}

inline void check_images(
    const OptionalTensor& t, const Tensor& like, std::int64_t height, std::int64_t width) {
  STD_TORCH_CHECK(
      !t ||
          (t->scalar_type() == like.scalar_type() && t->dim() == 4 && t->size(0) == like.size(0) &&
           t->size(1) == like.size(1) && t->size(2) == height && t->size(3) == width),
      "the images of grid_sample must have one shape and dtype");
}

// Check and return an op's arguments. `like` has the dtype, batch size, channels and layout of the
// results.
inline Arguments arguments(
    const Tensor& like, const Tensor& grid, const OptionalTensor& b, const Size& size,
    const Settings& s) {
  STD_TORCH_CHECK(
      like.dim() == 4, "images of grid_sample must be [N, C, H, W] tensors, got rank ", like.dim());
  STD_TORCH_CHECK(
      grid.dim() == 4 && grid.size(0) == like.size(0) && grid.size(3) == 2,
      "grid must be a [N, Ho, Wo, 2] tensor");
  const ScalarType computed =
      like.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
  STD_TORCH_CHECK(
      grid.scalar_type() == computed, "grid must be float32, or float64 for images of float64");
  STD_TORCH_CHECK(
      !b || (b->scalar_type() == computed && b->dim() == 4 && b->numel() == grid.numel()),
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
  return a;
}

template <class Device>
void run(const Device& device, Arguments& a, const Tensor& like) {
  if (a.layout.images == 0) {
    return;
  }
  const std::int64_t size = a.image ? device.workspace(a) : 0;
  const Tensor workspace = torch::stable::new_zeros(like, {size}, ScalarType::Long);
  a.workspace = data_if(size > 0, workspace);
  device.run(a);
}

template <class Device>
Tensor grid_sample(
    const Tensor& x_, const Tensor& grid_, const std::string& mode, const std::string& padding_mode,
    bool align_corners) {
  STD_TORCH_CHECK(x_.dim() == 4, "x must be a [N, C, H, W] tensor, got rank ", x_.dim());
  Arguments a =
      arguments(x_, grid_, {}, {x_.size(2), x_.size(3)}, {mode, padding_mode, align_corners});
  const Device device(x_);
  const Tensor x = in_memory(x_, a.layout.channels_last), grid = torch::stable::contiguous(grid_);
  Tensor y = images(x_, grid_.size(1), grid_.size(2));
  a.p = x.const_data_ptr();
  a.grid = grid.const_data_ptr();
  a.out = y.mutable_data_ptr();
  run(device, a, y);
  return y;
}

template <class Device>
std::tuple<Tensor, Tensor> grid_sample_backward(
    const Tensor& dy_, const OptionalTensor& x_, const Tensor& grid_, Size size,
    const std::string& mode, const std::string& padding_mode, bool align_corners, bool need_dx,
    bool need_dgrid) {
  Arguments a = arguments(dy_, grid_, {}, size, {mode, padding_mode, align_corners});
  check_images(dy_, dy_, grid_.size(1), grid_.size(2));
  check_images(x_, dy_, size[0], size[1]);
  STD_TORCH_CHECK(x_ || !need_dgrid, "need_dgrid must be false without x");
  const Device device(dy_);
  const bool channels_last = a.layout.channels_last;
  const Tensor dy = in_memory(dy_, channels_last), grid = torch::stable::contiguous(grid_);
  const OptionalTensor x = need_dgrid ? in_memory(x_, channels_last) : std::nullopt;
  Tensor dx = images_if(need_dx, dy_, size[0], size[1]), dgrid = grid_if(need_dgrid, grid_);
  a.v = dy.const_data_ptr();
  a.p = data_or_null(x);
  a.grid = grid.const_data_ptr();
  a.image = data_if(need_dx, dx);
  a.dgrid = data_if(need_dgrid, dgrid);
  run(device, a, dy);
  return {dx, dgrid};
}

template <class Device>
std::tuple<Tensor, Tensor, Tensor> grid_sample_double_backward(
    const OptionalTensor& ddx_, const OptionalTensor& ddgrid_, const Tensor& dy_,
    const OptionalTensor& x_, const Tensor& grid_, Size size, const std::string& mode,
    const std::string& padding_mode, bool align_corners, bool need_ddy, bool need_dx,
    bool need_dgrid) {
  Arguments a = arguments(dy_, grid_, ddgrid_, size, {mode, padding_mode, align_corners});
  check_images(dy_, dy_, grid_.size(1), grid_.size(2));
  check_images(ddx_, dy_, size[0], size[1]);
  check_images(x_, dy_, size[0], size[1]);
  STD_TORCH_CHECK(x_ || !ddgrid_, "ddgrid must be None without x");
  STD_TORCH_CHECK(ddgrid_ || !need_dx, "need_dx must be false without ddgrid");
  const Device device(dy_);
  const bool channels_last = a.layout.channels_last;
  const Tensor dy = in_memory(dy_, channels_last), grid = torch::stable::contiguous(grid_);
  const OptionalTensor ddx = in_memory(ddx_, channels_last), ddgrid = contiguous(ddgrid_);
  const OptionalTensor x = ddgrid_ ? in_memory(x_, channels_last) : std::nullopt;
  Tensor ddy = images_if(need_ddy, dy_, grid_.size(1), grid_.size(2)),
         dx = images_if(need_dx, dy_, size[0], size[1]);
  Tensor dgrid = grid_if(need_dgrid, grid_);
  a.v = dy.const_data_ptr();
  a.p = data_or_null(ddx);
  a.q = data_or_null(x);
  a.b = data_or_null(ddgrid);
  a.grid = grid.const_data_ptr();
  a.out = data_if(need_ddy, ddy);
  a.image = data_if(need_dx, dx);
  a.dgrid = data_if(need_dgrid, dgrid);
  run(device, a, dy);
  return {ddy, dx, dgrid};
}

}  // namespace fg::grid_sample

// Register the ops in a namespace for a dispatch key.
#define FG_REGISTER_GRID_SAMPLE(NAMESPACE, KEY, DEVICE)                                        \
  STABLE_TORCH_LIBRARY_IMPL(NAMESPACE, KEY, m) {                                               \
    m.impl("grid_sample", TORCH_BOX(&fg::grid_sample::grid_sample<DEVICE>));                   \
    m.impl("grid_sample_backward", TORCH_BOX(&fg::grid_sample::grid_sample_backward<DEVICE>)); \
    m.impl(                                                                                    \
        "grid_sample_double_backward",                                                         \
        TORCH_BOX(&fg::grid_sample::grid_sample_double_backward<DEVICE>));                     \
  }
