// CUDA on the CPU, for tests. Under FG_EMU, common/fg_platform.cuh includes this instead of
// cuda_runtime.h. README.md in this folder describes how it works and which defects it finds.
#pragma once

#include "cuda_types.h"
#include "intrinsics.h"
#include "runtime.h"
#include "warp.h"

#define threadIdx (::fg::emulation::place.thread)
#define blockIdx (::fg::emulation::place.block)
#define blockDim (::fg::emulation::place.block_dim)
#define gridDim (::fg::emulation::place.grid_dim)

// These are macros so that reports of defects have the file and line of the kernel.
#define __syncthreads() ::fg::emulation::block_barrier(__FILE__, __LINE__)
#define __syncwarp(...) \
  ::fg::emulation::warp_sync(__FILE__, __LINE__, ::fg::emulation::mask_or_full(__VA_ARGS__))
#define __shfl_sync(...) ::fg::emulation::shuffle_index(__FILE__, __LINE__, __VA_ARGS__)
#define __shfl_xor_sync(...) ::fg::emulation::shuffle_xor(__FILE__, __LINE__, __VA_ARGS__)
#define __shfl_down_sync(...) ::fg::emulation::shuffle_down(__FILE__, __LINE__, __VA_ARGS__)
#define __shfl_up_sync(...) ::fg::emulation::shuffle_up(__FILE__, __LINE__, __VA_ARGS__)
#define __ballot_sync(mask, predicate) ::fg::emulation::ballot(__FILE__, __LINE__, mask, predicate)
#define __any_sync(mask, predicate) (__ballot_sync(mask, predicate) != 0)
#define __all_sync(mask, predicate) (__ballot_sync(mask, predicate) == static_cast<unsigned>(mask))

// A reference to an array lets UBSan check every index against its own dimension; a pointer
// doesn't.
#define FG_SHARED(type, name, dims)                                                              \
  static char fg_tag_of_##name;                                                                  \
  using fg_type_of_##name = type dims;                                                           \
  fg_type_of_##name& name = *static_cast<fg_type_of_##name*>(::fg::emulation::static_shared(     \
      &fg_tag_of_##name, sizeof(fg_type_of_##name), alignof(fg_type_of_##name), #name, __FILE__, \
      __LINE__))

#define FG_DYN_SHARED(type, name) \
  type* name = static_cast<type*>(::fg::emulation::dynamic_shared(#name, __FILE__, __LINE__))

template <class... Params, class... Args>
cudaError_t fg_launch(
    void (*kernel)(Params...), dim3 grid, dim3 block, std::size_t smem_bytes, cudaStream_t,
    Args... args) {
  return ::fg::emulation::launch(kernel, grid, block, smem_bytes, args...);
}
