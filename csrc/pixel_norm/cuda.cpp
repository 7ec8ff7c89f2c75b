#include "../common/cuda_device.h"
#include "glue.h"
#include "kernel_api.h"

namespace fg::pixel_norm {
namespace {

struct Cuda : CudaDevice {
  using CudaDevice::CudaDevice;

  void run(const Arguments& a) const { check_launch(cuda_run(a, stream()), "pixel_norm"); }
};

}  // namespace
}  // namespace fg::pixel_norm

FG_REGISTER_WITH_DERIVATIVES(FG_CUDA_NAMESPACE, FG_CUDA_KEY, pixel_norm, fg::pixel_norm::Cuda)
