// Scratch memory that is kept between calls. Torch-free.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace fg::winograd {

// Memory of at least `elements` floats, aligned to huge pages, and on Linux in huge pages: the
// products read several thousand small ones again and again, more than the CPU keeps addresses of.
// New huge pages would cost more than they gain, so blocks are kept: one per call at a time.
class Workspace {
 public:
  explicit Workspace(std::size_t elements) {
    const std::size_t bytes = (elements * sizeof(float) + page - 1) / page * page;
    {
      const std::lock_guard<std::mutex> lock(mutex());
      if (!kept().empty()) {
        block_ = kept().back();
        kept().pop_back();
      }
    }
    if (block_.bytes < bytes) {
      std::free(block_.data);
      block_ = {std::aligned_alloc(page, bytes), bytes};
      if (block_.data == nullptr) {
        throw std::bad_alloc();
      }
#if defined(__linux__) && defined(MADV_HUGEPAGE)
      madvise(block_.data, bytes, MADV_HUGEPAGE);
#endif
    }
  }

  ~Workspace() {
    const std::lock_guard<std::mutex> lock(mutex());
    kept().push_back(block_);
  }

  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  float* floats() const { return static_cast<float*>(block_.data); }

 private:
  static constexpr std::size_t page = 2 << 20;

  struct Block {
    void* data = nullptr;
    std::size_t bytes = 0;
  };

  static std::mutex& mutex() {
    static std::mutex m;
    return m;
  }
  static std::vector<Block>& kept() {
    static auto* const blocks = new std::vector<Block>;  // threads may outlive static objects
    return *blocks;
  }

  Block block_;
};

}  // namespace fg::winograd
