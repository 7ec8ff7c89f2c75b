// Warp shuffles and votes on top of warp_meet.
#pragma once

#include <cstring>

#include "runtime.h"

namespace fg::emulation {

inline constexpr unsigned full_mask = 0xffffffffu;

// Return the mask of __syncwarp, which is optional.
inline unsigned mask_or_full(unsigned mask = full_mask) { return mask; }

template <class T>
T shuffle(
    WarpOperation operation, unsigned mask, T value, unsigned source, const char* file, int line) {
  static_assert(sizeof(T) <= sizeof(std::uint64_t), "shuffles move at most 8 bytes");
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = warp_meet(operation, mask, bits, source, file, line);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

// The warp is divided into groups of `width` lanes. A lane that would read outside its group gets
// its own value.
inline unsigned group_begin(int width) { return place.lane & ~static_cast<unsigned>(width - 1); }

template <class T>
T shuffle_index(
    const char* file, int line, unsigned mask, T value, int source, int width = warpSize) {
  const unsigned lane =
      group_begin(width) + (static_cast<unsigned>(source) & static_cast<unsigned>(width - 1));
  return shuffle(WarpOperation::shuffle_index, mask, value, lane, file, line);
}

template <class T>
T shuffle_xor(const char* file, int line, unsigned mask, T value, int bits, int width = warpSize) {
  const unsigned lane = place.lane ^ static_cast<unsigned>(bits);
  const bool outside = lane >= group_begin(width) + static_cast<unsigned>(width);
  return shuffle(WarpOperation::shuffle_xor, mask, value, outside ? place.lane : lane, file, line);
}

template <class T>
T shuffle_down(
    const char* file, int line, unsigned mask, T value, unsigned delta, int width = warpSize) {
  const unsigned lane = place.lane + delta;
  const bool outside = lane >= group_begin(width) + static_cast<unsigned>(width);
  return shuffle(WarpOperation::shuffle_down, mask, value, outside ? place.lane : lane, file, line);
}

template <class T>
T shuffle_up(
    const char* file, int line, unsigned mask, T value, unsigned delta, int width = warpSize) {
  const bool outside = place.lane < group_begin(width) + delta;
  return shuffle(
      WarpOperation::shuffle_up, mask, value, outside ? place.lane : place.lane - delta, file,
      line);
}

inline unsigned ballot(const char* file, int line, unsigned mask, int predicate) {
  const std::uint64_t value = predicate != 0;
  return static_cast<unsigned>(
      warp_meet(WarpOperation::ballot, mask, value, place.lane, file, line));
}

inline void warp_sync(const char* file, int line, unsigned mask) {
  warp_meet(WarpOperation::sync, mask, 0, place.lane, file, line);
}

}  // namespace fg::emulation
