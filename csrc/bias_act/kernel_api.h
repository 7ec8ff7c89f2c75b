// CUDA functions that the glue calls. No translation unit includes the headers of both torch and
// CUDA, hence this file.
#pragma once

#include "problem.h"

namespace fg::bias_act {

std::int64_t cuda_partials(const Arguments& a);
// Both return a cudaError_t.
int cuda_run(const Arguments& a, void* stream);
int cuda_reduce(const Arguments& a, void* db, void* stream);

}  // namespace fg::bias_act
