// The platform of all kernels: CUDA under nvcc, the tests' CPU emulation under FG_EMU.
//
// - fg_launch(kernel, grid, block, smem_bytes, stream, args...) -> cudaError_t: used for <<<>>>
// - FG_SHARED(type, name, dims): static shared memory, e.g. FG_SHARED(float, tile, [32][33])
// - FG_DYN_SHARED(type, name): the dynamic shared memory of the launch, once per kernel
// - fg::half_t, fg::bf16_t: element types
// - fg::accumulate_t<T>: type of sums of T
// - fg::warp, fg::block_threads: threads of a warp, and of a block in most kernels
// - fg::Vec<T, N>: N elements for one memory access
// - fg::load_vec, fg::store_vec, fg::store_shared: such accesses
//
// Under nvcc it is C++17 and uses only two header-only number types of torch.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(FG_EMU)
#include "../emulation/emulation.h"
#else
#include <cuda_runtime.h>
#endif

#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#define FG_HOST_DEVICE __host__ __device__ __forceinline__
#define FG_DEVICE __device__ __forceinline__

#if !defined(FG_EMU)

// `type` must not contain a comma: give such a type a name with `using` first.
#define FG_SHARED(type, name, dims) __shared__ type name dims

#define FG_DYN_SHARED(type, name)                                           \
  extern __shared__ __align__(16) unsigned char fg_dynamic_shared_memory[]; \
  type* name = reinterpret_cast<type*>(fg_dynamic_shared_memory)

#if defined(__CUDACC__)
template <class... Params, class... Args>
cudaError_t fg_launch(
    void (*kernel)(Params...), dim3 grid, dim3 block, std::size_t smem_bytes, cudaStream_t stream,
    Args... args) {
  constexpr std::size_t smem_without_opt_in = 48 * 1024;
  if (smem_bytes > smem_without_opt_in) {
    const cudaError_t error = cudaFuncSetAttribute(
        reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
        static_cast<int>(smem_bytes));
    if (error != cudaSuccess) {
      return error;
    }
  }
  kernel<<<grid, block, smem_bytes, stream>>>(static_cast<Params>(args)...);
  return cudaGetLastError();
}
#endif  // __CUDACC__

#endif  // !FG_EMU

namespace fg {

inline constexpr int warp = 32, block_threads = 256;

using half_t = c10::Half;
using bf16_t = c10::BFloat16;

// Type of sums and intermediate values of T: float, or double for double.
template <class T>
struct Accumulate {
  using type = float;
};
template <>
struct Accumulate<double> {
  using type = double;
};
template <class T>
using accumulate_t = typename Accumulate<T>::type;

template <class T>
FG_HOST_DEVICE accumulate_t<T> to_accumulate(T value) {
  return static_cast<accumulate_t<T>>(value);
}

// Round to nearest even. Callers must name T: from_accumulate<T>(sum).
template <class T>
FG_HOST_DEVICE T from_accumulate(accumulate_t<T> value) {
  return static_cast<T>(value);
}

template <class T, int N>
struct alignas(sizeof(T) * N) Vec {
  T v[N];

  FG_HOST_DEVICE T& operator[](int i) { return v[i]; }
  FG_HOST_DEVICE const T& operator[](int i) const { return v[i]; }
};

// Elements of T in a 128-bit access, the widest access of a thread.
template <class T>
inline constexpr int vec_width = static_cast<int>(16 / sizeof(T));

#if defined(FG_EMU)

// The message of a misaligned access has the caller's file and line.
template <int N, class T>
Vec<T, N> load_vec(const T* p, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  emulation::check_aligned(p, alignof(Vec<T, N>), "load_vec", file, line);
  return *reinterpret_cast<const Vec<T, N>*>(p);
}

template <class T, int N>
void store_vec(
    T* p, const Vec<T, N>& values, const char* file = __builtin_FILE(),
    int line = __builtin_LINE()) {
  emulation::check_aligned(p, alignof(Vec<T, N>), "store_vec", file, line);
  *reinterpret_cast<Vec<T, N>*>(p) = values;
}

#else

template <int N, class T>
FG_DEVICE Vec<T, N> load_vec(const T* p) {
  return *reinterpret_cast<const Vec<T, N>*>(p);
}

// 128 bits are stored in PTX: after a branch, nvcc splits the struct and stores each element alone.
template <class T, int N>
FG_DEVICE void store_vec(T* p, const Vec<T, N>& values) {
  if constexpr (sizeof(values) == 16) {
    uint4 w;
    memcpy(&w, &values, sizeof(w));
    asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(p)),
                 "r"(w.x), "r"(w.y), "r"(w.z), "r"(w.w)
                 : "memory");
  } else {
    *reinterpret_cast<Vec<T, N>*>(p) = values;
  }
}

#endif

// store_vec for shared memory, in PTX for the same reason.
template <int N, class R>
FG_DEVICE void store_shared(R* p, const Vec<R, N>& values) {
#if !defined(FG_EMU)
  if constexpr (sizeof(values) == 16) {
    uint4 w;
    memcpy(&w, &values, sizeof(w));
    const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(p));
    asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(w.x), "r"(w.y),
                 "r"(w.z), "r"(w.w)
                 : "memory");
    return;
  }
#endif
  *reinterpret_cast<Vec<R, N>*>(p) = values;
}

}  // namespace fg
