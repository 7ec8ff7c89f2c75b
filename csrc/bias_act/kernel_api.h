// What the glue calls of the CUDA side; a file of its own so that torch and CUDA meet in no translation unit's headers.
#pragma once

#include "problem.h"

namespace fg::bias_act {

std::int64_t cuda_partials(const Arguments& a);
int cuda_run(const Arguments& a, void* stream);               // a cudaError_t
int cuda_reduce(const Arguments& a, void* db, void* stream);  // a cudaError_t

}  // namespace fg::bias_act
