#include "../common/glue.h"

#include "../common/activation_options.h"
#include "problem.h"

namespace fg::upfirdn2d {
namespace {

using Pair = std::vector<std::int64_t>;  // along x, along y

void check(
    const Tensor& x, const OptionalTensor& f, const Pair& up, const Pair& down, const Pair& pad,
    const Pair& size) {
  STD_TORCH_CHECK(x.dim() == 4, "x must be a [N, C, H, W] tensor, got rank ", x.dim());
  for (const Pair* p : {&up, &down, &pad, &size}) {
    STD_TORCH_CHECK(p->size() == 2, "up, down, pad and size of upfirdn2d must be pairs (x, y)");
  }
  for (int i : {0, 1}) {
    STD_TORCH_CHECK(up[i] >= 1 && down[i] >= 1, "up and down of upfirdn2d must be at least 1");
    STD_TORCH_CHECK(size[i] >= 0, "size of upfirdn2d must be at least 0");
  }
  if (f) {
    STD_TORCH_CHECK(
        f->scalar_type() == ScalarType::Float && (f->dim() == 1 || f->dim() == 2) && f->numel() > 0,
        "f must be a float32 [taps] or [taps_y, taps_x] tensor");
  }
}

// Return the arguments of a filter to `y`. Neither x nor y is empty.
Arguments arguments(
    const Tensor& x, const OptionalTensor& f, const Pair& up, const Pair& down, const Pair& pad,
    const Tensor& y, bool flip, double gain, Inputs& in) {
  const bool channels_last = is_channels_last(x);
  Arguments a{};
  a.dtype = dtype_of(x, "upfirdn2d");
  a.outer = channels_last ? x.size(0) : x.size(0) * x.size(1);
  a.inner = channels_last ? x.size(1) : 1;
  a.x = {x.size(3), y.size(3), up[0], down[0], pad[0], f ? f->size(f->dim() - 1) : 1};
  a.y = {x.size(2), y.size(2), up[1], down[1], pad[1], f ? f->size(0) : 1};
  a.input = in.images(x, channels_last);
  a.output = y.mutable_data_ptr();
  a.filter = static_cast<const float*>(in.contiguous(f));
  a.separable = !f || f->dim() == 1;
  a.flip = flip;
  a.gain = gain;
  return a;
}

Tensor empty_result(const Tensor& x, const Pair& size) {
  return empty_images(x, is_channels_last(x), x.size(0), x.size(1), size[1], size[0]);
}

Tensor upfirdn2d(
    const Tensor& x, const OptionalTensor& f, const Pair& up, const Pair& down, const Pair& pad,
    const Pair& size, bool flip, double gain) {
  check(x, f, up, down, pad, size);
  Tensor y = empty_result(x, size);
  if (y.numel() == 0) {
    return y;
  }
  if (x.numel() == 0) {
    return torch::stable::zero_(y);
  }
  Inputs in;
  const Arguments a = arguments(x, f, up, down, pad, y, flip, gain, in);
  launch(a, y, "upfirdn2d");
  return y;
}

std::tuple<Tensor, Tensor> upfirdn2d_act(
    const Tensor& x, const OptionalTensor& f, const OptionalTensor& scale,
    const OptionalTensor& noise, const OptionalTensor& b, const Pair& up, const Pair& down,
    const Pair& pad, const Pair& size, bool flip, double filter_gain, const std::string& act,
    double alpha, double gain, std::optional<double> clamp, bool keep) {
  check(x, f, up, down, pad, size);
  const std::int64_t n = x.size(0), c = x.size(1);
  const bool shared = noise && noise->dim() > 0 && noise->size(0) == 1;
  STD_TORCH_CHECK(
      fits(scale, {n, c}, x.scalar_type()) && fits(b, {c}, x.scalar_type()) &&
          fits(noise, {shared ? 1 : n, 1, size[1], size[0]}, x.scalar_type()),
      "scale, noise and b of upfirdn2d_act must fit the result in shape and dtype");
  STD_TORCH_CHECK(x.size(2) * x.size(3) > 0, "x of upfirdn2d_act must have a pixel");
  Tensor y = empty_result(x, size), z = keep ? empty_result(x, size) : nothing(x);
  if (y.numel() == 0) {
    return {y, z};
  }
  Inputs in;
  Arguments a = arguments(x, f, up, down, pad, y, flip, filter_gain, in);
  a.has_epilogue = true;
  a.epilogue.dtype = a.dtype;
  set_activation(a.epilogue, {act, alpha, gain, clamp});
  a.epilogue.channels = c;
  a.epilogue.shared_noise = shared && n > 1;
  a.epilogue.scale = in.contiguous(scale);
  a.epilogue.noise = in.contiguous(noise);
  a.epilogue.b = in.contiguous(b);
  a.epilogue.filtered = data_if(keep, z);
  launch(a, y, "upfirdn2d_act");
  return {y, z};
}

FG_REGISTER(upfirdn2d)
FG_REGISTER(upfirdn2d_act)

}  // namespace
}  // namespace fg::upfirdn2d
