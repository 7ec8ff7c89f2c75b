// The device and stream that a CUDA op runs on; under FG_EMU (tests) there is neither.
#pragma once

#include <string>

#include "stable.h"

#if defined(FG_EMU)
#define FG_CUDA_NAMESPACE fastgan_emulated
#define FG_CUDA_KEY CPU
#else
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/accelerator.h>
#define FG_CUDA_NAMESPACE fastgan
#define FG_CUDA_KEY CUDA
#endif

namespace fg {

class CudaDevice {
 public:
#if defined(FG_EMU)
  explicit CudaDevice(const Tensor&) {}
  void* stream() const { return nullptr; }
#else
  explicit CudaDevice(const Tensor& t) : guard_(t.get_device_index()) {
    STABLE_TORCH_ERROR_CODE_CHECK(
        aoti_torch_get_current_cuda_stream(t.get_device_index(), &stream_));
  }
  void* stream() const { return stream_; }

 private:
  torch::stable::accelerator::DeviceGuard guard_;
  void* stream_ = nullptr;
#endif
};

// `status` is a cudaError_t; 9 is the one that a launch plan returns for a tensor too large for any grid.
inline void check_launch(int status, const char* op) {
  STD_TORCH_CHECK(status != 9, op, ": the tensor is too large for one launch; split it");
  STD_TORCH_CHECK(
      status == 0, op, ": the CUDA kernel could not be launched, error ", std::to_string(status));
}

}  // namespace fg
