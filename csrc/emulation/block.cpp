// One block: its threads are fibers, each of which runs until it must wait for others.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <random>
#include <string>

#include "machine.h"
#include "sanitizers.h"

namespace fg::emulation {

namespace {

std::string triple(uint3 i) {
  return "(" + std::to_string(i.x) + "," + std::to_string(i.y) + "," + std::to_string(i.z) + ")";
}

std::string name_of(const Thread& thread) {
  return "block " + triple(place.block) + " thread " + triple(thread.index);
}

std::string describe_state(const Thread& thread) {
  if (thread.state == ThreadState::returned) {
    return "returned";
  }
  std::string text = std::string("in ") + thread.operation;
  if (thread.state == ThreadState::at_warp) {
    char mask[32];
    std::snprintf(mask, sizeof(mask), " (mask 0x%08x)", thread.mask);
    text += mask;
  }
  return text + " at " + thread.file + ":" + std::to_string(thread.line);
}

// The first function on a fiber's stack. It isn't instrumented because it never returns. ASan's red
// zones of its frame would stay for the next fiber on this stack.
[[noreturn]] __attribute__((no_sanitize("address"))) void run_thread() {
  arrive_on_fiber(machine.scheduler);
  tsan::acquire(&machine.launch_begin);
  try {
    machine.body(machine.params);
  } catch (...) {
    machine.error = std::current_exception();
  }
  tsan::release(&machine.launch_end);
  machine.current->state = ThreadState::returned;
  switch_for_good(machine.current->context, machine.scheduler);
}

void give_back_stack(Thread& thread) {
  if (tsan::enabled) {
    machine.retired_stacks.push_back(thread.stack);
    machine.retired_fibers.push_back(thread.context.tsan_fiber);
  } else {
    machine.stacks.give_back(thread.stack);
  }
  thread.stack = nullptr;
}

// Release a thread in the middle of the kernel, in a block that has failed.
void abandon(Thread& thread) {
  // Nothing leaves the frames of this stack, so their red zones would stay.
  asan::unpoison(thread.stack, StackPool::stack_bytes);
  tsan::switch_to(thread.context.tsan_fiber);
  tsan::release(&machine.launch_end);
  tsan::switch_to(machine.scheduler.tsan_fiber);
  give_back_stack(thread);
}

void* take_tsan_fiber(const Thread& thread) {
  void* fiber = nullptr;
  if (machine.spare_fibers.empty()) {
    fiber = tsan::create_fiber();
  } else {
    fiber = machine.spare_fibers.back();
    machine.spare_fibers.pop_back();
  }
  if (tsan::enabled) {
    tsan::name_fiber(fiber, name_of(thread).c_str());
  }
  return fiber;
}

void resume(Thread& thread) {
  ++machine.stats.switches;
  machine.current = &thread;
  place.thread = thread.index;
  place.lane = thread.lane;
  if (thread.state == ThreadState::fresh) {
    thread.stack = machine.stacks.take();
    create_fiber(thread.context, thread.stack, &run_thread);
    thread.context.tsan_fiber = take_tsan_fiber(thread);
    thread.state = ThreadState::ready;
  }
  switch_context(machine.scheduler, thread.context);
  if (thread.state == ThreadState::returned) {
    give_back_stack(thread);
    --machine.alive;
  }
  if (machine.error != nullptr) {
    std::rethrow_exception(machine.error);
  }
}

// Order in which threads start, and continue after each wait.
class ThreadOrder {
 public:
  ThreadOrder(int order, std::size_t threads, std::uint64_t block_number)
      : is_random_(order >= 2),
        random_(
            static_cast<std::uint32_t>(static_cast<std::uint64_t>(order) * 7919 + block_number)),
        indices_(threads) {
    std::iota(indices_.begin(), indices_.end(), 0u);
    if (order == 1) {
      std::reverse(indices_.begin(), indices_.end());
    }
  }

  const std::vector<unsigned>& next_pass() {
    if (is_random_) {
      std::shuffle(indices_.begin(), indices_.end(), random_);
    }
    return indices_;
  }

