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
  auto* free = as<accumulate_t<T>>(a.workspace);
  const auto take = [&](const void* wanted, std::int64_t size) {
    return wanted ? std::exchange(free, free + size) : nullptr;
  };
  Tensors<T> t{};
  t.x = as<T>(a.x);
  t.dy = as<T>(a.dy);
  t.ddx = as<T>(a.ddx);
  t.at = {as<T>(a.scale), as<T>(a.noise), as<T>(a.b)};
  t.along = {as<T>(a.ddscale), as<T>(a.ddnoise), as<T>(a.ddb)};
  t.out = as<T>(a.out);
  t.out_x = as<T>(a.out_x);
  t.scale_sums = take(a.dscale, p.channel_sums(a.layout));
  t.bias_sums = take(a.db, p.channel_sums(a.layout));
  t.noise_sums = take(a.dnoise, p.pixel_sums(a.layout));
  return t;
}

template <class T>
cudaError_t run(const Arguments& a, cudaStream_t stream) {
  const Plan p = make_plan(a);
  if (!p.fits_a_grid()) {
    return cudaErrorInvalidConfiguration;
  }
  const Tensors<T> t = tensors_of<T>(a, p);
  const Setting<accumulate_t<T>> s{scalars_of<accumulate_t<T>>(a), a.act, a.shared_noise};
  const cudaError_t error = with_pass(a.pass, [&](auto pass) {
    return with_variant<T>(p, a.act != Act::piecewise, [&](auto curved, auto last, auto columns) {
      constexpr auto kernel = walk_kernel<
          decltype(pass)::value, decltype(curved)::value, decltype(last)::value, T,
          decltype(columns)::value>;
      return launch_blocks(
          kernel, p.batch * p.tiles * p.chunks, dim3(p.lanes, p.height), stream, t, s, p);
    });
  });
  return error == cudaSuccess ? add_up(a, p, t, stream) : error;
}

std::int64_t workspace(const Arguments& a) { return make_plan(a).workspace(a); }

}  // namespace fg::scale_bias_act
