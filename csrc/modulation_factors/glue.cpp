#include "../common/glue.h"

#include "problem.h"

namespace fg::modulation_factors {
namespace {

void check(
    const Tensor& weight, const Tensor& styles, const OptionalTensor& gain, ScalarType dtype) {
  STD_TORCH_CHECK(
      weight.dim() == 4 && styles.dim() == 2 && styles.size(1) == weight.size(1),
      "modulation_factors needs weights [O, C, kh, kw] and styles [N, C]");
  const ScalarType sums = weight.scalar_type();
  STD_TORCH_CHECK(
      (sums == ScalarType::Float && dtype != ScalarType::Double) ||
          (sums == ScalarType::Double && dtype == ScalarType::Double),
      "modulation_factors needs float32 weights, or float64 for results in float64");
  STD_TORCH_CHECK(
      styles.scalar_type() == sums && fits(gain, styles.sizes(), sums),
      "modulation_factors needs styles and gain of one shape and of the dtype of the weights");
}

Arguments arguments(
    Pass pass, const Tensor& weight, const Tensor& styles, const OptionalTensor& gain,
    const Tensor& of_dtype, bool demodulate, bool normalize, bool flip) {
  Arguments a{};
  a.pass = pass;
  a.dtype = dtype_of(of_dtype, "modulation_factors");
  a.batch = styles.size(0);
  a.outs = weight.size(0);
  a.channels = weight.size(1);
  a.taps = weight.size(2) * weight.size(3);
  a.demodulate = demodulate;
  a.normalize = normalize;
  a.flip = flip;
  if (gain) {
    a.gain = gain->const_data_ptr();
    a.gain_row = gain->stride(0);
    a.gain_step = gain->stride(1);
  }
  return a;
}

using Seven = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

Seven modulation_factors(
    const Tensor& weight, const Tensor& styles, const OptionalTensor& gain, ScalarType dtype,
    bool demodulate, bool normalize, bool channels_last, bool flip) {
  check(weight, styles, gain, dtype);
  const std::int64_t n = styles.size(0), o = weight.size(0), c = weight.size(1),
                     kh = weight.size(2), kw = weight.size(3);
  const bool copies = normalize || channels_last || flip || weight.scalar_type() != dtype,
             scales = demodulate || normalize;
  const Tensor scaled =
      !copies         ? empty(weight, {0}, dtype)
      : channels_last ? empty_strided(weight, {o, c, kh, kw}, {kh * kw * c, 1, kw * c, c}, dtype)
                      : empty(weight, {o, c, kh, kw}, dtype);
  const Tensor scaled_styles = empty(weight, {n, c}, dtype),
               scale = empty_if(scales, weight, {n, o}, dtype),
               squares = empty_if(demodulate, weight, {o, c}),
               norm = empty_if(demodulate && normalize, weight, {o}),
               largest = empty_if(normalize, weight, {n}),
               root = empty_if(demodulate, weight, {n, o});
  Arguments a = arguments(Pass::forward, weight, styles, gain, scaled, demodulate, normalize, flip);
  a.channels_last = channels_last;
  Inputs in;
  a.weight = in.contiguous(weight);
  a.styles = in.contiguous(styles);
  a.scaled = data_if(copies, scaled);
  a.scaled_styles = scaled_styles.mutable_data_ptr();
  a.scale = data_if(scales, scale);
  a.squares = data_if(demodulate, squares);
  a.norm = data_if(demodulate && normalize, norm);
  a.largest = data_if(normalize, largest);
  a.root = data_if(demodulate, root);
  launch(a, weight, "modulation_factors");
  return {scaled, scaled_styles, scale, squares, norm, largest, root};
}

std::tuple<Tensor, Tensor, Tensor> modulation_factors_backward(
    const OptionalTensor& dscaled, const OptionalTensor& dscaled_styles,
    const OptionalTensor& dscale, const Tensor& weight, const Tensor& styles,
    const OptionalTensor& gain, const Tensor& squares, const Tensor& norm, const Tensor& largest,
    const Tensor& root, ScalarType dtype, bool demodulate, bool normalize, bool flip,
    bool need_dweight, bool need_dstyles, bool need_dgain) {
  check(weight, styles, gain, dtype);
  const std::int64_t n = styles.size(0), o = weight.size(0);
  STD_TORCH_CHECK(
      fits(dscaled, weight.sizes(), dtype) && fits(dscaled_styles, styles.sizes(), dtype) &&
          fits(dscale, {n, o}, dtype),
      "gradients of modulation_factors must have the shapes and the dtype of its results");
  const Tensor of_dtype = empty(weight, {0}, dtype);
  Arguments a =
      arguments(Pass::backward, weight, styles, gain, of_dtype, demodulate, normalize, flip);
  a.channels_last = dscaled && is_channels_last(*dscaled);
  Inputs in;
  a.weight = in.contiguous(weight);
  a.styles = in.contiguous(styles);
  a.dscaled = in.images(dscaled, a.channels_last);
  a.dscaled_styles = in.contiguous(dscaled_styles);
  a.dscale = demodulate ? in.contiguous(dscale) : nullptr;
  a.squares = data_if(demodulate, squares);
  a.norm = data_if(demodulate && normalize, norm);
  a.largest = data_if(normalize, largest);
  a.root = data_if(demodulate, root);
  const Tensor dweight = empty_if(need_dweight, weight, weight.sizes()),
               dstyles = empty_if(need_dstyles, weight, styles.sizes()),
               dgain = empty_if(need_dgain, weight, styles.sizes());
  a.dweight = data_if(need_dweight, dweight);
  a.dstyles = data_if(need_dstyles, dstyles);
  a.dgain = data_if(need_dgain, dgain);
  launch(a, weight, "modulation_factors");
  return {dweight, dstyles, dgain};
}

FG_REGISTER(modulation_factors)
FG_REGISTER(modulation_factors_backward)

}  // namespace
}  // namespace fg::modulation_factors
