// Compiled once per instruction set, named by FG_CPU_LEVEL.
//
// Transformed values have the memory order in which products read them, in groups of 16 channels if
// they are columns:
//
// - weights [point][k / 16][c][16]
// - in [point][tile][c]
// - out [point][tile][k]
//
// Products for the gradient of the weights sum over tiles:
//
// - in [point][c / 16][tile][16]
// - out [point][k / 16][tile][16]
// - weights [point][c / 16][k / 16][16][16]
#include "cpu_kernel.h"

#include "../common/cpu_transpose.h"
#include "products.h"
#include "transforms.h"

namespace fg::FG_CPU_LEVEL {
namespace {

using namespace fg::winograd;
using std::int64_t;

struct Tile {
  int64_t n, y, x;  // sample, and position of the tile in it

  Tile(const Cut& cut, int64_t t)
      : n(t / (cut.across * cut.down)), y(t / cut.across % cut.down), x(t % cut.across) {}
};

// Return the number of existing channels in a group of lanes. Others are read as zero and not
// written.
FG_LOCAL int valid_lanes(int64_t first, int64_t channels) {
  return static_cast<int>(channels - first < lanes ? channels - first : lanes);
}

FG_LOCAL void copy_lanes(float* to, const float* from, int n) {
  for (int i = 0; i < lanes; ++i) {
    to[i] = i < n ? from[i] : 0.f;
  }
}

// Size x Size pixels from (y, x) on of an image [h, w, channels]. Pixels outside are zeros.
template <int Size>
struct Pixels {
  const float* pixel[Size * Size];
  alignas(64) float padded[Size * Size][lanes];

  FG_LOCAL void set(
      Pixels& p, const float* image, const float* zeros, int64_t h, int64_t w, int64_t channels,
      int64_t y, int64_t x) {
    for (int i = 0; i < Size; ++i) {
      for (int j = 0; j < Size; ++j) {
        const bool inside = y + i >= 0 && y + i < h && x + j >= 0 && x + j < w;
        p.pixel[i * Size + j] = inside ? image + ((y + i) * w + x + j) * channels : zeros;
      }
    }
  }

