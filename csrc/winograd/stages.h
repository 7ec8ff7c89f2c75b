// Stages of units of work on any number of threads. Torch-free.
#pragma once

#include <atomic>
#include <cstddef>
#include <span>

namespace fg::winograd {

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Run the units of all stages: `ends[s]` is the number of units in stages up to s. A stage starts
// when the one before is done. `parallel(workers, g)` calls g(begin, end) on up to `workers`
// threads; f(worker, stage, unit) runs one unit.
//
// Free workers take the next unit, so a worker that another process interrupts takes fewer. A
// worker that waits soon sleeps: the one it waits for may need its core.
template <class Parallel, class F>
void run_stages(std::span<const int> ends, int workers, Parallel parallel, F f) {
  constexpr int most_spins = 300;
  const int all = ends.empty() ? 0 : ends.back();
  std::atomic<int> workers_so_far = 0, next = 0, done = 0;
  const auto wait_for = [&](int least) {
    int spins = 0;
    for (int now; (now = done.load(std::memory_order_acquire)) < least;) {
      if (++spins < most_spins) {
        pause();
      } else {
        done.wait(now, std::memory_order_acquire);
      }
    }
  };
  parallel(workers, [&](auto, auto) {
    const int worker = workers_so_far.fetch_add(1, std::memory_order_relaxed);
    std::size_t stage = 0;
    for (int unit; (unit = next.fetch_add(1, std::memory_order_relaxed)) < all;) {
      while (unit >= ends[stage]) {
        ++stage;
      }
      const int begin = stage > 0 ? ends[stage - 1] : 0;
      wait_for(begin);
      f(worker, stage, unit - begin);
      if (done.fetch_add(1, std::memory_order_acq_rel) + 1 == ends[stage]) {
        done.notify_all();
      }
    }
    wait_for(all);
  });
}

}  // namespace fg::winograd
