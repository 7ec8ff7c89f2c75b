// The forward convolution: units that multiply transformed tiles by transformed weights.
#pragma once

#include "edges.h"
#include "products.h"
#include "transforms.h"
#include "weights.h"

namespace fg::FG_CPU_LEVEL {
namespace {

// Multiply tiles by groups of output channels. The products of `cs` input channels are the first,
// or are added to `out`. The operand of the next point is fetched meanwhile.
template <class S>
void multiply(
    const Cut& cut, int64_t tiles, int64_t groups, int64_t cs, const float* in,
    const float* weights, float* out, bool add) {
  const auto matrix = [&](int64_t point) {
    return weights + matrix_of<S>(point) * cut.weight_plane;
  };
  for (int64_t point = 0; point < cut.points; ++point) {
    const float* const a = in + point * cut.in_plane;
    Product p{
        a,
        cut.in_group,
        matrix(point),
        cut.weight_group,
        cs,
        out + point * cut.out_plane,
        std::min(cut.bundle, cut.unit_k),
        lanes,
        add};
    if (cut.by_tiles) {
      const float* const next =
          point + 1 < cut.points ? matrix(point + 1) : matrix(0) + groups * cut.weight_group;
      p.fetch = {next, next + cut.weight_group};
    } else {
      for (int i = 0; i < 4; ++i) {
        p.fetch[i] = a + cut.in_plane + i * cs * lanes;
      }
    }
    product_of<Rows::tiles>(p, tiles, groups);
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

// Transform the results of tiles and of `ks` channels, and store them after the epilogue.
template <class S>
void transform_out(
    const Forward& f, const Cut& cut, const Pass& pass, int64_t first_tile, int64_t tiles,
    int64_t first_k, int64_t ks, const float* out, float* sums) {
  constexpr int size = S::outputs;
  const Shape& s = f.shape;
  const Epilogue& e = f.epilogue;
  const Act_ act = act_for(e);
  const int64_t out_row = std::min(cut.bundle, cut.unit_k);
  for (int64_t t = 0; t < tiles; ++t) {
    const Tile tile(cut, first_tile + t);
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
    for (int64_t k = 0; k < ks; k += lanes) {
      const int64_t channel = first_k + k;
      const int valid = valid_lanes(channel, s.k);
      alignas(64) float z[size * size][lanes], scale[lanes], bias[lanes];
      for (int v = 0; v < lanes; v += width) {
        const float* const from = out + t * out_row + k + v;
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
        copy_lanes(
            sums + (first_tile - pass.first_tile + t) * cut.pass_k + channel - pass.first_k, total,
            lanes);
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

// Transform the operand that units share: a group of weights, or some tiles.
template <class S>
void transform_shared(
    const Forward& f, const Cut& cut, const Pass& pass, const Buffers& b, int64_t unit) {
  if (cut.by_tiles) {
    transform_weights<S>(
        f, cut, pass.first_k + unit * lanes, 1, 0, cut.c, b.shared + unit * cut.weight_group);
  } else {
    const int64_t t = unit * cut.first_tiles;
    transform_tiles<S>(
        f.shape, cut, f.x, f.style, b.zeros, pass.first_tile + t,
        std::min(cut.first_tiles, pass.tiles - t), 0, cut.c, b.shared + t * lanes, cut.in_plane,
        cut.in_group);
  }
}

// Run a unit of some tiles by all channels of a pass.
template <class S>
void run_tiles(const Forward& f, const Cut& cut, const Pass& pass, const Buffers& b, int64_t unit) {
  const int64_t first = unit * cut.unit_tiles;
  const int64_t tiles = std::min(cut.unit_tiles, pass.tiles - first);
  float *const in = b.scratch, *const outs = in + cut.in_elements();
  for (int64_t c = 0; c < cut.c; c += cut.unit_c) {
    const int64_t cs = std::min(cut.unit_c, f.shape.c - c);
    transform_tiles<S>(
        f.shape, cut, f.x, f.style, b.zeros, pass.first_tile + first, tiles, c, cs, in,
        cut.in_plane, cut.in_group);
    for (int64_t k = 0; k < pass.ks; k += cut.bundle) {
      const int64_t ks = std::min(cut.bundle, pass.ks - k);
      float* const out = outs + (cut.bundles > 1 ? k / cut.bundle : 0) * cut.points * cut.out_plane;
      multiply<S>(
          cut, tiles, ks / lanes, cs, in, b.shared + k / lanes * cut.weight_group + c * lanes, out,
          c > 0);
      if (c + cut.unit_c >= cut.c) {
        transform_out<S>(
            f, cut, pass, pass.first_tile + first, tiles, pass.first_k + k, ks, out, b.sums);
      }
    }
  }
}

// Run a unit of some output channels by all tiles of a pass.
template <class S>
void run_channels(
    const Forward& f, const Cut& cut, const Pass& pass, const Buffers& b, int64_t unit) {
  const int64_t k = pass.first_k + unit * cut.unit_k;
  const int64_t ks = std::min(cut.unit_k, pass.first_k + pass.ks - k);
  float *const weights = b.scratch, *const out = weights + cut.weight_elements(),
               *const edges = out + cut.out_elements();
  for (int64_t c = 0; c < cut.c; c += cut.unit_c) {
    const int64_t cs = std::min(cut.unit_c, f.shape.c - c);
    transform_weights<S>(f, cut, k, ks / lanes, c, cs, weights);
    multiply<S>(
        cut, pass.tiles, ks / lanes, cs, b.shared + c / lanes * cut.in_group, weights, out, c > 0);
    if (S::edges > 0 && pass.first_tile == 0) {
      for (int64_t edge = 0; edge < f.shape.n * Edges(f.shape).blocks(); ++edge) {
        multiply_edge(f, cut, edge, ks / lanes, c, cs, weights, b.zeros, edges + edge * edge_size);
      }
    }
  }
  transform_out<S>(f, cut, pass, pass.first_tile, pass.tiles, k, ks, out, b.sums);
  if (S::edges > 0 && pass.first_tile == 0) {
    for (int64_t edge = 0; edge < f.shape.n * Edges(f.shape).blocks(); ++edge) {
      store_edge(f, edge, k, ks, edges + edge * edge_size);
    }
  }
}

template <class S>
void run_unit(const Forward& f, const Cut& cut, const Pass& pass, const Buffers& b, int64_t unit) {
  if (!cut.by_tiles) {
    run_channels<S>(f, cut, pass, b, unit);
    return;
  }
  const int64_t edges = pass.first_tile == 0 ? cut.edge_units : 0;
  if (unit >= edges) {
    run_tiles<S>(f, cut, pass, b, unit - edges);
  } else if constexpr (S::edges > 0) {
    for (int64_t k = 0; k < pass.ks; k += cut.bundle) {
      const int64_t ks = std::min(cut.bundle, pass.ks - k);
      multiply_edge(
          f, cut, unit, ks / lanes, 0, f.shape.c, b.shared + k / lanes * cut.weight_group, b.zeros,
          b.scratch);
      store_edge(f, unit, pass.first_k + k, ks, b.scratch);
    }
  }
}

// Add the sums of tiles to the sums of their samples, tile after tile.
void add_sums(const Forward& f, const Cut& cut, const Pass& pass, const Buffers& b, int64_t group) {
  const int64_t k = group * lanes;
  const int valid = valid_lanes(pass.first_k + k, f.shape.k);
  for (int64_t t = 0; t < pass.tiles; ++t) {
    float* const to = f.sums + Tile(cut, pass.first_tile + t).n * f.shape.k + pass.first_k + k;
    for (int l = 0; l < valid; ++l) {
      to[l] += b.sums[t * cut.pass_k + k + l];
    }
  }
}

}  // namespace
}  // namespace fg::FG_CPU_LEVEL
