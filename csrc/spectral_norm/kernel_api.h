// CUDA functions that the glue calls. No translation unit includes the headers of both torch and
// CUDA, hence this file.
#pragma once

#include "problem.h"

namespace fg::spectral_norm {

std::int64_t cuda_workspace(const Arguments& a);
int cuda_run(const Arguments& a, void* stream);  // a cudaError_t

}  // namespace fg::spectral_norm
