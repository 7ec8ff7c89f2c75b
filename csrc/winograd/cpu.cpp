// The registered ops in terms of tensors, for float32 on the CPU: cuDNN has Winograd kernels for
// GPUs.
#include "../common/activation_options.h"
#include "../common/cpu_block.h"
#include "../common/stable.h"
#include "engine.h"
#include "workspace.h"

#include <algorithm>
#include <cmath>

namespace fg::winograd {
namespace {

void parallel(std::int64_t units, const auto& f) { torch::stable::parallel_for(0, units, 1, f); }

const float* floats(const Tensor& t) { return static_cast<const float*>(t.const_data_ptr()); }
float* mutable_floats(Tensor& t) { return static_cast<float*>(t.mutable_data_ptr()); }

// Return a copy of images in the other memory order. Torch's own takes several times as long.
Tensor converted(const Tensor& t, bool to_channels_last) {
  const std::int64_t n = t.size(0), c = t.size(1), h = t.size(2), w = t.size(3);
  Tensor copy = empty_images(t, to_channels_last, n, c, h, w);
  const float* const from = floats(t);
  float* const to = mutable_floats(copy);
  const ConvertLayout convert = FG_SELECT_LEVEL(winograd_kernels).convert_layout;
  parallel(n * divide_up(h * w, layout_pixels), [=](std::int64_t first, std::int64_t last) {
    convert(from, to, to_channels_last, c, h * w, first, last);
  });
  return copy;
}

Tensor image(const Tensor& t) {
  const bool convert = t.is_contiguous() && t.size(1) > 1 && t.numel() > 0;
  return torch::stable::contiguous(channels_last_view(convert ? converted(t, true) : t));
}

void check(const Tensor& t, const char* name, std::initializer_list<std::int64_t> sizes) {
  bool fits =
      t.scalar_type() == ScalarType::Float && t.dim() == static_cast<std::int64_t>(sizes.size());
  std::int64_t d = 0;
  for (std::int64_t size : sizes) {
    fits = fits && (size < 0 || t.size(d) == size);
    ++d;
  }
  STD_TORCH_CHECK(fits, name, " of a winograd_conv2d must be float32 and fit the other tensors");
}

Shape shape_of(const Tensor& x, std::int64_t k, std::int64_t pad_y, std::int64_t pad_x) {
  const std::int64_t h = x.size(2), w = x.size(3);
  STD_TORCH_CHECK(
      h + 2 * pad_y >= 3 && w + 2 * pad_x >= 3,
      "the padded image must be at least as large as the 3 x 3 kernel, got ", h + 2 * pad_y, " x ",
      w + 2 * pad_x);
  return {x.size(0), h, w, x.size(1), h + 2 * pad_y - 2, w + 2 * pad_x - 2, k, pad_y, pad_x};
}

// Return weights of w: [k, c, 3, 3], or [c, k, 3, 3] for the transpose of a convolution. The result
// points to data of `kept`.
Weights weights_of(const Tensor& w, bool transposed, std::optional<Tensor>& kept) {
  kept = w.stride(2) == 3 * w.stride(3) ? w : torch::stable::contiguous(w);
  return {
      floats(*kept), kept->stride(transposed ? 1 : 0), kept->stride(transposed ? 0 : 1),
      kept->stride(3), transposed};
}

// Scratch memory of all threads comes first: it is aligned to whole lines.
std::int64_t workspace_elements(const Cut& cut, bool sums, std::int64_t threads) {
  return threads * cut.scratch() + rounded_up(cut.shared(), lanes) + cut.zeros() +
         (sums ? cut.sums() : 0);
}

int thread_count() { return static_cast<int>(torch::stable::get_num_threads()); }

// A scheme and its kernels.
struct Kind {
  Scheme scheme;
  ForwardKernels Kernels::* forward;
  GradientUnit Kernels::* gradient;
};

inline constexpr Kind same_size{convolution, &Kernels::convolution, &Kernels::gradient},
    upsampled{upsampling, &Kernels::upsampling, nullptr},
    downsampled{downsampling, &Kernels::downsampling, &Kernels::downsampling_gradient};

void run_on(Forward f, const Kind& kind) {
  f.streaming = is_worth_streaming(DType::f32, f.shape.n * f.shape.oh * f.shape.ow * f.shape.k);
  const Kernels& kernels = FG_SELECT_LEVEL(winograd_kernels);
  const int threads = thread_count();
  const Cut cut(f.shape, kind.scheme, kernels.blocking, threads);
  const Workspace memory(workspace_elements(cut, f.sums != nullptr, threads));
  float* const scratch = memory.floats();
  float* const shared = scratch + threads * cut.scratch();
  float* const zeros = shared + rounded_up(cut.shared(), lanes);
  std::fill_n(zeros, cut.zeros(), 0.f);
  run(f, cut, kernels.*kind.forward, {shared, zeros + cut.zeros(), zeros, scratch}, threads,
      [](std::int64_t n, const auto& g) { parallel(n, g); });
}

// Return an empty result [n, c, h, w] in channels_last memory. `finished` converts its memory
// order.
Tensor result(const Tensor& like, std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) {
  return empty_images(like, true, n, c, h, w);
}

// Return t in channels_last if one of the tensors is, like torch's convolutions, else contiguous.
Tensor finished(const Tensor& t, const Tensor& like, const Tensor& or_like) {
  return is_channels_last(like) || is_channels_last(or_like) || t.is_contiguous() || t.numel() == 0
             ? t
             : converted(t, false);
}

// Owners of the data that `Forward` points to.
struct Operands {
  Tensor x;
  OptionalTensor style, scale, noise, bias;
  std::optional<Tensor> weights;
};

Tensor forward(
    Operands o, const Tensor& x, const Tensor& w, std::int64_t pad_y, std::int64_t pad_x,
    bool transposed, Epilogue e) {
  check(x, "x", {-1, -1, -1, -1});
  check(w, "w", {-1, -1, 3, 3});
  STD_TORCH_CHECK(
      w.size(transposed ? 0 : 1) == x.size(1), "w must have the channels of x, got ",
      w.size(transposed ? 0 : 1), " for ", x.size(1));
  const std::int64_t k = w.size(transposed ? 1 : 0);
  const Shape s = shape_of(x, k, transposed ? 2 - pad_y : pad_y, transposed ? 2 - pad_x : pad_x);
  const auto dense = [](OptionalTensor& t, const char* name,
                        std::initializer_list<std::int64_t> sizes) -> const float* {
    if (!t) {
      return nullptr;
    }
    check(*t, name, sizes);
    t = contiguous(t);
    return floats(*t);
  };
  Tensor y = result(x, s.n, s.k, s.oh, s.ow);
  if (y.numel() == 0) {
    return finished(y, x, w);
  }
  o.x = image(x);
  Forward f{};
  f.shape = s;
  f.x = floats(o.x);
  f.style = dense(o.style, "style", {s.n, s.c});
  f.weights = weights_of(w, transposed, o.weights);
  f.epilogue = e;
  f.epilogue.scale = dense(o.scale, "scale", {s.n, s.k});
  f.epilogue.noise =
      dense(o.noise, "noise", {o.noise && o.noise->size(0) == 1 ? 1 : s.n, 1, s.oh, s.ow});
  f.epilogue.noise_per_sample = o.noise && o.noise->size(0) > 1;
  f.epilogue.bias = dense(o.bias, "b", {s.k});
  f.y = mutable_floats(y);
  run_on(f, same_size);
  return finished(y, x, w);
}

Tensor conv2d(
    const Tensor& x, const Tensor& w, const OptionalTensor& style, std::int64_t pad_y,
    std::int64_t pad_x, bool transposed) {
  return forward({x, style, {}, {}, {}, {}}, x, w, pad_y, pad_x, transposed, {});
}

Tensor conv2d_act(
    const Tensor& x, const Tensor& w, const OptionalTensor& style, const OptionalTensor& scale,
    const OptionalTensor& noise, const OptionalTensor& b, std::int64_t pad_y, std::int64_t pad_x,
    const std::string& act, double alpha, double gain, std::optional<double> clamp) {
  struct {
    DType dtype = DType::f32;
    Act act;
    double alpha, gain, clamp;
  } a;
  set_activation(a, {act, alpha, gain, clamp});
  Epilogue e;
  e.act = a.act;
  e.scalars = {
      static_cast<float>(a.alpha), static_cast<float>(a.gain), static_cast<float>(a.clamp)};
  e.identity = a.act == Act::piecewise && a.alpha == 1 && a.gain == 1 && !clamp;
  return forward({x, style, scale, noise, b, {}}, x, w, pad_y, pad_x, false, e);
}

// Upsample x·style: the transposed convolution with w [c, k, 3, 3], stride 2 and no padding.
Tensor conv_transpose2d(const Tensor& x_, const Tensor& w, const OptionalTensor& style_) {
  check(x_, "x", {-1, -1, -1, -1});
  check(w, "w", {x_.size(1), -1, 3, 3});
  const std::int64_t n = x_.size(0), c = x_.size(1), h = x_.size(2), wide = x_.size(3),
                     k = w.size(1);
  STD_TORCH_CHECK(h > 0 && wide > 0, "x must have pixels, got ", h, " x ", wide);
  Tensor y = result(x_, n, k, 2 * h + 1, 2 * wide + 1);
  if (y.numel() == 0) {
    return finished(y, x_, w);
  }
  const Tensor x = image(x_);
  const OptionalTensor style = contiguous(style_);
  if (style) {
    check(*style, "style", {n, c});
  }
  std::optional<Tensor> kept;
  Forward f{};
  f.shape = {n, h, wide, c, 2 * h + 1, 2 * wide + 1, k, 0, 0};
  f.x = floats(x);
  f.style = style ? floats(*style) : nullptr;
  f.weights = weights_of(w, true, kept);
  f.weights.flip = false;
  f.y = mutable_floats(y);
  run_on(f, upsampled);
  return finished(y, x_, w);
}

// Return the gradients of x·style and of style. With the gradient t of the scaled image, they are
// dx = t·style and dstyle = Σ t·x.
std::tuple<Tensor, Tensor> conv2d_input(
    const Tensor& dz_, const Tensor& w, const Tensor& x_, const Tensor& style_, std::int64_t pad_y,
    std::int64_t pad_x) {
  check(w, "w", {-1, -1, 3, 3});
  check(dz_, "dz", {-1, w.size(0), -1, -1});
  const Shape s = shape_of(dz_, w.size(1), 2 - pad_y, 2 - pad_x);
  check(x_, "x", {s.n, s.k, s.oh, s.ow});
  check(style_, "style", {s.n, s.k});
  Tensor dx = result(x_, s.n, s.k, s.oh, s.ow);
  Tensor dstyle = torch::stable::new_zeros(style_, {s.n, s.k});
  if (dx.numel() > 0) {
    const Tensor dz = image(dz_), x = image(x_), style = torch::stable::contiguous(style_);
    std::optional<Tensor> kept;
    Forward f{};
    f.shape = s;
    f.x = floats(dz);
    f.weights = weights_of(w, true, kept);
    f.epilogue.scale = floats(style);
    f.y = mutable_floats(dx);
    f.with = floats(x);
    f.sums = mutable_floats(dstyle);
    run_on(f, same_size);
  }
  return {finished(dx, x_, x_), dstyle};
}

// Return t of dx = t·style, the gradient of a scaled image. If a style is too small to divide by,
// it is computed from dz and w.
Tensor conv2d_unscaled(
    const Tensor& dx_, const Tensor& style_, const Tensor& dz, const Tensor& w, std::int64_t pad_y,
    std::int64_t pad_x) {
  check(w, "w", {-1, -1, 3, 3});
  check(dz, "dz", {-1, w.size(0), -1, -1});
  const Shape s = shape_of(dz, w.size(1), 2 - pad_y, 2 - pad_x);
  check(dx_, "dx", {s.n, s.k, s.oh, s.ow});
  check(style_, "style", {s.n, s.k});
  const Tensor style = torch::stable::contiguous(style_);
  const float* const by = floats(style);
  constexpr float least = 0x1p-20f;  // with a smaller style, dx may have underflowed
  if (!std::all_of(
          by, by + s.n * s.k, [](float f) { return std::fabs(f) >= least && std::isfinite(f); })) {
    const Tensor t = forward({dz, {}, {}, {}, {}, {}}, dz, w, pad_y, pad_x, true, {});
    return is_channels_last(dx_) ? channels_first_view(image(t)) : torch::stable::contiguous(t);
  }
  Tensor t = result(dx_, s.n, s.k, s.oh, s.ow);
  const Tensor dx = image(dx_);
  const float* const from = floats(dx);
  float* const to = mutable_floats(t);
  parallel(s.n * s.oh, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row) {
      const float* const f = by + row / s.oh * s.k;
      for (std::int64_t i = row * s.ow * s.k; i < (row + 1) * s.ow * s.k; i += s.k) {
        for (std::int64_t c = 0; c < s.k; ++c) {
          to[i + c] = from[i + c] / f[c];
        }
      }
    }
  });
  return finished(t, dx_, dx_);
}

