#pragma once

namespace fg {
enum class DType : int { f16, bf16, f32, f64 };
}
