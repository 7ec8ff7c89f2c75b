// CUDA functions that the glue calls. No translation unit includes the headers of both torch and
// CUDA, hence this file.
#pragma once

#include "problem.h"

namespace fg::upfirdn2d {

int cuda_run(const Arguments& a, void* stream);  // a cudaError_t

}  // namespace fg::upfirdn2d
