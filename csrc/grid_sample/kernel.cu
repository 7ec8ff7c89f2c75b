#include "../common/with_dtype.h"
#include "kernel.cuh"
#include "kernel_api.h"

namespace fg::grid_sample {

std::int64_t cuda_workspace(const Arguments& a) { return Sums::size(a); }

int cuda_run(const Arguments& a, void* stream) {
  return with_dtype(
      a.dtype, [&](auto t) { return run<decltype(t)>(a, static_cast<cudaStream_t>(stream)); });
}

}  // namespace fg::grid_sample
