// Fibers: a stack and saved registers for each CUDA thread. Switches don't use the operating
// system.
#pragma once

#include <cstddef>
#include <vector>

#if !defined(__x86_64__)
#define FG_EMU_UCONTEXT 1  // can also be defined by hand, to test the fallback
#endif
#if defined(FG_EMU_UCONTEXT)
#include <ucontext.h>
#endif

namespace fg::emulation {

// Pool of stacks for fibers. Mapping a page costs more than the thread of a small kernel.
class StackPool {
 public:
#if defined(__SANITIZE_ADDRESS__)
  static constexpr std::size_t stack_bytes = 256 * 1024;  // frames have red zones
#else
  static constexpr std::size_t stack_bytes = 64 * 1024;
#endif

  StackPool() = default;
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;
  ~StackPool();

  char* take();
  void give_back(char* stack) { free_.push_back(stack); }

 private:
  std::vector<char*> free_;
};

// A flow of control: a fiber, or the scheduler on the stack of the launch's caller.
struct Context {
#if defined(FG_EMU_UCONTEXT)
  ucontext_t registers{};
#else
  void* stack_pointer = nullptr;
#endif
  const void* stack_bottom = nullptr;
  std::size_t stack_size = 0;
  void* asan_fake_stack = nullptr;
  void* tsan_fiber = nullptr;
};

// Create a fiber that runs `entry` at the first switch to it. `entry` must first call
// arrive_on_fiber, and must never return.
void create_fiber(Context& fiber, char* stack, void (*entry)());
void arrive_on_fiber(Context& scheduler);

// Switch to a fiber. It returns when something switches back to `from`.
void switch_context(Context& from, Context& to);
[[noreturn]] void switch_for_good(Context& from, Context& to);

}  // namespace fg::emulation
