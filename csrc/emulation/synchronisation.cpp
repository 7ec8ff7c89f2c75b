// Functions that a thread of a kernel calls: barriers, warp operations, shared memory, failure.
#include <string>
#include <vector>

#include "machine.h"
#include "sanitizers.h"

namespace fg::emulation {

namespace {

const char* name_of(WarpOperation operation) {
  switch (operation) {
    case WarpOperation::sync:
      return "__syncwarp";
    case WarpOperation::shuffle_index:
      return "__shfl_sync";
    case WarpOperation::shuffle_xor:
      return "__shfl_xor_sync";
    case WarpOperation::shuffle_up:
      return "__shfl_up_sync";
    case WarpOperation::shuffle_down:
      return "__shfl_down_sync";
    case WarpOperation::ballot:
      return "__ballot_sync";
  }
  return "?";
}

bool holds(unsigned mask, unsigned lane) {
  return lane < lanes_per_warp && ((mask >> lane) & 1u) != 0;
}

[[noreturn]] void fail_here(const std::string& message) {
  throw Error(message + " [" + describe_thread(*machine.current) + "]");
}

void enter(const char* operation, const char* file, int line) {
  Thread& thread = *machine.current;
  thread.operation = operation;
  thread.file = file;
  thread.line = line;
}

void wait() { switch_context(machine.current->context, machine.scheduler); }

unsigned lanes_of_warp(unsigned warp) {
  const std::size_t left = machine.threads.size() - static_cast<std::size_t>(warp) * lanes_per_warp;
  return left >= lanes_per_warp ? ~0u : (1u << left) - 1;
}

// Compute the result of each lane. All lanes of the mask have arrived; `last` is the last of them.
void complete_meeting(Thread& last) {
  Thread* const lanes = &machine.threads[static_cast<std::size_t>(last.warp) * lanes_per_warp];
  const unsigned mask = last.mask;
  std::uint64_t votes = 0;
  for (unsigned lane = 0; lane < lanes_per_warp; ++lane) {
    if (!holds(mask, lane)) {
      continue;
    }
    if (lanes[lane].mask != mask || lanes[lane].warp_operation != last.warp_operation) {
      fail_here(
          "lanes of a mask meet in different operations or with different masks: the other is " +
          describe_thread(lanes[lane]));
    }
    votes |= static_cast<std::uint64_t>(lanes[lane].value != 0) << lane;
  }
  const bool is_shuffle =
      last.warp_operation != WarpOperation::sync && last.warp_operation != WarpOperation::ballot;
  for (unsigned lane = 0; lane < lanes_per_warp; ++lane) {
    if (!holds(mask, lane)) {
      continue;
    }
    Thread& thread = lanes[lane];
    if (is_shuffle && !holds(mask, thread.source)) {
      throw Error(
          "shuffle reads lane " + std::to_string(thread.source) +
          ", which the mask doesn't hold [" + describe_thread(thread) + "]");
    }
    thread.result = is_shuffle ? lanes[thread.source].value : votes;
    thread.state = ThreadState::ready;
  }
  machine.warps[last.warp].arrived &= ~mask;
  if (tsan::enabled) {
    std::vector<Thread*> met;
    for (unsigned lane = 0; lane < lanes_per_warp; ++lane) {
      if (holds(mask, lane)) {
        met.push_back(&lanes[lane]);
      }
    }
    order_meeting(met, last.context);
  }
}

}  // namespace

// Order all threads at once. If each thread acquired in its own turn, it would also see what
// faster threads have released since. TSan would then miss the missing second barrier of a loop.
void order_meeting(const std::vector<Thread*>& threads, const Context& caller) {
  for (Thread* const thread : threads) {
    tsan::switch_to(thread->context.tsan_fiber);
    if (thread == threads.front()) {
      tsan::release_alone(&machine.meeting);
    } else {
      tsan::release(&machine.meeting);
    }
  }
  for (Thread* const thread : threads) {
    tsan::switch_to(thread->context.tsan_fiber);
    tsan::acquire(&machine.meeting);
  }
  tsan::switch_to(caller.tsan_fiber);
}

void fail(const char* message, const char* operation, const char* file, int line) {
  enter(operation, file, line);
  fail_here(message);
}

void block_barrier(const char* file, int line) {
  enter("__syncthreads", file, line);
  machine.current->state = ThreadState::at_barrier;
  ++machine.at_barrier;
  ++machine.stats.barriers;
  wait();
}

std::uint64_t warp_meet(
    WarpOperation operation, unsigned mask, std::uint64_t value, unsigned source, const char* file,
    int line) {
  enter(name_of(operation), file, line);
  Thread& thread = *machine.current;
  thread.warp_operation = operation;
  thread.mask = mask;
  thread.value = value;
  thread.source = source;
  ++machine.stats.warp_operations;
  if (!holds(mask, thread.lane)) {
    fail_here("the calling lane isn't in the mask");
  }
  if ((mask & ~lanes_of_warp(thread.warp)) != 0) {
    fail_here("the mask names lanes that the block doesn't have");
  }
  Warp& warp = machine.warps[thread.warp];
  thread.state = ThreadState::at_warp;
  warp.arrived |= 1u << thread.lane;
  if ((warp.arrived & mask) == mask) {
    complete_meeting(thread);
  } else {
    wait();
  }
  return thread.result;
}

void* static_shared(
    const void* tag, std::size_t bytes, std::size_t alignment, const char* name, const char* file,
    int line) {
  void* const memory = machine.shared.find_or_make(tag, bytes, alignment, name, file, line);
  if (memory == nullptr) {
    enter("FG_SHARED", file, line);
    fail_here(
        "shared memory over the limit of " + std::to_string(machine.options.max_shared) + " bytes");
  }
  return memory;
}

void* dynamic_shared(const char* name, const char* file, int line) {
  if (machine.dynamic_shared == 0) {
    fail("the launch gives no dynamic shared memory", "FG_DYN_SHARED", file, line);
  }
  static constexpr char tag = 0;
  return static_shared(&tag, machine.dynamic_shared, SharedMemory::alignment, name, file, line);
}

void thread_fence() {
  // This orders more than a GPU's fence, which needs an atomic with it; TSan has no lone fences.
  tsan::acquire(&machine.fence);
  tsan::release(&machine.fence);
}

}  // namespace fg::emulation
