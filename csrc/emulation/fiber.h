// Fibers: a stack and saved registers for each CUDA thread, switched without the operating system.
#pragma once

#include <cstddef>
#include <vector>

#if !defined(__x86_64__)
#define FG_EMU_UCONTEXT 1  // may also be set by hand, to test the fallback
#endif
#if defined(FG_EMU_UCONTEXT)
#include <ucontext.h>
#endif

namespace fg::emulation {

// Stacks are kept for the next fiber: a mapped page costs more than running a small kernel's thread.
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

// `entry` runs at the first switch to `fiber`; it must call arrive_on_fiber first, and never return.
void create_fiber(Context& fiber, char* stack, void (*entry)());
void arrive_on_fiber(Context& scheduler);

// Returns when something switches back to `from`.
void switch_context(Context& from, Context& to);
[[noreturn]] void switch_for_good(Context& from, Context& to);

}  // namespace fg::emulation
