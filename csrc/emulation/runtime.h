// The emulator's interface for emulated kernels and their host code.
//
// A launch that CUDA would refuse returns CUDA's error code: for an empty grid, too many threads or
// too much shared memory. A defect in a running kernel throws `Error` out of the launch, on the
// caller's stack. `Error` is a std::runtime_error, which an op library passes to Python as
// RuntimeError.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "cuda_types.h"

namespace fg::emulation {

// Its message has the block, the thread, and the file and line of the thread's operation.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Options {
  // Order of blocks, and of the threads of a block: 0 is forward and 1 is reverse. Others are seeds
  // of a random order.
  int order = 0;
  // Report a thread that has returned while others of its block wait in __syncthreads.
  bool strict_exit = true;
  // Report threads of a block that wait in different __syncthreads of the source.
  bool strict_site = true;
  // Largest shared memory of a block in bytes, static and dynamic. The default is CUDA's limit
  // without opt-in.
  std::size_t max_shared = 48 * 1024;
};

// Counts since the program's start, or since reset_stats().
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

// Position of the running thread. The core writes it at each switch.
struct Place {
  uint3 thread{};
  uint3 block{};
  dim3 block_dim;
  dim3 grid_dim;
  unsigned lane = 0;
};
extern Place place;

// Run `body(params)` once per thread, block after block. A second OS thread waits for the first
// launch to end.
cudaError_t run_grid(
    dim3 grid, dim3 block, std::size_t dynamic_shared, void (*body)(const void* params),
    const void* params);

// A kernel with its parameters. It makes plain calls because every report of a sanitizer has these
// frames.
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

// Stop the launch with an Error that has the position of this thread.
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

// Wait until all lanes of `mask` are in the same operation with the same mask. A shuffle returns
// the `value` of lane `source`. A ballot returns the lanes of the mask whose value isn't zero.
std::uint64_t warp_meet(
    WarpOperation operation, unsigned mask, std::uint64_t value, unsigned source, const char* file,
    int line);

// Return memory of the running block, one array per `tag`. It is full of 0xff bytes (NaN) when the
// block starts.
void* static_shared(
    const void* tag, std::size_t bytes, std::size_t alignment, const char* name, const char* file,
    int line);
void* dynamic_shared(const char* name, const char* file, int line);

// Make writes of other blocks before their fence visible after this one.
void thread_fence();

inline void check_aligned(
    const void* p, std::size_t alignment, const char* operation, const char* file, int line) {
  if (reinterpret_cast<std::uintptr_t>(p) % alignment != 0) {
    fail("misaligned vector access", operation, file, line);
  }
}

}  // namespace fg::emulation
