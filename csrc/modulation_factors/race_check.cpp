// Checks of every kernel of modulation_factors with several blocks, for races under ThreadSanitizer
// and against the definition.

#include "emulation/race_check.h"
#include "problem.h"

namespace fg::modulation_factors {
namespace {

using namespace emulation;

void check(
    std::int64_t batch, std::int64_t outs, std::int64_t channels, std::int64_t taps,
    bool channels_last) {
  const std::int64_t row = channels * taps;
  const Floats w = pattern(outs * row, 1), s = pattern(batch * channels, 2),
               gain = pattern(channels, 3);
  Floats scaled(w.size()), styles(s.size()), scale(batch * outs), squares(outs * channels),
      norm(outs), largest(batch), root(batch * outs);
  Arguments a{};
  a.pass = Pass::forward;
  a.batch = batch;
  a.outs = outs;
  a.channels = channels;
  a.taps = taps;
  a.demodulate = a.normalize = a.flip = true;
  a.channels_last = channels_last;
  a.gain_step = 1;
  a.weight = w.data();
  a.styles = s.data();
  a.gain = gain.data();
  a.scaled = scaled.data();
  a.scaled_styles = styles.data();
  a.scale = scale.data();
  a.squares = squares.data();
  a.norm = norm.data();
  a.largest = largest.data();
  a.root = root.data();
  run_kernels(a);

  const Floats dw = pattern(outs * row, 4), ds = pattern(batch * channels, 5),
               dd = pattern(batch * outs, 6);
  Floats dweight(w.size()), dstyles(s.size()), dgain(s.size());
  a.pass = Pass::backward;
  a.dscaled = dw.data();
  a.dscaled_styles = ds.data();
  a.dscale = dd.data();
  a.dweight = dweight.data();
  a.dstyles = dstyles.data();
  a.dgain = dgain.data();
  run_kernels(a);

  const auto place = [&](std::int64_t o, std::int64_t i, std::int64_t tap) {
    const std::int64_t k = taps - 1 - tap;
    return o * row + (channels_last ? k * channels + i : i * taps + k);
  };
  Doubles norms(outs), q(outs * channels), most(batch);
  for (std::int64_t o = 0; o < outs; ++o) {
    for (std::int64_t e = 0; e < row; ++e) {
      norms[o] += static_cast<double>(w[o * row + e]) * w[o * row + e];
    }
    norms[o] = std::sqrt(norms[o]);
    for (std::int64_t e = 0; e < row; ++e) {
      const double v = w[o * row + e] / norms[o];
      q[o * channels + e / taps] += v * v;
      require_close(scaled[place(o, e / taps, e % taps)], v);
    }
  }
  for (std::int64_t n = 0; n < batch; ++n) {
    for (std::int64_t i = 0; i < channels; ++i) {
      most[n] = std::max<double>(most[n], std::abs(s[n * channels + i]));
    }
  }
  Doubles slopes(batch * outs);
  for (std::int64_t at = 0; at < batch * outs; ++at) {
    const std::int64_t n = at / outs, o = at % outs;
    double sum = 1e-8 / (most[n] * norms[o] * most[n] * norms[o]);
    for (std::int64_t i = 0; i < channels; ++i) {
      const double t = s[n * channels + i] / most[n];
      sum += t * t * q[o * channels + i];
    }
    require_close(scale[at], 1 / std::sqrt(sum));
    slopes[at] = -std::pow(sum, -1.5) * dd[at];
  }
  for (std::int64_t at = 0; at < batch * channels; ++at) {
    const std::int64_t n = at / channels, i = at % channels;
    const double t = s[at] / most[n];
    double sum = 0, size = 0;
    for (std::int64_t o = 0; o < outs; ++o) {
      const double term = slopes[n * outs + o] * q[o * channels + i];
      sum += term;
      size += std::abs(term);
    }
    require_close(styles[at], t * gain[i]);
    require_close(dgain[at], t * ds[at]);
    require_close(dstyles[at], (ds[at] * gain[i] + t * sum) / most[n], size);
  }
  for (std::int64_t o = 0; o < outs; ++o) {
    for (std::int64_t e = 0; e < row; ++e) {
      double sum = 0, size = 0;
      for (std::int64_t n = 0; n < batch; ++n) {
        const double t = s[n * channels + e / taps] / most[n];
        sum += slopes[n * outs + o] * t * t;
        size += std::abs(slopes[n * outs + o]);
      }
      const double wanted = dw[place(o, e / taps, e % taps)] + w[o * row + e] / norms[o] * sum;
      require_close(dweight[o * row + e], wanted / norms[o], size);
    }
  }
}

}  // namespace

FG_RACE_CHECK(modulation_factors_channels_last) {
  check(3, 10, 36, 9, true);  // vectors, several tiles of output channels
}

FG_RACE_CHECK(modulation_factors_contiguous) {
  check(9, 3, 5, 3, false);     // several groups of images
  check(1, 2, 2, 6100, false);  // weights that shared memory doesn't hold
}

}  // namespace fg::modulation_factors
