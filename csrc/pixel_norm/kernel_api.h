// What the glue calls of the CUDA side; a file of its own so that torch and CUDA meet in no translation unit's headers.
#pragma once

#include "problem.h"

namespace fg::pixel_norm {

int cuda_run(const Arguments& a, void* stream);  // a cudaError_t

}  // namespace fg::pixel_norm
