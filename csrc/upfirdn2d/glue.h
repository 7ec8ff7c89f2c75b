// The registered op in terms of tensors, for any `Device` that runs the kernel:
//
//   struct Device {
//     // Makes the tensor's device current.
//     explicit Device(const Tensor&);
//     void run(const Arguments&) const;
//   };
#pragma once

#include <vector>

#include "../common/stable.h"
#include "problem.h"

namespace fg::upfirdn2d {

using Pair = std::vector<std::int64_t>;  // along x, along y

inline void check(
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

template <class Device>
Tensor upfirdn2d(
    const Tensor& x_, const OptionalTensor& f_, const Pair& up, const Pair& down, const Pair& pad,
    const Pair& size, bool flip, double gain) {
  check(x_, f_, up, down, pad, size);
  const std::int64_t n = x_.size(0), c = x_.size(1);
  const bool channels_last = is_channels_last(x_);
  Tensor y = channels_last
                 ? channels_first_view(torch::stable::new_empty(x_, {n, size[1], size[0], c}))
                 : torch::stable::new_empty(x_, {n, c, size[1], size[0]});
  if (y.numel() == 0) {
    return y;
  }
  if (x_.numel() == 0) {
    return torch::stable::zero_(y);
  }
  const Device device(x_);
  const Tensor x = torch::stable::contiguous(channels_last ? channels_last_view(x_) : x_);
  const OptionalTensor f = contiguous(f_);
  Arguments a{};
  a.dtype = dtype_of(x, "upfirdn2d");
  a.outer = channels_last ? n : n * c;
  a.inner = channels_last ? c : 1;
  a.x = {x_.size(3), size[0], up[0], down[0], pad[0], f ? f->size(f->dim() - 1) : 1};
  a.y = {x_.size(2), size[1], up[1], down[1], pad[1], f ? f->size(0) : 1};
  a.input = x.const_data_ptr();
  a.output = y.mutable_data_ptr();
  a.filter = f ? static_cast<const float*>(f->const_data_ptr()) : nullptr;
  a.separable = !f || f->dim() == 1;
  a.flip = flip;
  a.gain = gain;
  device.run(a);
  return y;
}

}  // namespace fg::upfirdn2d

// Register the op in a namespace for a dispatch key.
#define FG_REGISTER_UPFIRDN2D(NAMESPACE, KEY, DEVICE)                  \
  STABLE_TORCH_LIBRARY_IMPL(NAMESPACE, KEY, m) {                       \
    m.impl("upfirdn2d", TORCH_BOX(&fg::upfirdn2d::upfirdn2d<DEVICE>)); \
  }
