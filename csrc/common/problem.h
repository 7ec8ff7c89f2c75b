// Plain types that the problems of several ops share.
#pragma once

#include <cstdint>

#include "dtype.h"

namespace fg {

enum class Pass { forward, backward, double_backward };

// View of memory as [outer, channels, inner], for any dense layout and any dimension of channels.
struct ChannelLayout {
  std::int64_t outer, channels, inner;

  std::int64_t numel() const { return outer * channels * inner; }
  // Contiguous elements that contain each channel once.
  std::int64_t row() const { return channels * inner; }
};

// Memory of images: [batch][channels][pixels], or [batch][pixels][channels] if channels_last.
struct ImageLayout {
  std::int64_t batch, channels, pixels;
  bool channels_last;

  std::int64_t numel() const { return batch * channels * pixels; }
};

}  // namespace fg