  // Call f(get), where get(i, j, v) returns a pixel's lanes from v on of a group of channels.
  template <class F>
  FG_LOCAL void at(Pixels& p, int64_t first, int64_t channels, F f) {
    if (const int valid = valid_lanes(first, channels); valid < lanes) {
      for (int i = 0; i < Size * Size; ++i) {
        copy_lanes(p.padded[i], p.pixel[i] + first, valid);
      }
      f([&](int i, int j, int v) { return load(p.padded[i * Size + j] + v); });
    } else {
      f([&](int i, int j, int v) { return load(p.pixel[i * Size + j] + first + v); });
    }
  }
};

// Transform the columns and then the rows of the values of get(i, j). put(i, j, value) stores
// results.
template <int From, int To, class Transform, class Get, class Put>
FG_LOCAL void in_two_dimensions(Transform transform, Get get, Put put) {
  vec between[To][From];
#pragma GCC unroll 9
  for (int j = 0; j < From; ++j) {
    vec column[From], o[To];
#pragma GCC unroll 9
    for (int i = 0; i < From; ++i) {
      column[i] = get(i, j);
    }
    transform(column, o);
#pragma GCC unroll 9
    for (int i = 0; i < To; ++i) {
      between[i][j] = o[i];
    }
  }
#pragma GCC unroll 9
  for (int i = 0; i < To; ++i) {
    vec o[To];
    transform(between[i], o);
#pragma GCC unroll 9
    for (int j = 0; j < To; ++j) {
      put(i, j, o[j]);
    }
  }
}

// ---- forward

// Load all taps of a group of k by a group of c; zero beyond the last k.
void gather_weights(
    const Weights& w, int64_t k, int valid, int64_t c, int channels, float (*taps)[lanes]) {
  const float* const from = w.data + k * w.of_k + c * w.of_c;
  const bool whole = valid == lanes && channels == lanes;
  if (whole && w.of_tap == 1 && w.of_c == 9) {  // [k, c, 3, 3]
    for (int i = 0; i < lanes; i += 8) {
      for (int j = 0; j < lanes * 9; j += 8) {
        transpose(from + i * w.of_k + j, w.of_k, taps[j] + i, lanes);
      }
    }
    return;
  }
  if (whole && w.of_c == 1) {  // [k, c, 3, 3] in channels_last
    for (int t = 0; t < 9; ++t) {
      for (int i = 0; i < lanes; i += 8) {
        for (int j = 0; j < lanes; j += 8) {
          transpose(from + i * w.of_k + t * w.of_tap + j, w.of_k, taps[9 * j + t] + i, 9 * lanes);
        }
      }
    }
    return;
  }
  for (int i = 0; i < lanes; ++i) {
    for (int j = 0; j < channels; ++j) {
      for (int t = 0; t < 9; ++t) {
        taps[9 * j + t][i] = i < valid ? from[i * w.of_k + j * w.of_c + t * w.of_tap] : 0.f;
      }
    }
  }
}

template <class S>
void transform_weights(
    const Forward& f, const Cut& cut, const Part& part, const Buffers& b, int64_t begin,
    int64_t end) {
  const Weights& w = f.weights;
  const auto turned = [&](int tap) { return w.flip ? 8 - tap : tap; };
  for (int64_t group = begin; group < end; ++group) {
    const int64_t k = part.first_k + group * lanes;
    const int valid = valid_lanes(k, f.shape.k);
    for (int64_t c0 = 0; c0 < f.shape.c; c0 += lanes) {
      const int channels = valid_lanes(c0, f.shape.c);
      alignas(64) float taps[lanes * 9][lanes];  // [c, tap][k]
      gather_weights(w, k, valid, c0, channels, taps);
      for (int c = 0; c < channels; ++c) {
        for (int v = 0; v < lanes; v += width) {
          float* const to = b.weights + (group * cut.c + c0 + c) * lanes + v;
          in_two_dimensions<3, S::weights>(
              S::weight, [&](int i, int j) { return load(taps[9 * c + turned(3 * i + j)] + v); },
              [&](int i, int j, vec u) { store(to + (i * S::weights + j) * cut.weight_plane, u); });
          // The last row, then the rest of the last column.
          for (int e = 0; e < S::edges; ++e) {
            store(
                to + (S::weights * S::weights + e) * cut.weight_plane,
                load(taps[9 * c + turned(e < 3 ? 6 + e : 3 * e - 7)] + v));
          }
        }
      }
    }
  }
}

// Transform a tile of x·style. The results of the group of channels from c on go to to_of(c).
template <class S, class ToOf>
FG_LOCAL void transform_tile(
    const Shape& s, const Cut& cut, const Tile& tile, const float* image, const float* style,
    const float* zeros, ToOf to_of) {
  Pixels<S::inputs> pixels;
  pixels.set(
      pixels, image + tile.n * s.h * s.w * s.c, zeros, s.h, s.w, s.c,
      tile.y * S::step + S::first - s.pad_y, tile.x * S::step + S::first - s.pad_x);
  alignas(64) float factors[lanes];
  std::fill_n(factors, lanes, 1.f);
  for (int64_t c = 0; c < cut.c; c += lanes) {
    if (style) {
      copy_lanes(factors, style + tile.n * s.c + c, valid_lanes(c, s.c));
    }
    pixels.at(pixels, c, s.c, [&](auto get) {
      for (int v = 0; v < lanes; v += width) {
        float* const to = to_of(c) + v;
        const vec factor = load(factors + v);
        in_two_dimensions<S::inputs, S::points>(
            S::input, [&](int i, int j) { return get(i, j, v) * factor; },
            [&](int i, int j, vec o) { store(to + (i * S::points + j) * cut.in_plane, o); });
      }
    });
  }
}

template <class S>
void transform_in(
    const Forward& f, const Cut& cut, const Part& part, const Buffers& b, int64_t begin,
    int64_t end) {
  for (int64_t t = begin; t < end; ++t) {
    transform_tile<S>(
        f.shape, cut, Tile(cut, part.first_tile + t), f.x, f.style, b.zeros,
        [&](int64_t c) { return b.in + t * cut.c + c; });
  }
}

// Return the matrix of weights that a point multiplies with.
template <class S>
FG_LOCAL int64_t matrix_of(int64_t point) {
  return S::weight_of(static_cast<int>(point / S::points)) * S::weights +
         S::weight_of(static_cast<int>(point % S::points));
}

inline constexpr int64_t steps_at_once = 256;  // channels whose weights stay in L1 (16 KB)

template <class S>
void multiply(
    const Forward& f, const Cut& cut, const Part& part, const Buffers& b, int64_t begin,
    int64_t end) {
  const int64_t groups = part.ks / lanes;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t point = unit / groups, group = unit % groups;
    const float* const weights =
        b.weights + matrix_of<S>(point) * cut.weight_plane + group * cut.c * lanes;
    for (int64_t c = 0; c < f.shape.c; c += steps_at_once) {
      const Product p{
          b.in + point * cut.in_plane + c,
          cut.c,
          1,
          weights + c * lanes,
          std::min(steps_at_once, f.shape.c - c),
          b.out + point * cut.out_plane + group * lanes,
          cut.chunk,
          c > 0};
      product_of_rows(p, part.tiles);
    }
  }
}

using Act_ = void (*)(float*, int, const Scalars<float>&);

template <Act A>
void act_loop(float* v, int n, const Scalars<float>& scalars) {
  const Scalars<float> s = scalars;
  for (int i = 0; i < n; ++i) {
    v[i] = forward<A>(v[i], s);
  }
}

Act_ act_for(const Epilogue& e) {
  return e.identity
             ? nullptr
             : with_act(e.act, [](auto act) -> Act_ { return act_loop<decltype(act)::value>; });
}

template <class S>
void transform_out(
    const Forward& f, const Cut& cut, const Part& part, const Buffers& b, int64_t begin,
    int64_t end) {
  constexpr int size = S::outputs;
  const Shape& s = f.shape;
  const Epilogue& e = f.epilogue;
  const Act_ act = act_for(e);
  for (int64_t t = begin; t < end; ++t) {
    const Tile tile(cut, part.first_tile + t);
    const int64_t y0 = tile.y * size, x0 = tile.x * size;
    const int rows = static_cast<int>(std::min<int64_t>(size, s.oh - y0));
    const int columns = static_cast<int>(std::min<int64_t>(size, s.ow - x0));
    const int64_t pixel = (tile.n * s.oh + y0) * s.ow + x0;
    float noise[size][size] = {};
    if (e.noise) {
      const float* const from = e.noise + (e.noise_per_sample ? pixel : y0 * s.ow + x0);
      for (int i = 0; i < rows; ++i) {
        for (int j = 0; j < columns; ++j) {
          noise[i][j] = from[i * s.ow + j];
        }
      }
    }
    for (int64_t k = 0; k < part.ks; k += lanes) {
      const int64_t channel = part.first_k + k;
      const int valid = valid_lanes(channel, s.k);
      alignas(64) float z[size * size][lanes], scale[lanes], bias[lanes];
      for (int v = 0; v < lanes; v += width) {
        const float* const from = b.out + t * cut.chunk + k + v;
        in_two_dimensions<S::points, size>(
            S::output,
            [&](int i, int j) { return load(from + (i * S::points + j) * cut.out_plane); },
            [&](int i, int j, vec o) { store(z[i * size + j] + v, o); });
      }
      if (f.sums) {
        alignas(64) float total[lanes] = {};
        for (int i = 0; i < rows; ++i) {
          for (int j = 0; j < columns; ++j) {
            const float* const with = f.with + (pixel + i * s.ow + j) * s.k + channel;
            for (int l = 0; l < valid; ++l) {
              total[l] += with[l] * z[i * size + j][l];
            }
          }
        }
        copy_lanes(b.sums + t * cut.chunk + k, total, lanes);
      }
      if (e.scale) {
        copy_lanes(scale, e.scale + tile.n * s.k + channel, valid);
      }
      if (e.bias) {
        copy_lanes(bias, e.bias + channel, valid);
      }
      if (e.scale || e.bias || e.noise) {
        for (int v = 0; v < lanes; v += width) {
          const vec factor = e.scale ? load(scale + v) : vec{} + 1,
                    shift = e.bias ? load(bias + v) : vec{};
          for (int i = 0; i < size * size; ++i) {
            store(z[i] + v, load(z[i] + v) * factor + (shift + noise[i / size][i % size]));
          }
        }
      }
      if (act) {
        act(z[0], size * size * lanes, e.scalars);
      }
      for (int i = 0; i < rows; ++i) {
        for (int j = 0; j < columns; ++j) {
          float* const to = f.y + (pixel + i * s.ow + j) * s.k + channel;
          if (valid < lanes) {
            std::memcpy(to, z[i * size + j], static_cast<std::size_t>(valid) * sizeof(float));
          } else {
            put(to, z[i * size + j], lanes, f.streaming);
          }
        }
      }
    }
  }
  if (f.streaming) {
    stream_fence();
  }
}

// Compute t[2i] = r0[i] + r2[i - 1] and t[2i + 1] = r1[i] along the last row and column. r are the
// products of the last pixels.
void last_row_and_column(
    const Forward& f, const Cut& cut, const Part& part, const Buffers& b, int64_t begin,
    int64_t end) {
  using S = Upsampling;
  const Shape& s = f.shape;
  const Edges edges(s);
  const int64_t groups = part.ks / lanes;
  constexpr int rows = Edges::block + 1;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t group = unit % groups, block = unit / groups % edges.blocks(),
                  n = unit / groups / edges.blocks();
    const bool bottom = block < edges.bottom_blocks();
    const int64_t first = (bottom ? block : block - edges.bottom_blocks()) * Edges::block;
    const int64_t results = bottom ? edges.bottom : edges.right, length = bottom ? s.w : s.h;
    const auto pixel = [&](int64_t i) {
      return (n * s.h + (bottom ? s.h - 1 : i)) * s.w + (bottom ? i : s.w - 1);
    };
    alignas(64) float in[rows][steps_at_once], r[3][rows][lanes];
    for (int64_t c = 0; c < s.c; c += steps_at_once) {
      const int64_t steps = std::min(steps_at_once, s.c - c);
      for (int i = 0; i < rows; ++i) {  // pixel first - 1 + i
        const int64_t at = first - 1 + i;
        const float* const x = at >= 0 && at < length ? f.x + pixel(at) * s.c + c : b.zeros;
        const float* const style = f.style ? f.style + n * s.c + c : nullptr;
        for (int64_t j = 0; j < steps; ++j) {
          in[i][j] = style ? x[j] * style[j] : x[j];
        }
      }
      for (int e = 0; e < 3; ++e) {
        const int64_t plane = S::weights * S::weights + (bottom ? e : e < 2 ? 3 + e : 2);
        const float* const weights =
            b.weights + plane * cut.weight_plane + (group * cut.c + c) * lanes;
        product_of_rows({in[0], steps_at_once, 1, weights, steps, r[e][0], lanes, c > 0}, rows);
      }
    }
    const int64_t k = part.first_k + group * lanes;
    const int valid = valid_lanes(k, s.k);
    for (int i = 0; i < Edges::block && first + i < results; ++i) {
      const int64_t at = 2 * (first + i);
      const auto result = [&](int64_t along) {
        const int64_t y = bottom ? s.oh - 1 : along, x = bottom ? along : s.ow - 1;
        return f.y + ((n * s.oh + y) * s.ow + x) * s.k + k;
      };
      float* const even = result(at);
      for (int l = 0; l < valid; ++l) {
        even[l] = r[0][i + 1][l] + r[2][i][l];
      }
      if (at + 1 < 2 * length) {
        float* const odd = result(at + 1);
        for (int l = 0; l < valid; ++l) {
          odd[l] = r[1][i + 1][l];
        }
      }
    }
  }
}

