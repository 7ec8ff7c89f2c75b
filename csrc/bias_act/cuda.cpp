#include "../common/cuda_device.h"
#include "glue.h"
#include "kernel_api.h"

namespace fg::bias_act {
namespace {

struct Cuda : CudaDevice {
  using CudaDevice::CudaDevice;

  std::int64_t partials(const Arguments& a) const { return cuda_partials(a); }
  void run(const Arguments& a) const { check_launch(cuda_run(a, stream()), "bias_act"); }
  void reduce(const Arguments& a, void* db) const {
    check_launch(cuda_reduce(a, db, stream()), "bias_act");
  }
};

}  // namespace
}  // namespace fg::bias_act

FG_REGISTER_BIAS_ACT(FG_CUDA_NAMESPACE, FG_CUDA_KEY, fg::bias_act::Cuda)
