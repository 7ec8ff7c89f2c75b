#include "../common/with_dtype.h"
#include "kernel.cuh"
#include "kernel_api.h"

namespace fg::bias_act {

std::int64_t cuda_partials(const Arguments& a) { return partials(a.layout); }

int cuda_run(const Arguments& a, void* stream) {
  return with_dtype(
      a.dtype, [&](auto t) { return run<decltype(t)>(a, static_cast<cudaStream_t>(stream)); });
}

int cuda_reduce(const Arguments& a, void* db, void* stream) {
  return with_dtype(a.dtype, [&](auto t) {
    return reduce<decltype(t)>(a, db, static_cast<cudaStream_t>(stream));
  });
}

}  // namespace fg::bias_act
