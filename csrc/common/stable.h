// The part of torch that the op libraries use: its stable ABI alone, so one binary serves many
// releases.
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "dtype.h"

namespace fg {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using OptionalTensor = std::optional<Tensor>;

inline OptionalTensor contiguous(const OptionalTensor& t) {
  return t ? OptionalTensor(torch::stable::contiguous(*t)) : std::nullopt;
}

inline DType dtype_of(const Tensor& t, const char* op) {
  switch (t.scalar_type()) {
    case ScalarType::Half:
      return DType::f16;
    case ScalarType::BFloat16:
      return DType::bf16;
    case ScalarType::Float:
      return DType::f32;
    case ScalarType::Double:
      return DType::f64;
    default:
      STD_TORCH_CHECK(false, op, ": the dtype must be float16, bfloat16, float32 or float64");
  }
}

// View [N, C, H, W] as [N, H, W, C], and back.
inline Tensor channels_last_view(const Tensor& t) {
  return torch::stable::transpose(torch::stable::transpose(t, 1, 2), 2, 3);
}

inline Tensor channels_first_view(const Tensor& t) {
  return torch::stable::transpose(torch::stable::transpose(t, 2, 3), 1, 2);
}

// Test if channels are the fastest dimension of an image batch. Results are then channels_last,
// else contiguous.
inline bool is_channels_last(const Tensor& t) {
  return t.size(1) > 1 && !t.is_contiguous() && t.stride(1) == 1;
}

// ---- new tensors. They come from aoti_torch_empty_strided, which takes a fifth of the time of
// new_empty, empty_like and views of them.

using Sizes = torch::headeronly::IntHeaderOnlyArrayRef;

inline Tensor empty_strided(
    const Tensor& like, Sizes sizes, Sizes strides, std::optional<ScalarType> dtype = {}) {
  std::int32_t type = 0, device = 0;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_dtype(like.get(), &type));
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_device_type(like.get(), &device));
  if (dtype) {
    type = torch::stable::detail::to<std::int32_t>(torch::stable::detail::from(*dtype));
  }
  AtenTensorHandle result = nullptr;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_empty_strided(
      static_cast<std::int64_t>(sizes.size()), sizes.data(), strides.data(), type, device,
      like.get_device_index(), &result));
  return Tensor(result);
}

// Return an empty contiguous tensor on the device of `like`, of its dtype unless another is given.
inline Tensor empty(const Tensor& like, Sizes sizes, std::optional<ScalarType> dtype = {}) {
  std::vector<std::int64_t> strides(sizes.size());
  std::int64_t stride = 1;
  for (std::size_t d = sizes.size(); d-- > 0;) {
    strides[d] = stride;
    stride *= std::max<std::int64_t>(1, sizes[d]);
  }
  return empty_strided(like, sizes, strides, dtype);
}

// Return an empty image batch [n, c, h, w]: channels_last or contiguous.
inline Tensor empty_images(
    const Tensor& like, bool channels_last, std::int64_t n, std::int64_t c, std::int64_t h,
    std::int64_t w) {
  const std::int64_t row = std::max<std::int64_t>(1, w) * c;
  return channels_last
             ? empty_strided(like, {n, c, h, w}, {std::max<std::int64_t>(1, h) * row, 1, row, c})
             : empty(like, {n, c, h, w});
}

// Test if elements fill a stretch of memory, in any order of dimensions.
inline bool is_dense(const Tensor& t) {
  const Sizes sizes = t.sizes(), strides = t.strides();
  std::int64_t filled = 1;
  for (std::size_t found = 0; found < sizes.size(); ++found) {
    for (std::size_t d = 0; d < sizes.size(); ++d) {
      if (sizes[d] > 1 && strides[d] == filled) {
        filled *= sizes[d];
        break;
      }
    }
  }
  return filled == t.numel();
}

// Return an empty result of the shape of `t`. It also has the strides of `t` where they are dense:
// contiguous, channels_last or any permutation.
inline Tensor result_like(const Tensor& t) {
  return is_dense(t) ? empty_strided(t, t.sizes(), t.strides()) : torch::stable::empty_like(t);
}

// Test if elements are at these strides. Those of dimensions with one element don't matter.
inline bool has_strides(const Tensor& t, Sizes wanted) {
  const Sizes sizes = t.sizes(), strides = t.strides();
  for (std::size_t d = 0; d < sizes.size(); ++d) {
    if (sizes[d] > 1 && strides[d] != wanted[d]) {
      return false;
    }
  }
  return true;
}

}  // namespace fg
