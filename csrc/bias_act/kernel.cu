#include "kernel.cuh"
#include "kernel_api.h"

namespace fg::bias_act {

std::int64_t cuda_partials(const Arguments& a) { return partials(a.layout); }

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

int cuda_reduce(const Arguments& a, void* db, void* stream) {
  const auto s = static_cast<cudaStream_t>(stream);
  switch (a.dtype) {
    case DType::f16:
      return reduce<half_t>(a, db, s);
    case DType::bf16:
      return reduce<bf16_t>(a, db, s);
    case DType::f32:
      return reduce<float>(a, db, s);
    default:
      return reduce<double>(a, db, s);
  }
}

}  // namespace fg::bias_act
