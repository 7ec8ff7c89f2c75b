#include "../common/cuda_device.h"
#include "glue.h"
#include "kernel_api.h"

namespace fg::adaptive_norm {
namespace {

struct Cuda : CudaDevice {
  using CudaDevice::CudaDevice;

  std::int64_t workspace(const Arguments& a) const { return cuda_workspace(a); }
  void run(const Arguments& a) const { check_launch(cuda_run(a, stream()), "adaptive_norm"); }
};

}  // namespace
}  // namespace fg::adaptive_norm

FG_REGISTER_WITH_DERIVATIVES(FG_CUDA_NAMESPACE, FG_CUDA_KEY, adaptive_norm, fg::adaptive_norm::Cuda)
