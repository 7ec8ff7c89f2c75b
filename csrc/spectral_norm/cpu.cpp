#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <vector>

#include "cpu_kernel.h"

namespace fg::spectral_norm {
namespace {

// Layers that go through each step together, so that the next step still has them in the cache.
struct Group {
  static constexpr std::int64_t bytes = std::int64_t{8} << 20;

  std::int64_t first_layer = 0, layers = 0;
  std::vector<Unit> units;
  std::vector<std::int64_t> starts;  // index of each layer's first unit, and the number of units
  std::int64_t workspace = 0;
};

std::vector<Group> groups_of(const Arguments& a) {
  std::vector<Group> groups;
  std::int64_t left = 0;
  for (std::int64_t i = 0; i < a.count; ++i) {
    const Layer& l = a.layers[i];
    const std::int64_t size = l.numel() * bytes_of(a.dtype);
    if (groups.empty() || size > left) {
      groups.emplace_back().first_layer = i;
      left = Group::bytes;
    }
    left -= size;
    Group& g = groups.back();
    ++g.layers;
    g.starts.push_back(static_cast<std::int64_t>(g.units.size()));
    const std::int64_t rows =
        std::max<std::int64_t>(1, Unit::elements / std::max<std::int64_t>(1, l.columns()));
    for (std::int64_t row = 0; row < l.rows; row += rows) {
      g.units.push_back({&l, row, std::min(rows, l.rows - row), g.workspace});
      g.workspace += a.pass == Pass::forward ? l.columns() : 0;
    }
  }
  for (Group& g : groups) {
    g.starts.push_back(static_cast<std::int64_t>(g.units.size()));
  }
  return groups;
}

template <class F>
void in_parallel(std::int64_t count, F&& f) {
  torch::stable::parallel_for(0, count, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      f(i);
    }
  });
}

// A row of the accumulation type.
class Row {
 public:
  Row(const Arguments& a, void* p) : is_double_(a.dtype == DType::f64), p_(static_cast<char*>(p)) {}
  Row(const Arguments& a, const void* p) : Row(a, const_cast<void*>(p)) {}

  explicit operator bool() const { return p_ != nullptr; }
  void* at(std::int64_t i) const { return p_ + i * (is_double_ ? sizeof(double) : sizeof(float)); }
  double get(std::int64_t i) const {
    return is_double_ ? *static_cast<double*>(at(i)) : *static_cast<float*>(at(i));
  }
  void set(std::int64_t i, double value) const {
    if (is_double_) {
      *static_cast<double*>(at(i)) = value;
    } else {
      *static_cast<float*>(at(i)) = static_cast<float>(value);
    }
  }

 private:
  bool is_double_;
  char* p_;
};

// Return the sums of each layer of a group, adding its units' terms in order.
template <class F>
std::vector<Sums> add_up(const Group& g, F&& of_unit) {
  std::vector<Sums> parts(g.units.size()), totals(g.layers);
  in_parallel(static_cast<std::int64_t>(parts.size()), [&](std::int64_t i) {
    of_unit(g.units[i], parts[i]);
  });
  for (std::int64_t layer = 0; layer < g.layers; ++layer) {
    for (std::int64_t i = g.starts[layer]; i < g.starts[layer + 1]; ++i) {
      totals[layer].p += parts[i].p;
      totals[layer].q += parts[i].q;
      totals[layer].h += parts[i].h;
    }
  }
  return totals;
}

const Kernels& kernels() { return FG_SELECT_LEVEL(spectral_norm_kernels); }

void forward(const Arguments& a, const Group& g, bool streaming) {
  const Kernels& k = kernels();
  const Row vectors(a, a.vectors), sigmas(a, a.sigmas);
  const Layer* const layers = a.layers + g.first_layer;
  for (std::int64_t i = 0; i < g.layers; ++i) {
    const Layer& l = layers[i];
    k.widen(a, l.u, vectors.at(l.vectors_at), l.rows);
    k.widen(a, l.v, vectors.at(l.vectors_at + l.rows), l.columns());
  }
  const auto count = static_cast<std::int64_t>(g.units.size());
  for (std::int64_t iteration = 0; iteration < a.n_power_iterations; ++iteration) {
    in_parallel(count, [&](std::int64_t i) { k.sweep(a, g.units[i]); });
    in_parallel(g.layers, [&](std::int64_t i) {
      k.finish(
          a, layers[i], g.units.data() + g.starts[i], g.starts[i + 1] - g.starts[i],
          sigmas.at(g.first_layer + i));
    });
  }
  if (a.n_power_iterations == 0) {
    const std::vector<Sums> totals =
        add_up(g, [&](const Unit& unit, Sums& s) { k.project(a, unit, s); });
    for (std::int64_t i = 0; i < g.layers; ++i) {
      sigmas.set(g.first_layer + i, totals[i].h);
    }
  }
  in_parallel(count, [&](std::int64_t i) {
    k.scale(a, g.units[i], sigmas.get(g.units[i].layer - a.layers), streaming);
  });
}

void derivative(const Arguments& a, const Group& g, bool streaming) {
  const Kernels& k = kernels();
  const Row sigmas(a, a.sigmas), dsigmas(a, a.dsigmas);
  const std::vector<Sums> totals =
      add_up(g, [&](const Unit& unit, Sums& s) { k.sums(a, unit, s); });
  std::vector<double> along(g.layers);
  for (std::int64_t i = 0; i < g.layers; ++i) {
    const std::int64_t layer = g.first_layer + i;
    const Sums& s = totals[i];
    const double sigma = sigmas.get(layer), square = sigma * sigma;
    if (a.pass == Pass::backward) {
      along[i] = (dsigmas ? dsigmas.get(layer) : 0) - s.p / square;
    } else {
      along[i] = -s.h / square;
      Row(a, a.out_ddsigmas).set(layer, s.h);
      Row(a, a.out_dsigmas).set(layer, (2 * s.h * s.p / sigma - s.q) / square);
    }
  }
  in_parallel(static_cast<std::int64_t>(g.units.size()), [&](std::int64_t i) {
    const Unit& unit = g.units[i];
    const std::int64_t layer = unit.layer - a.layers;
    k.combine(a, unit, sigmas.get(layer), along[layer - g.first_layer], streaming);
  });
}
}  // namespace

std::int64_t workspace(const Arguments& a) {
  std::int64_t most = 0;
  for (const Group& g : groups_of(a)) {
    most = std::max(most, g.workspace);
  }
  return most;
}

void run(const Arguments& a) {
  std::int64_t elements = 0;
  for (std::int64_t i = 0; i < a.count; ++i) {
    elements += a.layers[i].numel();
  }
  // All results of a network count together.
  const bool streaming = is_worth_streaming(a.dtype, elements);
  for (const Group& g : groups_of(a)) {
    (a.pass == Pass::forward ? forward : derivative)(a, g, streaming);
  }
}

}  // namespace fg::spectral_norm
