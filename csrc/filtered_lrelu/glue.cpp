#include "../common/glue.h"

#include <cmath>

#include "../common/integers.h"
#include "problem.h"

namespace fg::filtered_lrelu {
namespace {

using Pair = std::vector<std::int64_t>;  // along x, along y

std::int64_t taps_of(const OptionalTensor& f, bool along_x) {
  return !f ? 1 : f->size(along_x ? f->dim() - 1 : 0);
}

void check(
    const Tensor& x, const OptionalTensor& fu, const OptionalTensor& fd, std::int64_t up,
    std::int64_t down, std::initializer_list<const Pair*> pairs, const Pair& size) {
  STD_TORCH_CHECK(x.dim() == 4, "x must be a [N, C, H, W] tensor, got rank ", x.dim());
  for (const Pair* p : pairs) {
    STD_TORCH_CHECK(p->size() == 2, "pad, size and offset of filtered_lrelu must be pairs (x, y)");
  }
  STD_TORCH_CHECK(up >= 1 && down >= 1, "up and down of filtered_lrelu must be at least 1");
  STD_TORCH_CHECK(size[0] >= 0 && size[1] >= 0, "size of filtered_lrelu must be at least 0");
  for (const OptionalTensor* f : {&fu, &fd}) {
    STD_TORCH_CHECK(
        !*f || ((*f)->scalar_type() == ScalarType::Float &&
                ((*f)->dim() == 1 || (*f)->dim() == 2) && (*f)->numel() > 0),
        "fu and fd must be float32 [taps] or [taps_y, taps_x] tensors");
  }
}

// Run either op on results that are not empty. `codes` are an image batch of bytes, or nothing.
void run_on(
    Arguments& a, Inputs& in, const Tensor& x, const OptionalTensor& fu, const OptionalTensor& fd,
    std::int64_t up, std::int64_t down, const Pair& pad, const Pair& offset, const Tensor& y,
    const Tensor& codes) {
  const bool channels_last = is_channels_last(x);
  const std::int64_t n = x.size(0), c = x.size(1);
  a.dtype = dtype_of(x, "filtered_lrelu");
  a.outer = channels_last ? n : n * c;
  a.inner = channels_last ? c : 1;
  a.channels = c;
  const auto axis = [&](int i) {
    const int dim = 3 - i;
    return Axis{
        x.size(dim),
        y.size(dim),
        up,
        down,
        pad[i],
        taps_of(fu, i == 0),
        taps_of(fd, i == 0),
        offset[i],
        codes.numel() ? codes.size(dim) * (i == 1 ? rows_per_byte : 1) : 0};
  };
  a.x = axis(0);
  a.y = axis(1);
  a.input = in.images(x, channels_last);
  a.output = y.mutable_data_ptr();
  a.up_filter = static_cast<const float*>(in.contiguous(fu));
  a.down_filter = static_cast<const float*>(in.contiguous(fd));
  a.up_separable = !fu || fu->dim() == 1;
  a.down_separable = !fd || fd->dim() == 1;
  launch(a, y, "filtered_lrelu");
}

std::tuple<Tensor, Tensor> filtered_lrelu(
    const Tensor& x, const OptionalTensor& b, const OptionalTensor& fu, const OptionalTensor& fd,
    std::int64_t up, std::int64_t down, const Pair& pad, const Pair& size, double gain,
    double slope, std::optional<double> clamp, bool flip, bool need_codes) {
  const Pair origin{0, 0};
  check(x, fu, fd, up, down, {&pad, &size}, size);
  STD_TORCH_CHECK(fits(b, {x.size(1)}, x.scalar_type()), "b must be a [C] tensor of x's dtype");
  const std::int64_t n = x.size(0), c = x.size(1);
  const bool channels_last = is_channels_last(x);
  Tensor y = empty_images(x, channels_last, n, c, size[1], size[0]);
  const std::int64_t width = (size[0] - 1) * down + taps_of(fd, true);
  const std::int64_t height = (size[1] - 1) * down + taps_of(fd, false);
  // Codes are bytes; glue makes them of the layout of the images.
  Tensor codes = empty(x, {0}, ScalarType::Byte);
  if (need_codes) {
    const std::int64_t rows = divide_up(height, rows_per_byte);
    codes = channels_last
                ? empty_strided(
                      x, {n, c, rows, width}, {rows * width * c, 1, width * c, c}, ScalarType::Byte)
                : empty(x, {n, c, rows, width}, ScalarType::Byte);
  }
  if (y.numel() == 0) {
    return {y, codes};
  }
  if (x.numel() == 0) {
    clear({&y, &codes});
    return {y, codes};
  }
  Arguments a{};
  Inputs in;
  a.bias = in.contiguous(b);
  a.new_codes = static_cast<std::uint8_t*>(data_if(need_codes, codes));
  a.flip = flip;
  a.gain = gain;
  a.slope = slope;
  a.clamp = clamp.value_or(std::nan(""));
  run_on(a, in, x, fu, fd, up, down, pad, origin, y, codes);
  return {y, codes};
}

Tensor filtered_lrelu_linear(
    const Tensor& x, const Tensor& codes, const OptionalTensor& fu, const OptionalTensor& fd,
    std::int64_t up, std::int64_t down, const Pair& pad, const Pair& size, const Pair& offset,
    double gain, double slope, bool flip) {
  check(x, fu, fd, up, down, {&pad, &size, &offset}, size);
  STD_TORCH_CHECK(
      codes.scalar_type() == ScalarType::Byte && codes.dim() == 4 && codes.size(0) == x.size(0) &&
          codes.size(1) == x.size(1),
      "codes must be a [N, C, rows, columns] tensor of bytes with x's batch and channels");
  const bool channels_last = is_channels_last(x);
  Tensor y = empty_images(x, channels_last, x.size(0), x.size(1), size[1], size[0]);
  if (y.numel() == 0) {
    return y;
  }
  if (x.numel() == 0 || codes.numel() == 0) {
    return torch::stable::zero_(y);
  }
  Arguments a{};
  Inputs in;
  a.codes = static_cast<const std::uint8_t*>(in.images(codes, channels_last));
  a.flip = flip;
  a.gain = gain;
  a.slope = slope;
  run_on(a, in, x, fu, fd, up, down, pad, offset, y, codes);
  return y;
}

FG_REGISTER(filtered_lrelu)
FG_REGISTER(filtered_lrelu_linear)

}  // namespace
}  // namespace fg::filtered_lrelu
