// Reports to the sanitizers about fibers and memory. They do nothing without sanitizers.
//
// The core isn't compiled with -fsanitize=thread, even in the TSan program. Its own bookkeeping
// would be reported as races between its fibers. Hence a macro (FG_EMU_TSAN), not the compiler,
// tells it that TSan is present.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(FG_EMU_TSAN)
#include <sanitizer/tsan_interface.h>
// GCC has no header for it.
extern "C" void __tsan_atomic8_store(volatile char* address, char value, int memory_order);
#endif

namespace fg::emulation::asan {

#if defined(__SANITIZE_ADDRESS__)
inline void poison(const void* p, std::size_t n) { __asan_poison_memory_region(p, n); }
inline void unpoison(const void* p, std::size_t n) { __asan_unpoison_memory_region(p, n); }

// Call these before and after the stack pointer changes. `fake_stack` receives ASan's state of the
// old stack; null drops the state.
inline void leave_stack(void** fake_stack, const void* next_bottom, std::size_t next_size) {
  __sanitizer_start_switch_fiber(fake_stack, next_bottom, next_size);
}
inline void enter_stack(
    void* fake_stack, const void** previous_bottom, std::size_t* previous_size) {
  __sanitizer_finish_switch_fiber(fake_stack, previous_bottom, previous_size);
}
#else
inline void poison(const void*, std::size_t) {}
inline void unpoison(const void*, std::size_t) {}
inline void leave_stack(void**, const void*, std::size_t) {}
inline void enter_stack(void*, const void**, std::size_t*) {}
#endif

}  // namespace fg::emulation::asan

namespace fg::emulation::tsan {

#if defined(FG_EMU_TSAN)
inline constexpr bool enabled = true;
inline void* current_fiber() { return __tsan_get_current_fiber(); }
inline void* create_fiber() { return __tsan_create_fiber(0); }
inline void name_fiber(void* fiber, const char* name) { __tsan_set_fiber_name(fiber, name); }
// A switch orders nothing. Only barriers, warp operations, fences, and the launch's begin and end
// do.
inline void switch_to(void* fiber) {
  __tsan_switch_to_fiber(fiber, __tsan_switch_to_fiber_no_sync);
}
inline void acquire(void* address) { __tsan_acquire(address); }
inline void release(void* address) { __tsan_release(address); }
// Release, but forget earlier releases to this address.
inline void release_alone(char* address) { __tsan_atomic8_store(address, 0, __ATOMIC_RELEASE); }
#else
inline constexpr bool enabled = false;
inline void* current_fiber() { return nullptr; }
inline void* create_fiber() { return nullptr; }
inline void name_fiber(void*, const char*) {}
inline void switch_to(void*) {}
inline void acquire(void*) {}
inline void release(void*) {}
inline void release_alone(char*) {}
#endif

}  // namespace fg::emulation::tsan
