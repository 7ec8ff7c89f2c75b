#include "kernel.cuh"
#include "kernel_api.h"

namespace fg::upfirdn2d {

int cuda_run(const Arguments& a, void* stream) {
  const auto s = static_cast<cudaStream_t>(stream);
  switch (a.dtype) {
    case DType::f16:
      return run<half_t>(a, s);
    case DType::bf16:
      return run<bf16_t>(a, s);
    case DType::f32:
      return run<float>(a, s);
    default:
      return run<double>(a, s);
  }
}

}  // namespace fg::upfirdn2d
