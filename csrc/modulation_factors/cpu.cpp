// modulation_factors on the CPU. Each pass has two sweeps: over the output channels with their
// weights, and over the images with their styles.
#include <algorithm>
#include <cmath>

#include "../common/cpu.h"
#include "factors.h"
#include "problem.h"

namespace fg::modulation_factors {

enum class Sweep { weights, styles };

// A unit is an output channel or an image, so sums have the same bits for any number of threads.
using Run = void (*)(const Arguments&, Sweep, std::int64_t begin, std::int64_t end);

}  // namespace fg::modulation_factors

FG_DECLARE_PER_LEVEL(modulation_factors::Run, modulation_factors_run)

#if defined(FG_CPU_LEVEL)

namespace fg::FG_CPU_LEVEL {
namespace {

using namespace fg::modulation_factors;

// Place of a channel's tap in the scaled weights of an output channel.
FG_LOCAL std::int64_t place(const Arguments& a, std::int64_t channel, std::int64_t tap) {
  const std::int64_t k = a.flip ? a.taps - 1 - tap : tap;
  return a.channels_last ? k * a.channels + channel : channel * a.taps + k;
}

// Call f(first channel, channels, tap, taps) for stretches of scaled weights: neighbouring channels
// of one tap, or the taps of one channel.
template <class F>
FG_LOCAL void for_each_stretch(const Arguments& a, F&& f) {
  if (a.channels_last) {
    for_each_block(a.channels, [&](std::int64_t i, int n) {
      for (std::int64_t k = 0; k < a.taps; ++k) {
        f(i, n, k, 1);
      }
    });
  } else {
    for (std::int64_t i = 0; i < a.channels; ++i) {
      for_each_block(a.taps, [&](std::int64_t k, int n) { f(i, 1, k, n); });
    }
  }
}

// Read element j of a stretch from weights of the channel `i` on: step through channels, or back or
// forth through taps.
struct Walk {
  std::int64_t first, step;

