#include "../common/cuda_device.h"
#include "glue.h"
#include "kernel_api.h"

namespace fg::spectral_norm {
namespace {

struct Cuda : CudaDevice {
  using CudaDevice::CudaDevice;

  std::int64_t workspace(const Arguments& a) const { return cuda_workspace(a); }
  void run(const Arguments& a) const { check_launch(cuda_run(a, stream()), "spectral_norm"); }
};

}  // namespace
}  // namespace fg::spectral_norm

FG_REGISTER_SPECTRAL_NORM(FG_CUDA_NAMESPACE, FG_CUDA_KEY, fg::spectral_norm::Cuda)
