#include "../common/cuda_device.h"
#include "glue.h"
#include "kernel_api.h"

namespace fg::grid_sample {
namespace {

struct Cuda : CudaDevice {
  using CudaDevice::CudaDevice;

  std::int64_t workspace(const Arguments& a) const { return cuda_workspace(a); }
  void run(const Arguments& a) const { check_launch(cuda_run(a, stream()), "grid_sample"); }
};

}  // namespace
}  // namespace fg::grid_sample

FG_REGISTER_GRID_SAMPLE(FG_CUDA_NAMESPACE, FG_CUDA_KEY, fg::grid_sample::Cuda)
