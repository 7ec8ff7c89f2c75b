// Device and stream of a CUDA op. The tests' emulation (FG_EMU) has neither.
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

// Report a failed launch. Launch plans return 9, cudaErrorInvalidConfiguration, for a tensor that
// is too large for any grid.
inline void check_launch(int status, const char* op) {
  STD_TORCH_CHECK(status != 9, op, ": the tensor is too large for one launch; split it");
  STD_TORCH_CHECK(
      status == 0, op, ": the CUDA kernel could not be launched, error ", std::to_string(status));
}

}  // namespace fg
