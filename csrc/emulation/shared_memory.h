// Shared memory of one block: arrays in an arena, with red zones between them.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace fg::emulation {

// Arena of a block's arrays. New arrays have 0xff bytes, a NaN in every floating-point type, so
// reads of unwritten memory show in the result. Red zones have the same bytes, and ASan watches
// them. Without ASan, `damage` detects writes to them.
class SharedMemory {
 public:
  static constexpr std::size_t red_zone = 64;
  static constexpr std::size_t alignment = 128;

  // Start a block whose arrays have at most `limit` bytes together.
  void begin_block(std::size_t limit);

  // Return the array of this tag, which is created by its first use in the block. Return null if
  // the limit is exceeded.
  void* find_or_make(
      const void* tag, std::size_t bytes, std::size_t align, const char* name, const char* file,
      int line);

  // Return the names of arrays with writes past their end, or an empty string.
  std::string damage() const;

  void end_block();
  // Call this when no address of the launch is needed any more.
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
