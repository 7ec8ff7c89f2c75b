#include "fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <new>

#include "sanitizers.h"

namespace fg::emulation {

namespace {

std::size_t guard_bytes() {
  static const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return page;
}

#if !defined(FG_EMU_UCONTEXT)
// Store the callee-saved registers on this stack and its pointer in *save, then load those of
// `load`. This takes about 2 ns; swapcontext makes two system calls.
__attribute__((naked, noinline, no_sanitize("address", "undefined"))) void switch_stack(
    void** /* save: rdi */, void* /* load: rsi */) {
  asm(R"(
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
  )");
}
constexpr int saved_registers = 6;
#endif

void swap_registers(Context& from, Context& to) {
#if defined(FG_EMU_UCONTEXT)
  swapcontext(&from.registers, &to.registers);
#else
  switch_stack(&from.stack_pointer, to.stack_pointer);
#endif
}

}  // namespace

StackPool::~StackPool() {
  for (char* stack : free_) {
    munmap(stack - guard_bytes(), stack_bytes + guard_bytes());
  }
}

char* StackPool::take() {
  if (!free_.empty()) {
    char* stack = free_.back();
    free_.pop_back();
    return stack;
  }
  void* memory = mmap(
      nullptr, stack_bytes + guard_bytes(), PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    throw std::bad_alloc();
  }
  // An overflow stops at once instead of writing to other memory.
  mprotect(memory, guard_bytes(), PROT_NONE);
  return static_cast<char*>(memory) + guard_bytes();
}

void create_fiber(Context& fiber, char* stack, void (*entry)()) {
  fiber.stack_bottom = stack;
  fiber.stack_size = StackPool::stack_bytes;
  fiber.asan_fake_stack = nullptr;
#if defined(FG_EMU_UCONTEXT)
  getcontext(&fiber.registers);
  fiber.registers.uc_stack.ss_sp = stack;
  fiber.registers.uc_stack.ss_size = StackPool::stack_bytes;
  fiber.registers.uc_link = nullptr;
  makecontext(&fiber.registers, entry, 0);
#else
  void** top = reinterpret_cast<void**>(stack + StackPool::stack_bytes);
  // The place of a caller's return address: by the ABI, rsp + 8 must be divisible by 16 on entry.
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < saved_registers; ++i) {
    *--top = nullptr;
  }
  fiber.stack_pointer = top;
#endif
}

void arrive_on_fiber(Context& scheduler) {
  asan::enter_stack(nullptr, &scheduler.stack_bottom, &scheduler.stack_size);
}

void switch_context(Context& from, Context& to) {
  asan::leave_stack(&from.asan_fake_stack, to.stack_bottom, to.stack_size);
  tsan::switch_to(to.tsan_fiber);
  swap_registers(from, to);
  asan::enter_stack(from.asan_fake_stack, nullptr, nullptr);
}

void switch_for_good(Context& from, Context& to) {
  asan::leave_stack(nullptr, to.stack_bottom, to.stack_size);
  tsan::switch_to(to.tsan_fiber);
  swap_registers(from, to);
  std::abort();
}

}  // namespace fg::emulation