  FG_LOCAL Walk of(const Arguments& a, std::int64_t i, std::int64_t k, int taps) {
    const bool backwards = taps > 1 && a.flip;
    return {
        i * a.taps + (backwards ? k + taps - 1 : k), a.channels_last ? a.taps
                                                     : backwards     ? -1
                                                                     : 1};
  }
};

// Place in memory where a stretch starts.
FG_LOCAL std::int64_t start(const Arguments& a, std::int64_t i, std::int64_t k, int taps) {
  return place(a, i, a.flip && !a.channels_last ? k + taps - 1 : k);
}

template <class R>
FG_LOCAL R norm_of(const Arguments& a, std::int64_t o) {
  return a.norm ? as<R>(a.norm)[o] : R(1);
}

template <class R>
FG_LOCAL R divisor_of(const Arguments& a, std::int64_t n) {
  return a.largest ? as<R>(a.largest)[n] : R(1);
}

template <class R>
void scale_weights(const Arguments& a, std::int64_t o) {
  const R* const w = as<R>(a.weight) + o * a.row();
  R norm = 1;
  if (a.norm) {
    R total = 0;
    for_each_block(a.row(), [&](std::int64_t at, int n) { total += dot(w + at, w + at, n); });
    norm = as<R>(a.norm)[o] = weight_divisor(total);
  }
  if (a.squares) {
    R* const squares = as<R>(a.squares) + o * a.channels;
    const std::int64_t taps = a.taps, channels = a.channels;
    std::fill_n(squares, channels, R(0));
    for (std::int64_t k = 0; k < taps; ++k) {
      FG_NO_ALIAS
      for (std::int64_t i = 0; i < channels; ++i) {
        const R v = w[i * taps + k] / norm;
        squares[i] += v * v;
      }
    }
  }
  if (a.scaled) {
    alignas(64) R buffer[block_size];
    for_each_stretch(a, [&](std::int64_t i, int channels, std::int64_t k, int taps) {
      const int n = channels * taps;
      const Walk from = Walk::of(a, i, k, taps);
      const std::int64_t first = o * a.row() + start(a, i, k, taps);
      R* const to = target(a.dtype, a.scaled, first, buffer, false);
      FG_NO_ALIAS
      for (int j = 0; j < n; ++j) {
        to[j] = w[from.first + j * from.step] / norm;
      }
      store(a.dtype, a.scaled, first, to, n, false);
    });
  }
}

// Write n results of `compute(j)` from element `first` on.
template <class R, class F>
FG_LOCAL void write(const Arguments& a, void* p, std::int64_t first, int n, F&& compute) {
  alignas(64) R buffer[block_size];
  R* const to = target(a.dtype, p, first, buffer, false);
  for (int j = 0; j < n; ++j) {
    to[j] = compute(j);
  }
  store(a.dtype, p, first, to, n, false);
}

template <class R>
FG_LOCAL R gain_of(const Arguments& a, std::int64_t n, std::int64_t i) {
  return a.gain ? as<R>(a.gain)[n * a.gain_row + i * a.gain_step] : R(1);
}

template <class R>
void scale_styles(const Arguments& a, std::int64_t n) {
  const R* const s = as<R>(a.styles) + n * a.channels;
  const Bounds<R> bounds = Bounds<R>::of(a);
  R divisor = 1;
  if (a.largest) {
    R largest = 0;
    for (std::int64_t i = 0; i < a.channels; ++i) {
      const R v = std::abs(s[i]);
      largest = v > largest || v != v ? v : largest;
    }
    divisor = as<R>(a.largest)[n] = style_divisor(largest, bounds);
  }
  if (a.root) {
    R* const root = as<R>(a.root) + n * a.outs;
    std::fill_n(root, a.outs, R(0));
    for_each_block(a.channels, [&](std::int64_t i, int count) {
      alignas(64) R squares[block_size];
      for (int j = 0; j < count; ++j) {
        const R t = s[i + j] / divisor;
        squares[j] = t * t;
      }
      for (std::int64_t o = 0; o < a.outs; ++o) {
        root[o] += dot(as<R>(a.squares) + o * a.channels + i, squares, count);
      }
    });
    for (std::int64_t o = 0; o < a.outs; ++o) {
      root[o] = a.norm ? scale_of(root[o], divisor * as<R>(a.norm)[o], bounds) : scale_of(root[o]);
    }
  }
  if (a.scale) {
    for_each_block(a.outs, [&](std::int64_t o, int count) {
      write<R>(a, a.scale, n * a.outs + o, count, [&](int j) {
        return a.root ? as<R>(a.root)[n * a.outs + o + j] : divisor;
      });
    });
  }
  for_each_block(a.channels, [&](std::int64_t i, int count) {
    write<R>(a, a.scaled_styles, n * a.channels + i, count, [&](int j) {
      return s[i + j] / divisor * gain_of<R>(a, n, i + j);
    });
  });
}

// ---- the derivative

template <class R>
FG_LOCAL R twice_dsum_of(const Arguments& a, std::int64_t n, std::int64_t o) {
  const std::int64_t at = n * a.outs + o;
  return twice_dsum(as<R>(a.root)[at], load_one<R>(a.dtype, a.dscale, at));
}

// Set `slopes` to the gradients in the squares of neighbouring channels, times two.
template <class R>
FG_LOCAL void slopes_of(const Arguments& a, std::int64_t o, std::int64_t i, R* slopes, int count) {
  std::fill_n(slopes, count, R(0));
  for (std::int64_t n = 0; a.dscale && n < a.batch; ++n) {
    const R* const s = as<R>(a.styles) + n * a.channels + i;
    const R slope = twice_dsum_of<R>(a, n, o), divisor = divisor_of<R>(a, n);
    FG_NO_ALIAS
    for (int j = 0; j < count; ++j) {
      const R t = s[j] / divisor;
      slopes[j] += slope * (t * t);
    }
  }
}

template <class R>
void derive_weights(const Arguments& a, std::int64_t o) {
  const R* const w = as<R>(a.weight) + o * a.row();
  R* const dw = as<R>(a.dweight) + o * a.row();
  const R norm = norm_of<R>(a, o);
  const std::int64_t taps = a.taps;
  alignas(64) R slopes[block_size], buffer[block_size];
  for_each_block(a.channels, [&](std::int64_t i, int count) {
    slopes_of(a, o, i, slopes, count);
    for (std::int64_t k = 0; k < taps; ++k) {
      const R* given = nullptr;
      if (a.dscaled && a.channels_last) {
        given = load(a.dtype, a.dscaled, o * a.row() + place(a, i, k), buffer, count);
      } else if (a.dscaled) {
        for (int j = 0; j < count; ++j) {
          buffer[j] = load_one<R>(a.dtype, a.dscaled, o * a.row() + place(a, i + j, k));
        }
        given = buffer;
      } else {
        std::fill_n(buffer, count, R(0));
        given = buffer;
      }
      FG_NO_ALIAS
      for (int j = 0; j < count; ++j) {
        const std::int64_t at = (i + j) * taps + k;
        dw[at] = (given[j] + w[at] / norm * slopes[j]) / norm;
      }
    }
  });
}

template <class R>
void derive_styles(const Arguments& a, std::int64_t n) {
  const R divisor = divisor_of<R>(a, n);
  alignas(64) R sums[block_size], buffer[block_size];
  for_each_block(a.channels, [&](std::int64_t i, int count) {
    const std::int64_t first = n * a.channels + i;
    const R* const s = as<R>(a.styles) + first;
    std::fill_n(buffer, count, R(0));
    const R* const given =
        a.dscaled_styles ? load(a.dtype, a.dscaled_styles, first, buffer, count) : buffer;
    if (a.dstyles) {
      std::fill_n(sums, count, R(0));
      for (std::int64_t o = 0; a.dscale && o < a.outs; ++o) {
        const R* const squares = as<R>(a.squares) + o * a.channels + i;
        const R slope = twice_dsum_of<R>(a, n, o);
        FG_NO_ALIAS
        for (int j = 0; j < count; ++j) {
          sums[j] += slope * squares[j];
        }
      }
      for (int j = 0; j < count; ++j) {
        as<R>(a.dstyles)[first + j] =
            (given[j] * gain_of<R>(a, n, i + j) + s[j] / divisor * sums[j]) / divisor;
      }
    }
    if (a.dgain) {
      for (int j = 0; j < count; ++j) {
        as<R>(a.dgain)[first + j] = given[j] * (s[j] / divisor);
      }
    }
  });
}

template <class R>
void run(const Arguments& a, Sweep sweep, std::int64_t begin, std::int64_t end) {
  const bool of_weights = sweep == Sweep::weights, forward = a.pass == Pass::forward;
  for (std::int64_t unit = begin; unit < end; ++unit) {
    if (forward) {
      of_weights ? scale_weights<R>(a, unit) : scale_styles<R>(a, unit);
    } else {
      of_weights ? derive_weights<R>(a, unit) : derive_styles<R>(a, unit);
    }
  }
}

}  // namespace

extern const Run modulation_factors_run = by_dtype<run<float>, run<double>>;

}  // namespace fg::FG_CPU_LEVEL

#else  // threads

namespace fg::modulation_factors {

void run(const Arguments& a) {
  const Run units = FG_SELECT_LEVEL(modulation_factors_run);
  constexpr std::int64_t task = 16384;  // elements that are worth a thread
  const bool forward = a.pass == Pass::forward;
  const auto sweep = [&](Sweep kind, std::int64_t count, std::int64_t elements) {
    const std::int64_t grain =
        std::max<std::int64_t>(1, task / std::max<std::int64_t>(1, elements));
    torch::stable::parallel_for(
        0, count, grain, [&](std::int64_t begin, std::int64_t end) { units(a, kind, begin, end); });
  };
  if (forward ? a.scaled || a.squares : a.dweight != nullptr) {
    sweep(Sweep::weights, a.outs, a.row());
  }
  if (forward || a.dstyles || a.dgain) {
    sweep(Sweep::styles, a.batch, a.demodulate ? a.outs * a.channels : a.channels);
  }
}

}  // namespace fg::modulation_factors

#endif