// Return the gradient of w for y = (x·style) convolved with w, from the gradient of y.
Tensor weight_gradient(
    const Tensor& dy_, const Tensor& x_, const OptionalTensor& style_, const Shape& s,
    const Kind& kind) {
  check(dy_, "dy", {s.n, s.k, s.oh, s.ow});
  if (style_) {
    check(*style_, "style", {s.n, s.c});
  }
  Tensor dw = empty(x_, {s.k, s.c, 3, 3});
  if (dw.numel() == 0) {
    return dw;
  }
  if (dy_.numel() == 0 || x_.numel() == 0) {
    return torch::stable::zero_(dw);
  }
  const Tensor x = image(x_), dy = image(dy_);
  const OptionalTensor style = contiguous(style_);
  const WeightGradient g{
      s, floats(x), style ? floats(*style) : nullptr, floats(dy), mutable_floats(dw)};
  const int threads = thread_count();
  const GradientCut cut(s, kind.scheme, threads);
  const Workspace memory(threads * cut.scratch() + cut.zeros());
  float* const scratch = memory.floats();
  float* const zeros = scratch + threads * cut.scratch();
  std::fill_n(zeros, cut.zeros(), 0.f);
  run(g, cut, FG_SELECT_LEVEL(winograd_kernels).*kind.gradient, zeros, scratch, threads,
      [](std::int64_t n, const auto& f) { parallel(n, f); });
  return dw;
}

