// Launches: one block after the other, on the caller's OS thread.
#include <algorithm>
#include <numeric>
#include <string>

#include "machine.h"
#include "sanitizers.h"

namespace fg::emulation {

Machine machine;
Place place;

namespace {

constexpr unsigned max_threads_per_block = 1024;
constexpr unsigned max_block_z = 64;
constexpr unsigned max_grid_yz = 65535;
constexpr unsigned max_grid_x = 0x7fffffff;
// A launch uses a fiber for each of its threads (see LaunchScope). TSan needs 0.8 MB for each fiber
// and has at most 8,192.
constexpr std::uint64_t max_threads_under_tsan = 4096;

thread_local bool is_launching = false;

std::uint64_t volume(dim3 d) { return static_cast<std::uint64_t>(d.x) * d.y * d.z; }

cudaError_t check_launch(dim3 grid, dim3 block, std::size_t dynamic_shared) {
  const std::uint64_t threads = volume(block);
  const bool block_fits = threads > 0 && block.x <= max_threads_per_block &&
                          block.y <= max_threads_per_block && block.z <= max_block_z &&
                          threads <= max_threads_per_block;
  const bool grid_fits = grid.x > 0 && grid.y > 0 && grid.z > 0 && grid.x <= max_grid_x &&
                         grid.y <= max_grid_yz && grid.z <= max_grid_yz;
  if (!block_fits || !grid_fits) {
    return cudaErrorInvalidConfiguration;
  }
  return dynamic_shared <= machine.options.max_shared ? cudaSuccess : cudaErrorInvalidValue;
}

// Order of blocks. A shuffled order walks the grid in steps that share no factor with its size.
class BlockOrder {
 public:
  BlockOrder(int order, std::uint64_t blocks) : order_(order), blocks_(blocks) {
    if (order >= 2) {
      const std::uint64_t seed = static_cast<std::uint64_t>(order) * 0x9e3779b97f4a7c15u >> 33;
      offset_ = seed % blocks;
      step_ = 1 + seed % std::max<std::uint64_t>(blocks - 1, 1);
      while (std::gcd(step_, blocks) != 1) {
        ++step_;
      }
    }
  }

  std::uint64_t operator()(std::uint64_t i) const {
    if (order_ == 1) {
      return blocks_ - 1 - i;
    }
    return order_ < 1 ? i : (i * step_ + offset_) % blocks_;
  }

 private:
  int order_;
  std::uint64_t blocks_;
  std::uint64_t step_ = 1;
  std::uint64_t offset_ = 0;
};

// Cleanup at the end of a launch, also after an exception.
class LaunchScope {
 public:
  LaunchScope() {
    is_launching = true;
    machine.error = nullptr;
    machine.scheduler.tsan_fiber = tsan::current_fiber();
    ++machine.stats.launches;
  }
  LaunchScope(const LaunchScope&) = delete;
  LaunchScope& operator=(const LaunchScope&) = delete;
  ~LaunchScope() {
    // The host sees all writes of the threads from here on.
    tsan::acquire(&machine.launch_end);
    // Stacks and fibers must not be used again earlier. A thread with the stack or fiber of another
    // would seem to be ordered after it, or to race with it.
    for (char* stack : machine.retired_stacks) {
      machine.stacks.give_back(stack);
    }
    machine.retired_stacks.clear();
    machine.spare_fibers.insert(
        machine.spare_fibers.end(), machine.retired_fibers.begin(), machine.retired_fibers.end());
    machine.retired_fibers.clear();
    machine.shared.end_launch();
    machine.error = nullptr;
    is_launching = false;
  }
};

}  // namespace

cudaError_t run_grid(
    dim3 grid, dim3 block, std::size_t dynamic_shared, void (*body)(const void* params),
    const void* params) {
  if (is_launching) {
    throw Error("a kernel launched a kernel, which the emulation doesn't do");
  }
  const std::lock_guard lock(machine.mutex);
  if (const cudaError_t error = check_launch(grid, block, dynamic_shared); error != cudaSuccess) {
    return error;
  }
  const std::uint64_t blocks = volume(grid);
  if (tsan::enabled && blocks * volume(block) > max_threads_under_tsan) {
    throw Error(
        "a launch under ThreadSanitizer may have at most " +
        std::to_string(max_threads_under_tsan) + " threads, and this one has " +
        std::to_string(blocks * volume(block)) + ": use a smaller shape");
  }

  const LaunchScope scope;
  machine.body = body;
  machine.params = params;
  machine.dynamic_shared = dynamic_shared;
  place.block_dim = block;
  place.grid_dim = grid;
  const BlockOrder order(machine.options.order, blocks);
  for (std::uint64_t i = 0; i < blocks; ++i) {
    const std::uint64_t number = order(i);
    place.block = {
        static_cast<unsigned>(number % grid.x), static_cast<unsigned>(number / grid.x % grid.y),
        static_cast<unsigned>(number / grid.x / grid.y)};
    run_block(number);
  }
  return cudaSuccess;
}

void set_options(const Options& options) {
  const std::lock_guard lock(machine.mutex);
  machine.options = options;
}

Stats get_stats() {
  const std::lock_guard lock(machine.mutex);
  return machine.stats;
}

void reset_stats() {
  const std::lock_guard lock(machine.mutex);
  machine.stats = {};
}

}  // namespace fg::emulation
