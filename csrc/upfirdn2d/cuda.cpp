#include "../common/cuda_device.h"
#include "glue.h"
#include "kernel_api.h"

namespace fg::upfirdn2d {
namespace {

struct Cuda : CudaDevice {
  using CudaDevice::CudaDevice;

  void run(const Arguments& a) const { check_launch(cuda_run(a, stream()), "upfirdn2d"); }
};

}  // namespace
}  // namespace fg::upfirdn2d

FG_REGISTER_UPFIRDN2D(FG_CUDA_NAMESPACE, FG_CUDA_KEY, fg::upfirdn2d::Cuda)