// Add the sums of tiles to the sums of their samples, tile after tile.
void add_sums(
    const Forward& f, const Cut& cut, const Part& part, const Buffers& b, int64_t begin,
    int64_t end) {
  for (int64_t group = begin; group < end; ++group) {
    const int64_t k = group * lanes;
    const int valid = valid_lanes(part.first_k + k, f.shape.k);
    for (int64_t t = 0; t < part.tiles; ++t) {
      float* const to = f.sums + Tile(cut, part.first_tile + t).n * f.shape.k + part.first_k + k;
      for (int l = 0; l < valid; ++l) {
        to[l] += b.sums[t * cut.chunk + k + l];
      }
    }
  }
}

// ---- gradient of the weights

template <class S>
void transform_both(
    const WeightGradient& g, const Cut& cut, const Part& part, const Buffers& b, int64_t begin,
    int64_t end) {
  const Shape& s = g.shape;
  Pixels<S::outputs> out;
  for (int64_t t = begin; t < end; ++t) {
    const Tile tile(cut, part.first_tile + t);
    transform_tile<S>(s, cut, tile, g.x, g.style, b.zeros, [&](int64_t c) {
      return b.in + (c / lanes * cut.block + t) * lanes;
    });
    out.set(
        out, g.dy + tile.n * s.oh * s.ow * s.k, b.zeros, s.oh, s.ow, s.k, tile.y * S::outputs,
        tile.x * S::outputs);
    for (int64_t k = 0; k < part.ks; k += lanes) {
      out.at(out, part.first_k + k, s.k, [&](auto get) {
        for (int v = 0; v < lanes; v += width) {
          float* const to = b.out + (k / lanes * cut.block + t) * lanes + v;
          in_two_dimensions<S::outputs, S::points>(
              S::output_adjoint, [&](int i, int j) { return get(i, j, v); },
              [&](int i, int j, vec o) { store(to + (i * S::points + j) * cut.out_plane, o); });
        }
      });
    }
  }
}

