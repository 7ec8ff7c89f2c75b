// Run-time values as compile-time constants: each function calls f with a std::integral_constant.
#pragma once

#include <cstdint>
#include <type_traits>

namespace fg {

template <class F>
inline auto with_flag(bool flag, F&& f) {
  return flag ? f(std::true_type{}) : f(std::false_type{});
}

// The constant is the number of elements per access: Wide, or 1.
template <int Wide, class F>
inline auto with_width(bool is_wide, F&& f) {
  return is_wide ? f(std::integral_constant<int, Wide>{}) : f(std::integral_constant<int, 1>{});
}

// Return false, and don't call f, if `count` isn't one of First .. Last.
template <int First, int Last, class F>
inline bool with_count(std::int64_t count, F&& f) {
  if constexpr (First <= Last) {
    if (count == First) {
      f(std::integral_constant<int, First>{});
      return true;
    }
    return with_count<First + 1, Last>(count, f);
  }
  return false;
}

template <class Pass, class F>
inline auto with_pass(Pass pass, F&& f) {
  return pass == Pass::forward    ? f(std::integral_constant<Pass, Pass::forward>{})
         : pass == Pass::backward ? f(std::integral_constant<Pass, Pass::backward>{})
                                  : f(std::integral_constant<Pass, Pass::double_backward>{});
}

}  // namespace fg
