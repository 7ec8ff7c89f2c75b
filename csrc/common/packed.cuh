// Elements as one memory access loads them, converted where they are used.
#pragma once

#include <type_traits>

#include "fg_platform.cuh"

namespace fg {

// Return element `which`, 0 or 1, of the two in a word. This is no shift because the compiler would
// move a shift ahead of the branches that follow.
FG_DEVICE std::uint16_t half_of_word(std::uint32_t word, int which) {
#if defined(FG_EMU)
  return static_cast<std::uint16_t>(word >> which * 16);
#else
  return static_cast<std::uint16_t>(__byte_perm(word, 0, which ? 0x4432 : 0x4410));
#endif
}

// V elements of one access. Half types stay two in a register until they are used. Eight converted
// elements each of three tensors would fill the registers of a kernel with branches in between.
template <class T, int V>
class Packed {
 public:
  Packed() = default;  // zeros
  FG_DEVICE explicit Packed(const T* p)
      : words_(load_vec<count>(reinterpret_cast<const Word*>(p))) {}

  FG_DEVICE accumulate_t<T> operator[](int e) const {
    if constexpr (in_pairs) {
      return to_accumulate(T(half_of_word(words_[e / 2], e % 2), T::from_bits()));
    } else {
      return to_accumulate(words_[e]);
    }
  }

 private:
  static constexpr bool in_pairs = sizeof(T) == 2 && V > 1;
  static constexpr int count = in_pairs ? V / 2 : V;
  using Word = std::conditional_t<in_pairs, std::uint32_t, T>;
  Vec<Word, count> words_{};
};

}  // namespace fg