// Multiply and add over tiles. Points that share a matrix of weights add to the same gradient.
template <class S>
void multiply_and_add(
    const WeightGradient&, const Cut& cut, const Part& part, const Buffers& b, int64_t begin,
    int64_t end) {
  constexpr int64_t bundle = 4;  // groups that share a point's `out` in L2
  const int64_t groups = cut.c / lanes;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t first = unit / (cut.weight_points * bundle) * bundle,
                  rest = unit - first * cut.weight_points;
    const int64_t bundled = std::min(bundle, groups - first);
    const int64_t matrix = rest / bundled, group = first + rest % bundled;
    bool add = part.first_tile > 0;
    for (int64_t point = 0; point < cut.points; ++point) {
      if (matrix_of<S>(point) != matrix) {
        continue;
      }
      for (int64_t t = 0; t < part.tiles; t += steps_at_once) {
        for (int64_t k = 0; k < part.ks / lanes; ++k) {
          const Product p{
              b.in + point * cut.in_plane + (group * cut.block + t) * lanes,
              1,
              lanes,
              b.out + point * cut.out_plane + (k * cut.block + t) * lanes,
              std::min(steps_at_once, part.tiles - t),
              b.weights + matrix * cut.weight_plane +
                  (group * (cut.chunk / lanes) + k) * lanes * lanes,
              lanes,
              add};
          product_of_rows(p, lanes);
        }
        add = true;
      }
    }
  }
}

