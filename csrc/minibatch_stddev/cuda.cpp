#include "../common/cuda_device.h"
#include "glue.h"
#include "kernel_api.h"

namespace fg::minibatch_stddev {
namespace {

struct Cuda : CudaDevice {
  using CudaDevice::CudaDevice;

  std::int64_t workspace(const Arguments& a) const { return cuda_workspace(a); }
  void run(const Arguments& a) const { check_launch(cuda_run(a, stream()), "minibatch_stddev"); }
};

}  // namespace
}  // namespace fg::minibatch_stddev

FG_REGISTER_WITH_DERIVATIVES(
    FG_CUDA_NAMESPACE, FG_CUDA_KEY, minibatch_stddev, fg::minibatch_stddev::Cuda)