Tensor conv2d_weight(
    const Tensor& dy, const Tensor& x, const OptionalTensor& style, std::int64_t pad_y,
    std::int64_t pad_x) {
  check(x, "x", {-1, -1, -1, -1});
  check(dy, "dy", {-1, -1, -1, -1});
  return weight_gradient(dy, x, style, shape_of(x, dy.size(1), pad_y, pad_x), same_size);
}

Shape downsampled_shape(const Tensor& x, std::int64_t k) {
  check(x, "x", {-1, -1, -1, -1});
  const std::int64_t h = x.size(2), w = x.size(3);
  STD_TORCH_CHECK(
      h >= 3 && w >= 3 && h % 2 == 1 && w % 2 == 1,
      "the image must have 3, 5, 7, … pixels on each side, got ", h, " x ", w);
  return {x.size(0), h, w, x.size(1), h / 2, w / 2, k, 0, 0};
}

// Return x·style convolved with w [k, c, 3, 3], with stride 2 and no padding.
Tensor conv2d_down(const Tensor& x_, const Tensor& w, const OptionalTensor& style_) {
  check(w, "w", {-1, x_.dim() == 4 ? x_.size(1) : -1, 3, 3});
  const Shape s = downsampled_shape(x_, w.size(0));
  Tensor y = result(x_, s.n, s.k, s.oh, s.ow);
  if (y.numel() == 0) {
    return finished(y, x_, w);
  }
  const Tensor x = image(x_);
  const OptionalTensor style = contiguous(style_);
  if (style) {
    check(*style, "style", {s.n, s.c});
  }
  std::optional<Tensor> kept;
  Forward f{};
  f.shape = s;
  f.x = floats(x);
  f.style = style ? floats(*style) : nullptr;
  f.weights = weights_of(w, false, kept);
  f.y = mutable_floats(y);
  run_on(f, downsampled);
  return finished(y, x_, w);
}

