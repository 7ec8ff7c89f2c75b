// CUDA functions that the glue calls. No translation unit includes the headers of both torch and
// CUDA, hence this file.
#pragma once

#include "problem.h"

namespace fg::pixel_norm {

int cuda_run(const Arguments& a, void* stream);  // a cudaError_t

}  // namespace fg::pixel_norm
