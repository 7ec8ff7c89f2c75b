#include "../common/cuda_device.h"
#include "glue.h"
#include "kernel_api.h"

namespace fg::gradient_penalty {
namespace {

struct Cuda : CudaDevice {
  using CudaDevice::CudaDevice;

  std::int64_t workspace(const Arguments& a) const { return cuda_workspace(a); }
  void run(const Arguments& a) const {
    check_launch(
        cuda_run(a, stream()), a.op == Op::lerp_samples ? "lerp_samples" : "grad_norm_penalty");
  }
};

}  // namespace
}  // namespace fg::gradient_penalty

FG_REGISTER_GRADIENT_PENALTY(FG_CUDA_NAMESPACE, FG_CUDA_KEY, fg::gradient_penalty::Cuda)
