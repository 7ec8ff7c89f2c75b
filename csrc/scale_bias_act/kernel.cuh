// CUDA kernels of scale_bias_act and their launches. Torch-free; the emulation runs them unchanged.
//
// One kernel walks over the large tensors. If a gradient needs partial sums, a second one adds them
// up.
#pragma once

#include <utility>

#include "sums.cuh"

namespace fg::scale_bias_act {

template <class T>
Tensors<T> tensors_of(const Arguments& a, const Plan& p) {
  const auto in = [](const void* from) { return static_cast<const T*>(from); };
  auto* free = static_cast<accumulate_t<T>*>(a.workspace);
  const auto take = [&](const void* wanted, std::int64_t size) {
    return wanted ? std::exchange(free, free + size) : nullptr;
  };
  Tensors<T> t{};
  t.x = in(a.x);
  t.dy = in(a.dy);
  t.ddx = in(a.ddx);
  t.at = {in(a.scale), in(a.noise), in(a.b)};
  t.along = {in(a.ddscale), in(a.ddnoise), in(a.ddb)};
  t.out = static_cast<T*>(a.out);
  t.out_x = static_cast<T*>(a.out_x);
  t.scale_sums = take(a.dscale, p.channel_sums(a.layout));
  t.bias_sums = take(a.db, p.channel_sums(a.layout));
  t.noise_sums = take(a.dnoise, p.pixel_sums(a.layout));
  return t;
}

template <Pass P, class T>
cudaError_t walk(const Arguments& a, const Plan& p, const Tensors<T>& t, cudaStream_t stream) {
  using R = accumulate_t<T>;
  const Setting<R> s{
      {static_cast<R>(a.alpha), static_cast<R>(a.gain), static_cast<R>(a.clamp)},
      a.act,
      a.shared_noise};
  const dim3 grid(static_cast<unsigned>(p.batch * p.tiles * p.chunks));
  const dim3 block(static_cast<unsigned>(p.lanes), static_cast<unsigned>(p.height));
  return with_variant<T>(p, a.act != Act::piecewise, [&](auto curved, auto last, auto columns) {
    return fg_launch(
        walk_kernel<P, decltype(curved)::value, decltype(last)::value, T, decltype(columns)::value>,
        grid, block, 0, stream, t, s, p);
  });
}

template <class T>
cudaError_t run(const Arguments& a, cudaStream_t stream) {
  const Plan p = make_plan(a);
  if (!p.fits_a_grid()) {
    return cudaErrorInvalidConfiguration;
  }
  const Tensors<T> t = tensors_of<T>(a, p);
  const cudaError_t error = a.pass == Pass::forward ? walk<Pass::forward>(a, p, t, stream)
                            : a.pass == Pass::backward
                                ? walk<Pass::backward>(a, p, t, stream)
                                : walk<Pass::double_backward>(a, p, t, stream);
  return error == cudaSuccess ? add_up(a, p, t, stream) : error;
}

}  // namespace fg::scale_bias_act
