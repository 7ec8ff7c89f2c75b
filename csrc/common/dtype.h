#pragma once

#include <cstdint>

namespace fg {

enum class DType : int { f16, bf16, f32, f64 };

constexpr std::int64_t bytes_of(DType t) { return t == DType::f64 ? 8 : t == DType::f32 ? 4 : 2; }

}  // namespace fg
