// All that the glue.cpp of an op includes. Glue checks tensors, makes results, and runs kernels on
// plain Arguments. Each library compiles it for its device: _ops, _ops_cuda and the tests'
// emulation of the latter. So each defines the kernels that the op's problem.h declares:
//
//   // Size of the workspace in elements of the accumulation type; only for ops that need one.
//   std::int64_t workspace(const Arguments&);
//   void run(const Arguments&);               // cpu.cpp
//   int run(const Arguments&, void* stream);  // CUDA: a cudaError_t
#pragma once

#include <initializer_list>

#include "problem.h"
#include "stable.h"

#if defined(USE_CUDA)
#include <torch/csrc/stable/accelerator.h>
#define FG_NAMESPACE fastgan
#define FG_KEY CUDA
#elif defined(FG_EMU)
#define FG_NAMESPACE fastgan_emulated
#define FG_KEY CPU
#else
#define FG_NAMESPACE fastgan
#define FG_KEY CPU
#endif

// Register the function OP, here or with its derivatives OP_backward and OP_double_backward.
#define FG_REGISTER(OP) \
  STABLE_TORCH_LIBRARY_IMPL(FG_NAMESPACE, FG_KEY, m) { m.impl(#OP, TORCH_BOX(&OP)); }
#define FG_REGISTER_WITH_DERIVATIVES(OP) \
  FG_REGISTER(OP)                        \
  FG_REGISTER(OP##_backward)             \
  FG_REGISTER(OP##_double_backward)

namespace fg {

// ---- checks

inline bool fits(const Tensor& t, Sizes sizes, ScalarType dtype) {
  return t.scalar_type() == dtype && t.sizes() == sizes;
}

inline bool fits(const OptionalTensor& t, Sizes sizes, ScalarType dtype) {
  return !t || fits(*t, sizes, dtype);
}

// Check that tensors have the shape and dtype of `like`, if present. `what` names all of them.
inline void check_like(
    const Tensor& like, std::initializer_list<OptionalTensor> tensors, const char* what) {
  for (const OptionalTensor& t : tensors) {
    STD_TORCH_CHECK(
        fits(t, like.sizes(), like.scalar_type()), what, " must have one shape and dtype");
  }
}

// ---- results

// Accumulation type of a tensor.
inline ScalarType sum_type(const Tensor& t) {
  return t.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

// The result that nobody needs.
inline Tensor nothing(const Tensor& like) { return empty(like, {0}); }

inline Tensor result_if(bool wanted, const Tensor& like) {
  return wanted ? result_like(like) : nothing(like);
}

inline Tensor empty_if(
    bool wanted, const Tensor& like, Sizes sizes, std::optional<ScalarType> dtype = {}) {
  return wanted ? empty(like, sizes, dtype) : empty(like, {0}, dtype);
}

// Return an empty image batch in the layout of `like`.
inline Tensor images_like(const Tensor& like) {
  return empty_images(
      like, is_channels_last(like), like.size(0), like.size(1), like.size(2), like.size(3));
}

inline ImageLayout image_layout(const Tensor& t) {
  return {t.size(0), t.size(1), t.size(2) * t.size(3), is_channels_last(t)};
}

inline void* data_if(bool wanted, const Tensor& t) {
  return wanted ? t.mutable_data_ptr() : nullptr;
}

inline void clear(std::initializer_list<Tensor*> tensors) {
  for (Tensor* t : tensors) {
    torch::stable::zero_(*t);
  }
}

// ---- inputs

// Data of inputs in the memory order that kernels read; null if absent. It keeps copies until the
// run.
class Inputs {
 public:
  const void* contiguous(const Tensor& t) {
    return t.is_contiguous() ? t.const_data_ptr() : keep(torch::stable::contiguous(t));
  }
  // In the order of `layout`, which is dense.
  const void* ordered(const Tensor& t, const Tensor& layout) {
    return with_strides(t, layout.strides());
  }
  const void* images(const Tensor& t, bool channels_last) {
    const std::int64_t c = t.size(1), w = t.size(3), h = t.size(2);
    return channels_last ? with_strides(t, {h * w * c, 1, w * c, c}) : contiguous(t);
  }

  const void* contiguous(const OptionalTensor& t) { return t ? contiguous(*t) : nullptr; }
  const void* ordered(const OptionalTensor& t, const Tensor& layout) {
    return t ? ordered(*t, layout) : nullptr;
  }
  const void* images(const OptionalTensor& t, bool channels_last) {
    return t ? images(*t, channels_last) : nullptr;
  }

 private:
  const void* with_strides(const Tensor& t, Sizes strides) {
    if (has_strides(t, strides)) {
      return t.const_data_ptr();
    }
    Tensor copy = empty_strided(t, t.sizes(), strides);
    torch::stable::copy_(copy, t);
    return keep(std::move(copy));
  }

  const void* keep(Tensor copy) {
    copies_.push_back(std::move(copy));
    return copies_.back().const_data_ptr();
  }

  std::vector<Tensor> copies_;
};

// ---- runs

// Run an op's kernels on the device of `like`.
template <class Arguments>
void launch(const Arguments& a, [[maybe_unused]] const Tensor& like, const char* op) {
#if defined(USE_CUDA) || defined(FG_EMU)
  void* stream = nullptr;
#if defined(USE_CUDA)
  const std::int32_t index = like.get_device_index();
  const torch::stable::accelerator::DeviceGuard guard(index);
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(index, &stream));
#endif
  const int status = run(a, stream);
  // 9 is cudaErrorInvalidConfiguration.
  STD_TORCH_CHECK(status != 9, op, ": the tensor is too large for one launch; split it");
  STD_TORCH_CHECK(
      status == 0, op, ": the CUDA kernel could not be launched, error ", std::to_string(status));
#else
  static_cast<void>(op);
  run(a);
#endif
}

template <class Arguments>
void launch_with_workspace(Arguments& a, const Tensor& like, const char* op) {
  const std::int64_t size = workspace(a);
  const Tensor memory = size > 0 ? empty(like, {size}, sum_type(like)) : like;
  a.workspace = data_if(size > 0, memory);
  launch(a, like, op);
}

}  // namespace fg