template <class S>
void transform_gradient(
    const WeightGradient& g, const Cut& cut, const Part& part, const Buffers& b, int64_t begin,
    int64_t end) {
  const int64_t ks = part.ks / lanes;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t group = unit / ks, k0 = unit % ks * lanes;
    const float* const from = b.weights + (group * (cut.chunk / lanes) + unit % ks) * lanes * lanes;
    const int channels = valid_lanes(group * lanes, g.shape.c),
              valid = valid_lanes(part.first_k + k0, g.shape.k);
    for (int c = 0; c < channels; ++c) {
      alignas(64) float taps[9][lanes];
      for (int v = 0; v < lanes; v += width) {
        in_two_dimensions<S::weights, 3>(
            S::weight_adjoint,
            [&](int i, int j) {
              return load(from + (i * S::weights + j) * cut.weight_plane + c * lanes + v);
            },
            [&](int i, int j, vec d) { store(taps[3 * i + j] + v, d); });
      }
      for (int k = 0; k < valid; ++k) {
        float* const to = g.dw + ((part.first_k + k0 + k) * g.shape.c + group * lanes + c) * 9;
        for (int p = 0; p < 9; ++p) {
          to[p] = taps[p][k];
        }
      }
    }
  }
}

template <class S>
constexpr ForwardStages stages(ForwardStage edges) {
  return {transform_weights<S>, transform_in<S>, multiply<S>, transform_out<S>, edges};
}

template <class S>
constexpr GradientStages gradient_stages() {
  return {transform_both<S>, multiply_and_add<S>, transform_gradient<S>};
}

}  // namespace

extern const Kernels winograd_kernels{
    stages<Convolution>(nullptr),   stages<Upsampling>(last_row_and_column),
    stages<Downsampling>(nullptr),  add_sums,
    gradient_stages<Convolution>(), gradient_stages<Downsampling>()};

}  // namespace fg::FG_CPU_LEVEL
