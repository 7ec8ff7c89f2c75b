#include "shared_memory.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>

#include "sanitizers.h"

namespace fg::emulation {

namespace {

constexpr std::size_t smallest_alignment = 16;
// The scheduler reserves this room. TSan sees a race if one thread frees an allocation of another.
constexpr std::size_t usual_arrays = 64;
constexpr char fill_byte = static_cast<char>(0xff);

std::size_t round_up(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }

// Fill without memset. TSan sees memset even in code that it doesn't instrument, and would
// attribute the access to the running thread.
__attribute__((no_sanitize("address"))) void fill(char* p, std::size_t n) {
  volatile char* bytes = p;
  for (std::size_t i = 0; i < n; ++i) {
    bytes[i] = fill_byte;
  }
}

// Test red zones, which are poisoned under ASan.
__attribute__((no_sanitize("address"))) bool is_filled(const char* p, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    if (p[i] != fill_byte) {
      return false;
    }
  }
  return true;
}

}  // namespace

void SharedMemory::Free::operator()(char* p) const { std::free(p); }

void SharedMemory::begin_block(std::size_t limit) {
  limit_ = limit;
  const std::size_t wanted = round_up(4096 + 4 * limit, alignment);
  if (arena_ == nullptr || wanted > arena_bytes_) {
    arena_.reset(static_cast<char*>(std::aligned_alloc(alignment, wanted)));
    if (arena_ == nullptr) {
      throw std::bad_alloc();
    }
    arena_bytes_ = wanted;
    asan::poison(arena_.get(), arena_bytes_);
  }
  arrays_.reserve(usual_arrays);
  next_ = red_zone;
  used_ = 0;
}

void* SharedMemory::find_or_make(
    const void* tag, std::size_t bytes, std::size_t align, const char* name, const char* file,
    int line) {
  for (const Array& array : arrays_) {
    if (array.tag == tag) {
      return array.begin;
    }
  }
  const std::size_t offset = round_up(next_, std::max(align, smallest_alignment));
  used_ += round_up(bytes, smallest_alignment);
  if (used_ > limit_ || offset + bytes + red_zone > arena_bytes_) {
    return nullptr;
  }
  next_ = offset + bytes + red_zone;
  char* begin = arena_.get() + offset;
  asan::unpoison(begin, bytes);
  fill(begin, bytes + red_zone);
  arrays_.push_back({tag, begin, bytes, name, file, line});
  return begin;
}

std::string SharedMemory::damage() const {
  std::string names;
  for (const Array& array : arrays_) {
    if (!is_filled(array.begin + array.bytes, red_zone)) {
      names += (names.empty() ? "" : ", ") + std::string(array.name) + " (" + array.file + ":" +
               std::to_string(array.line) + ")";
    }
  }
  return names;
}

void SharedMemory::end_block() {
  for (const Array& array : arrays_) {
    asan::poison(array.begin, array.bytes);
  }
  arrays_.clear();
  if (tsan::enabled) {
    // Blocks are unordered, so the next one must not use the same addresses.
    retired_.push_back(std::move(arena_));
  }
}

}  // namespace fg::emulation