 private:
  bool is_random_;
  std::minstd_rand random_;
  std::vector<unsigned> indices_;
};

// Cleanup at the end of a block, also after an exception.
class BlockScope {
 public:
  BlockScope() = default;
  BlockScope(const BlockScope&) = delete;
  BlockScope& operator=(const BlockScope&) = delete;
  ~BlockScope() {
    for (Thread& thread : machine.threads) {
      if (thread.stack != nullptr) {
        abandon(thread);
      }
    }
    machine.threads.clear();
    machine.shared.end_block();
  }
};

void make_threads() {
  const dim3 dim = place.block_dim;
  const unsigned count = dim.x * dim.y * dim.z;
  machine.threads.assign(count, Thread{});
  machine.warps.assign((count + lanes_per_warp - 1) / lanes_per_warp, Warp{});
  for (unsigned i = 0; i < count; ++i) {
    Thread& thread = machine.threads[i];
    thread.index = {i % dim.x, i / dim.x % dim.y, i / dim.x / dim.y};
    thread.lane = i % lanes_per_warp;
    thread.warp = i / lanes_per_warp;
  }
  machine.alive = count;
  machine.at_barrier = 0;
}

bool run_pass(const std::vector<unsigned>& order) {
  bool any_ran = false;
  for (const unsigned i : order) {
    Thread& thread = machine.threads[i];
    if (thread.state == ThreadState::fresh || thread.state == ThreadState::ready) {
      any_ran = true;
      resume(thread);
    }
  }
  return any_ran;
}

void check_barrier() {
  const Thread* first = nullptr;
  for (const Thread& thread : machine.threads) {
    if (thread.state == ThreadState::returned) {
      if (machine.options.strict_exit) {
        throw Error(
            "threads returned while others of their block wait in __syncthreads [" +
            describe_block() + "]");
      }
    } else if (first == nullptr) {
      first = &thread;
    } else if (
        machine.options.strict_site &&
        (thread.line != first->line || std::strcmp(thread.file, first->file) != 0)) {
      throw Error(
          "divergent __syncthreads: threads of a block wait in different places [" +
          describe_block() + "]");
    }
  }
}

void open_barrier() {
  std::vector<Thread*> met;
  for (Thread& thread : machine.threads) {
    if (thread.state == ThreadState::at_barrier) {
      thread.state = ThreadState::ready;
      met.push_back(&thread);
    }
  }
  machine.at_barrier = 0;
  if (tsan::enabled) {
    order_meeting(met, machine.scheduler);
  }
}

}  // namespace

std::string describe_thread(const Thread& thread) {
  return name_of(thread) + " " + describe_state(thread);
}

std::string describe_block() {
  struct Group {
    std::string state;
    unsigned count;
    uint3 first;
  };
  std::vector<Group> groups;
  for (const Thread& thread : machine.threads) {
    const std::string state = describe_state(thread);
    const auto same = std::find_if(
        groups.begin(), groups.end(), [&](const Group& g) { return g.state == state; });
    if (same == groups.end()) {
      groups.push_back({state, 1, thread.index});
    } else {
      ++same->count;
    }
  }
  std::string text = "block " + triple(place.block) + ":";
  for (const Group& group : groups) {
    text += (&group == groups.data() ? " " : ", ") + std::to_string(group.count) + " thread" +
            (group.count == 1 ? " " : "s from ") + triple(group.first) + " " + group.state;
  }
  return text;
}

void run_block(std::uint64_t number) {
  const BlockScope scope;
  make_threads();
  machine.shared.begin_block(machine.options.max_shared);
  tsan::release(&machine.launch_begin);

  ThreadOrder order(machine.options.order, machine.threads.size(), number);
  while (machine.alive > 0) {
    const bool any_ran = run_pass(order.next_pass());
    if (machine.alive > 0 && machine.at_barrier == machine.alive) {
      check_barrier();
      open_barrier();
    } else if (!any_ran) {
      throw Error("deadlock: every thread waits for another [" + describe_block() + "]");
    }
  }

  if (const std::string arrays = machine.shared.damage(); !arrays.empty()) {
    throw Error(
        "shared memory was written past the end of " + arrays + " [block " + triple(place.block) +
        "]");
  }
  ++machine.stats.blocks;
  machine.stats.threads += machine.threads.size();
  machine.stats.shared_peak =
      std::max<std::uint64_t>(machine.stats.shared_peak, machine.shared.used());
}

}  // namespace fg::emulation
