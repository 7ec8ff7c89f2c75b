// The shared memory of one block: arrays in an arena, with red zones between them.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace fg::emulation {

// New arrays hold 0xff bytes, a NaN in every floating-point type: what is read before it was written shows in the
// result. So do the red zones, which ASan also watches; without ASan, `damage` finds what was written into them.
class SharedMemory {
 public:
  static constexpr std::size_t red_zone = 64;
  static constexpr std::size_t alignment = 128;

  // For arrays of `limit` bytes in all.
  void begin_block(std::size_t limit);

  // The array of this tag, made on its first use in the block; null when the limit is passed.
  void* find_or_make(
      const void* tag, std::size_t bytes, std::size_t align, const char* name, const char* file,
      int line);

  // Says which arrays were written past their end, or nothing.
  std::string damage() const;

  void end_block();
  // When no address of the launch is needed any more.
  void end_launch() { retired_.clear(); }

  std::size_t used() const { return used_; }

 private:
  struct Array {
    const void* tag;
    char* begin;
    std::size_t bytes;
    const char* name;
    const char* file;
    int line;
  };
  struct Free {
    void operator()(char* p) const;
  };
  using Memory = std::unique_ptr<char, Free>;

  Memory arena_;
  std::size_t arena_bytes_ = 0;
  std::size_t next_ = 0;
  std::size_t used_ = 0;
  std::size_t limit_ = 0;
  std::vector<Array> arrays_;
  std::vector<Memory> retired_;
};

}  // namespace fg::emulation
