#include "../common/cuda_device.h"
#include "glue.h"
#include "kernel_api.h"

namespace fg::scale_bias_act {
namespace {

struct Cuda : CudaDevice {
  using CudaDevice::CudaDevice;

  std::int64_t workspace(const Arguments& a) const { return cuda_workspace(a); }
  void run(const Arguments& a) const { check_launch(cuda_run(a, stream()), "scale_bias_act"); }
};

}  // namespace
}  // namespace fg::scale_bias_act

FG_REGISTER_WITH_DERIVATIVES(
    FG_CUDA_NAMESPACE, FG_CUDA_KEY, scale_bias_act, fg::scale_bias_act::Cuda)
