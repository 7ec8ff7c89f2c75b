// Filters of lines as templates over factors and taps: upsampling and downsampling. 0 stands for
// numbers that are known at run time.
#pragma once

#include "../common/launch.cuh"

namespace fg::filtered_lrelu {

// Upsampling of lines: U phases of taps.
template <int U, int T, class R>
struct Up {
  static constexpr int taps = T / U, periods = U > 2 ? 2 : 4, step = periods;
  R h[T];

  FG_DEVICE Up(const R* filter, int, int) {
#pragma unroll
    for (int k = 0; k < T; ++k) {
      h[k] = filter[k];
    }
  }

  // Compute `periods` periods from the input on which the first one starts.
  FG_DEVICE void operator()(const R* from, int from_step, R* to, int to_step) const {
    R window[taps + periods];
#pragma unroll
    for (int j = 0; j < taps + periods; ++j) {
      window[j] = from[j * from_step];
    }
#pragma unroll
    for (int p = 0; p < periods; ++p) {
#pragma unroll
      for (int r = 0; r < U; ++r) {
        R sum = 0;
#pragma unroll
        for (int j = 0; j < taps; ++j) {
          sum += h[(U - r) % U + j * U] * window[p + (r > 0) + j];
        }
        to[(p * U + r) * to_step] = sum;
      }
    }
  }
};

template <class R>
struct Up<0, 0, R> {
  static constexpr int step = 1;
  const R* h;
  int up, taps;

  FG_DEVICE Up(const R* filter, int up, int taps) : h(filter), up(up), taps(taps) {}

  FG_DEVICE void operator()(const R* from, int from_step, R* to, int to_step) const {
    for (int r = 0; r < up; ++r) {
      const R* at = from + (r > 0) * from_step;
      R sum = 0;
      for (int k = r > 0 ? up - r : 0; k < taps; k += up, at += from_step) {
        sum += h[k] * *at;
      }
      to[r * to_step] = sum;
    }
  }
};

// Downsampling of lines: `outputs` neighbours from a window.
template <int D, int T, class R>
struct Down {
  static constexpr int outputs = D > 2 ? 2 : 4;
  R g[T];

  FG_DEVICE Down(const R* filter, int, int) {
#pragma unroll
    for (int k = 0; k < T; ++k) {
      g[k] = filter[k];
    }
  }

  template <class Store>
  FG_DEVICE void operator()(const R* from, int from_step, const Store& store) const {
    R sums[outputs] = {};
#pragma unroll
    for (int i = 0; i < (outputs - 1) * D + T; ++i) {
      const R value = from[i * from_step];
#pragma unroll
      for (int o = 0; o < outputs; ++o) {
        if (i >= o * D && i < o * D + T) {
          sums[o] += g[i - o * D] * value;
        }
      }
    }
#pragma unroll
    for (int o = 0; o < outputs; ++o) {
      store(o, sums[o]);
    }
  }
};

template <class R>
struct Down<0, 0, R> {
  static constexpr int outputs = 1;
  const R* g;
  int taps;

  FG_DEVICE Down(const R* filter, int, int taps) : g(filter), taps(taps) {}

  template <class Store>
  FG_DEVICE void operator()(const R* from, int from_step, const Store& store) const {
    R sum = 0;
    for (int k = 0; k < taps; ++k) {
      sum += g[k] * from[k * from_step];
    }
    store(0, sum);
  }
};

}  // namespace fg::filtered_lrelu