Tensor conv2d_down_weight(const Tensor& dy, const Tensor& x, const OptionalTensor& style) {
  check(dy, "dy", {-1, -1, -1, -1});
  return weight_gradient(dy, x, style, downsampled_shape(x, dy.size(1)), downsampled);
}

// Return the bytes of scratch memory of a run on an image of h x w. `up` and `down` are 1 or 2.
std::int64_t scratch(
    std::int64_t n, std::int64_t c, std::int64_t k, std::int64_t h, std::int64_t w, std::int64_t up,
    std::int64_t down) {
  const Shape s = up == 2     ? Shape{n, h, w, c, 2 * h + 1, 2 * w + 1, k, 0, 0}
                  : down == 2 ? Shape{n, h, w, c, h / 2, w / 2, k, 0, 0}
                              : Shape{n, h, w, c, h, w, k, 1, 1};
  const Kind& kind = up == 2 ? upsampled : down == 2 ? downsampled : same_size;
  const int threads = thread_count();
  const Cut cut(s, kind.scheme, FG_SELECT_LEVEL(winograd_kernels).blocking, threads);
  return 4 * workspace_elements(cut, true, threads);
}

}  // namespace
}  // namespace fg::winograd

STABLE_TORCH_LIBRARY_FRAGMENT(fastgan_runtime, m) {
  m.def("winograd_scratch(int n, int c, int k, int h, int w, int up, int down) -> int");
}

STABLE_TORCH_LIBRARY_IMPL(fastgan_runtime, CompositeExplicitAutograd, m) {
  m.impl("winograd_scratch", TORCH_BOX(&fg::winograd::scratch));
}

STABLE_TORCH_LIBRARY_IMPL(fastgan, CPU, m) {
  m.impl("winograd_conv2d", TORCH_BOX(&fg::winograd::conv2d));
  m.impl("winograd_conv2d_act", TORCH_BOX(&fg::winograd::conv2d_act));
  m.impl("winograd_conv_transpose2d", TORCH_BOX(&fg::winograd::conv_transpose2d));
  m.impl("winograd_conv2d_input", TORCH_BOX(&fg::winograd::conv2d_input));
  m.impl("winograd_conv2d_unscaled", TORCH_BOX(&fg::winograd::conv2d_unscaled));
  m.impl("winograd_conv2d_weight", TORCH_BOX(&fg::winograd::conv2d_weight));
  m.impl("winograd_conv2d_down", TORCH_BOX(&fg::winograd::conv2d_down));
  m.impl("winograd_conv2d_down_weight", TORCH_BOX(&fg::winograd::conv2d_down_weight));
}
