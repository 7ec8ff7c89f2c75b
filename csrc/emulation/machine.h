// State of the running launch, private to the core.
#pragma once

#include <cstdint>
#include <exception>
#include <mutex>
#include <string>
#include <vector>

#include "fiber.h"
#include "runtime.h"
#include "shared_memory.h"

namespace fg::emulation {

inline constexpr unsigned lanes_per_warp = 32;

enum class ThreadState : std::uint8_t { fresh, ready, at_barrier, at_warp, returned };

struct Thread {
  Context context;
  char* stack = nullptr;
  uint3 index{};
  unsigned lane = 0;
  unsigned warp = 0;
  ThreadState state = ThreadState::fresh;

  // The operation in which it waits, or its last one.
  const char* operation = "";
  const char* file = "";
  int line = 0;

  // Arguments and result of its warp_meet.
  WarpOperation warp_operation = WarpOperation::sync;
  unsigned mask = 0;
  std::uint64_t value = 0;
  unsigned source = 0;
  std::uint64_t result = 0;
};

struct Warp {
  unsigned arrived = 0;  // lanes that wait in warp_meet
};

struct Machine {
  Options options;
  Stats stats;
  std::mutex mutex;

  Context scheduler;
  StackPool stacks;
  std::vector<char*> retired_stacks;  // under TSan: not used again in this launch
  std::vector<void*> retired_fibers;
  std::vector<void*> spare_fibers;  // from earlier launches: TSan needs about 1 ms to create one

  void (*body)(const void* params) = nullptr;
  const void* params = nullptr;
  std::size_t dynamic_shared = 0;  // bytes
  std::vector<Thread> threads;     // of the running block
  std::vector<Warp> warps;
  SharedMemory shared;
  Thread* current = nullptr;
  unsigned alive = 0;       // threads that haven't returned
  unsigned at_barrier = 0;  // those of them that wait in __syncthreads
  std::exception_ptr error;

  char launch_begin = 0;  // addresses for TSan's acquire and release
  char launch_end = 0;
  char meeting = 0;
  char fence = 0;
};
extern Machine machine;

// For TSan: order everything that these threads did so far before everything that any of them does
// from now on. `caller` is the calling context.
void order_meeting(const std::vector<Thread*>& threads, const Context& caller);

// Return "block (0,0,0): 16 threads from (0,0,0) in __syncthreads at kernel.cuh:12, 16 threads from
// (16,0,0) returned".
std::string describe_block();
// Return "block (0,0,0) thread (5,0,0) in __shfl_xor_sync at kernel.cuh:12".
std::string describe_thread(const Thread& thread);

// Run the block at place.block to its end. `number` seeds the order of its threads.
void run_block(std::uint64_t number);

}  // namespace fg::emulation
