// The part of torch that the op libraries use: its stable ABI alone, so one binary serves many
// releases.
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <optional>
#include <string>
#include <tuple>

#include "dtype.h"

namespace fg {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using OptionalTensor = std::optional<Tensor>;

inline const void* data_or_null(const OptionalTensor& t) {
  return t ? t->const_data_ptr() : nullptr;
}

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

inline bool same_strides(const Tensor& a, const Tensor& b) {
  for (std::int64_t d = 0; d < a.dim(); ++d) {
    if (a.size(d) > 1 && a.stride(d) != b.stride(d)) {
      return false;
    }
  }
  return true;
}

// Return an empty result of the shape of `t`. It also has the strides of `t` where they are dense:
// contiguous, channels_last or any permutation.
inline Tensor result_like(const Tensor& t) { return torch::stable::empty_like(t); }

// Return `t` in the memory order of `layout`: `t` itself if it has that order, else a copy.
inline Tensor in_order_of(const Tensor& t, const Tensor& layout) {
  if (same_strides(t, layout)) {
    return t;
  }
  Tensor copy = torch::stable::empty_like(layout);
  torch::stable::copy_(copy, t);
  return copy;
}

inline OptionalTensor in_order_of(const OptionalTensor& t, const Tensor& layout) {
  return t ? OptionalTensor(in_order_of(*t, layout)) : std::nullopt;
}

}  // namespace fg
