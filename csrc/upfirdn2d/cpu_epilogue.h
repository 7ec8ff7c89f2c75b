// Scale, noise, bias and activation of filtered rows, while they are in the cache. It is local to
// the including file, for the reason in cpu_block.h.
#pragma once

#include "cpu_kernel.h"

namespace fg::FG_CPU_LEVEL {
namespace {

// Compute y of n elements. In an image in channels_last, all have one number of noise; else all
// have one scale and one b.
template <class R>
using EpilogueLoop =
    void (*)(R* y, const R* z, const R* scale, const R* noise, const R* b, int n, Scalars<R>);

template <Act A, bool ChannelsLast, class R>
void epilogue_loop(
    R* y, const R* z, const R* scale, const R* noise, const R* b, int n, Scalars<R> s) {
  const R scale_of_all = *scale, noise_of_all = *noise, b_of_all = *b;
  FG_NO_ALIAS
  for (int i = 0; i < n; ++i) {
    const R scale_i = ChannelsLast ? scale[i] : scale_of_all;
    const R noise_i = ChannelsLast ? noise_of_all : noise[i];
    const R b_i = ChannelsLast ? b[i] : b_of_all;
    y[i] = forward<A>(z[i] * scale_i + noise_i + b_i, s);
  }
}

template <class R>
class EpilogueRows {
 public:
  // `parameters` holds 2 · inner elements if the image is in channels_last.
  EpilogueRows(const upfirdn2d::Arguments& a, R* parameters, bool streaming)
      : e_(a.epilogue), output_(a.output), inner_(a.inner), pixels_(a.y.out * a.x.out),
        last_(a.inner > 1), streaming_(streaming), scalars_(scalars_of<R>(a.epilogue)),
        scale_(parameters), b_(parameters + a.inner) {
    loop_ = with_act(e_.act, [&](auto act) -> EpilogueLoop<R> {
      constexpr Act A = decltype(act)::value;
      return last_ ? epilogue_loop<A, true, R> : epilogue_loop<A, false, R>;
    });
  }

  // Write the results of n pixels of one image, from pixel `first` of all images on.
  void write(std::int64_t first, const R* z, std::int64_t n) {
    if (e_.filtered) {
      for_each_block(n * inner_, [&](std::int64_t i, int count) {
        const std::int64_t at = first * inner_ + i;
        if (R* const to = target(e_.dtype, e_.filtered, at, buffer_, streaming_); to != buffer_) {
          std::copy_n(z + i, count, to);
        }
        store(e_.dtype, e_.filtered, at, z + i, count, streaming_);
      });
    }
    const std::int64_t image = first / pixels_, pixel = first % pixels_;
    if (last_) {
      write_pixels(image, pixel, first, z, n);
    } else {
      write_plane(image, pixel, first, z, n);
    }
  }

 private:
  void write_plane(
      std::int64_t plane, std::int64_t pixel, std::int64_t first, const R* z, std::int64_t n) {
    const std::int64_t image = plane / e_.channels;
    const R scale = load_one(e_.dtype, e_.scale, plane, R(1)),
            b = load_one<R>(e_.dtype, e_.b, plane % e_.channels);
    for_each_block(n, [&](std::int64_t i, int count) {
      const R* const noise =
          e_.noise ? load(e_.dtype, e_.noise, noise_at(image, pixel + i), noise_, count) : zeros_;
      compute(first + i, z + i, &scale, noise, &b, count);
    });
  }

  void write_pixels(
      std::int64_t image, std::int64_t pixel, std::int64_t first, const R* z, std::int64_t n) {
    if (image != image_) {
      load_channels(image);
    }
    for (std::int64_t i = 0; i < n; ++i) {
      const R noise = load_one<R>(e_.dtype, e_.noise, noise_at(image, pixel + i));
      for_each_block(inner_, [&](std::int64_t c, int count) {
        const std::int64_t at = i * inner_ + c;
        compute(first * inner_ + at, z + at, scale_ + c, &noise, b_ + c, count);
      });
    }
  }

  void compute(std::int64_t at, const R* z, const R* scale, const R* noise, const R* b, int count) {
    R* const y = target(e_.dtype, output_, at, buffer_, streaming_);
    loop_(y, z, scale, noise, b, count, scalars_);
    store(e_.dtype, output_, at, y, count, streaming_);
  }

  void load_channels(std::int64_t image) {
    std::fill_n(scale_, inner_, R(1));
    std::fill_n(b_, inner_, R(0));
    if (e_.scale) {
      load_into(scale_, e_.dtype, e_.scale, image * inner_, inner_);
    }
    if (e_.b) {
      load_into(b_, e_.dtype, e_.b, 0, inner_);
    }
    image_ = image;
  }

  std::int64_t noise_at(std::int64_t image, std::int64_t pixel) const {
    return (e_.shared_noise ? 0 : image * pixels_) + pixel;
  }

  const upfirdn2d::Epilogue& e_;
  void* const output_;
  const std::int64_t inner_, pixels_;
  const bool last_;  // pixels of several channels, in channels_last
  const bool streaming_;
  const Scalars<R> scalars_;
  EpilogueLoop<R> loop_;
  R *const scale_, *const b_;  // of the channels of image_
  std::int64_t image_ = -1;
  alignas(64) R buffer_[block_size], noise_[block_size], zeros_[block_size] = {};
};

}  // namespace
}  // namespace fg::FG_CPU_LEVEL
