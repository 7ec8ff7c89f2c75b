// The epilogue of the upfirdn2d kernels: they take `Nothing` or `Ending` as their last argument.
#pragma once

#include "../common/launch.cuh"
#include "problem.h"

namespace fg::upfirdn2d {

struct Nothing {
  struct Image {};
  FG_DEVICE Image image(std::int64_t) const { return {}; }
};

template <class T>
struct Ending {
  using R = accumulate_t<T>;

  const T *scale, *noise, *b;
  T* filtered;
  Act act;
  Scalars<R> scalars;
  std::int64_t channels, planes, inner, pixels;  // an image is [planes][pixels][inner]
  bool shared_noise;

  explicit Ending(const Arguments& a)
      : scale(as<T>(a.epilogue.scale)), noise(as<T>(a.epilogue.noise)), b(as<T>(a.epilogue.b)),
        filtered(as<T>(a.epilogue.filtered)), act(a.epilogue.act),
        scalars(scalars_of<R>(a.epilogue)), channels(a.epilogue.channels),
        planes(a.epilogue.channels / a.inner), inner(a.inner), pixels(a.y.out * a.x.out),
        shared_noise(a.epilogue.shared_noise) {}

  // Places of a plane's first element in each tensor.
  struct Image {
    std::int64_t first, scale, noise, b;
  };

  FG_DEVICE Image image(std::int64_t outer) const {
    const std::int64_t batch = outer / planes, plane = outer % planes;
    return {
        outer * pixels * inner, batch * channels + plane, shared_noise ? 0 : batch * pixels, plane};
  }
};

// Load V neighbouring elements; all are `absent` if `from` is null.
template <int V, class T>
FG_DEVICE Vec<T, V> load_or(const T* from, std::int64_t at, float absent) {
  if (from) {
    return load_vec<V>(from + at);
  }
  Vec<T, V> values;
#pragma unroll
  for (int e = 0; e < V; ++e) {
    values[e] = from_accumulate<T>(static_cast<accumulate_t<T>>(absent));
  }
  return values;
}

// Store results of V channels of one pixel at `to`: the sums times gain, and what follows.
template <class T, int V, class E>
FG_DEVICE void store_sums(
    T* to, const accumulate_t<T> (&sums)[V], accumulate_t<T> gain, const E& ending,
    const typename E::Image& image, std::int64_t pixel, std::int64_t c) {
  using R = accumulate_t<T>;
  Vec<T, V> values;
#pragma unroll
  for (int e = 0; e < V; ++e) {
    values[e] = from_accumulate<T>(sums[e] * gain);
  }
  if constexpr (!std::is_same_v<E, Nothing>) {
    if (ending.filtered) {
      store_vec(ending.filtered + image.first + pixel * ending.inner + c, values);
    }
    const Vec<T, V> scale = load_or<V>(ending.scale, image.scale + c, 1),
                    b = load_or<V>(ending.b, image.b + c, 0);
    const R noise = ending.noise ? to_accumulate(ending.noise[image.noise + pixel]) : R(0);
    with_act(ending.act, [&](auto act) {
#pragma unroll
      for (int e = 0; e < V; ++e) {
        const R v = sums[e] * gain * to_accumulate(scale[e]) + noise + to_accumulate(b[e]);
        values[e] = from_accumulate<T>(forward<decltype(act)::value>(v, ending.scalars));
      }
    });
  }
  store_vec(to, values);
}

}  // namespace fg::upfirdn2d
