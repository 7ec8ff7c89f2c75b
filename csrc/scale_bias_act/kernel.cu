#include "../common/with_dtype.h"
#include "kernel.cuh"
#include "kernel_api.h"

namespace fg::scale_bias_act {

std::int64_t cuda_workspace(const Arguments& a) { return make_plan(a).workspace(a); }

int cuda_run(const Arguments& a, void* stream) {
  return with_dtype(
      a.dtype, [&](auto t) { return run<decltype(t)>(a, static_cast<cudaStream_t>(stream)); });
}

}  // namespace fg::scale_bias_act
