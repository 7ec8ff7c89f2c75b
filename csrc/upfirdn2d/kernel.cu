#include "../common/with_dtype.h"
#include "kernel.cuh"
#include "kernel_api.h"

namespace fg::upfirdn2d {

int cuda_run(const Arguments& a, void* stream) {
  return with_dtype(
      a.dtype, [&](auto t) { return run<decltype(t)>(a, static_cast<cudaStream_t>(stream)); });
}

}  // namespace fg::upfirdn2d
