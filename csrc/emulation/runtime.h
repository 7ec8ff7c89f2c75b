// What emulated kernels and their host code see of the emulator.
//
// A launch that CUDA would refuse (an empty grid, too many threads, too much shared memory) returns CUDA's error code.
// A defect that the emulator finds while a kernel runs throws `Error` out of the launch, on the caller's stack: it
// derives from std::runtime_error, so that through an op library it arrives in Python as RuntimeError.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "cuda_types.h"

namespace fg::emulation {

// The message names the block, the thread, and the file and line of the operation it was in.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Options {
  // The order in which blocks, and the threads of a block, run: 0 forward, 1 reverse, from 2 on shuffled by this seed.
  int order = 0;
  // A thread that has returned while others of its block wait in __syncthreads is an error.
  bool strict_exit = true;
  // All threads of a block have to meet in the same __syncthreads of the source.
  bool strict_site = true;
  // Bytes of shared memory a block may have, static and dynamic: CUDA's limit without opting in to more.
  std::size_t max_shared = 48 * 1024;
};

// Counted since the program's start, or since reset_stats().
struct Stats {
  std::uint64_t launches = 0;
  std::uint64_t blocks = 0;
  std::uint64_t threads = 0;
  std::uint64_t switches = 0;
  std::uint64_t barriers = 0;
  std::uint64_t warp_operations = 0;
  std::uint64_t shared_peak = 0;  // bytes, the largest of any block
};

void set_options(const Options& options);
Stats get_stats();
void reset_stats();

// Where the running thread is; the core writes it at each switch.
struct Place {
  uint3 thread{};
  uint3 block{};
  dim3 block_dim;
  dim3 grid_dim;
  unsigned lane = 0;
};
extern Place place;

// Runs `body(params)` once per thread, block after block. One launch at a time: a second OS thread waits.
cudaError_t run_grid(
    dim3 grid, dim3 block, std::size_t dynamic_shared, void (*body)(const void* params),
    const void* params);

// A kernel with its parameters. Plain calls, since these frames are in every report of a sanitizer.
template <class... Params>
class BoundKernel {
 public:
  template <class... Args>
  explicit BoundKernel(void (*kernel)(Params...), Args... args)
      : kernel_(kernel), params_(static_cast<Params>(args)...) {}

  static void run_thread(const void* self) {
    static_cast<const BoundKernel*>(self)->call(std::index_sequence_for<Params...>());
  }

 private:
  template <std::size_t... I>
  void call(std::index_sequence<I...>) const {
    kernel_(std::get<I>(params_)...);
  }

  void (*kernel_)(Params...);
  std::tuple<Params...> params_;
};

template <class... Params, class... Args>
cudaError_t launch(
    void (*kernel)(Params...), dim3 grid, dim3 block, std::size_t dynamic_shared, Args... args) {
  const BoundKernel<Params...> bound(kernel, args...);
  return run_grid(grid, block, dynamic_shared, &BoundKernel<Params...>::run_thread, &bound);
}

// ---- called on the stack of a CUDA thread

// Stops the launch with an Error that tells this thread's place.
[[noreturn]] void fail(const char* message, const char* operation, const char* file, int line);

void block_barrier(const char* file, int line);

enum class WarpOperation : std::uint8_t {
  sync,
  shuffle_index,
  shuffle_xor,
  shuffle_up,
  shuffle_down,
  ballot
};

// Waits until all lanes of `mask` are in the same operation with the same mask. A shuffle returns the `value` of lane
// `source`, a ballot the lanes of the mask whose value isn't zero, a sync nothing.
std::uint64_t warp_meet(
    WarpOperation operation, unsigned mask, std::uint64_t value, unsigned source, const char* file,
    int line);

// Memory of the running block, one array per `tag`, filled with 0xff bytes (NaN) when the block starts.
void* static_shared(
    const void* tag, std::size_t bytes, std::size_t alignment, const char* name, const char* file,
    int line);
void* dynamic_shared(const char* name, const char* file, int line);

// Data that other blocks have written before their fence is seen after ours.
void thread_fence();

inline void check_aligned(
    const void* p, std::size_t alignment, const char* operation, const char* file, int line) {
  if (reinterpret_cast<std::uintptr_t>(p) % alignment != 0) {
    fail("misaligned vector access", operation, file, line);
  }
}

}  // namespace fg::emulation
