#include "../common/glue.h"

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

Tensor upfirdn2d(
    const Tensor& x, const OptionalTensor& f, const Pair& up, const Pair& down, const Pair& pad,
    const Pair& size, bool flip, double gain) {
  check(x, f, up, down, pad, size);
  const std::int64_t n = x.size(0), c = x.size(1);
  const bool channels_last = is_channels_last(x);
  Tensor y = empty_images(x, channels_last, n, c, size[1], size[0]);
  if (y.numel() == 0) {
    return y;
  }
  if (x.numel() == 0) {
    return torch::stable::zero_(y);
  }
  Arguments a{};
  a.dtype = dtype_of(x, "upfirdn2d");
  a.outer = channels_last ? n : n * c;
  a.inner = channels_last ? c : 1;
  a.x = {x.size(3), size[0], up[0], down[0], pad[0], f ? f->size(f->dim() - 1) : 1};
  a.y = {x.size(2), size[1], up[1], down[1], pad[1], f ? f->size(0) : 1};
  Inputs in;
  a.input = in.images(x, channels_last);
  a.output = y.mutable_data_ptr();
  a.filter = static_cast<const float*>(in.contiguous(f));
  a.separable = !f || f->dim() == 1;
  a.flip = flip;
  a.gain = gain;
  launch(a, y, "upfirdn2d");
  return y;
}

FG_REGISTER(upfirdn2d)

}  // namespace
}  // namespace fg::upfirdn2d
