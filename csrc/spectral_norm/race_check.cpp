// Checks of every kernel of spectral_norm over layers of several blocks, for races under
// ThreadSanitizer and against the definition.

#include "emulation/race_check.h"
#include "problem.h"

namespace fg::spectral_norm {
namespace {

using namespace emulation;

struct Data {
  Floats w, g, d, u, v, out, out_weight;

  Data(const Layer& l, int seed)
      : w(pattern(l.numel(), seed)), g(pattern(l.numel(), seed + 3)),
        d(pattern(l.numel(), seed + 5)), u(pattern(l.rows, seed + 1)),
        v(pattern(l.columns(), seed + 2)), out(w.size()), out_weight(w.size()) {}
};

struct Problem {
  std::vector<Layer> layers;
  std::vector<Data> data;
  Floats vectors, sigmas, dsigmas, ddsigmas;

  explicit Problem(std::vector<Layer> layers_) : layers(std::move(layers_)) {
    std::int64_t size = 0;
    for (Layer& l : layers) {
      l.vectors_at = size;
      size += l.rows + l.columns();
      data.emplace_back(l, static_cast<int>(data.size()));
    }
    for (std::size_t i = 0; i < layers.size(); ++i) {
      Layer& l = layers[i];
      Data& of = data[i];
      l.weight = of.w.data();
      l.u = of.u.data();
      l.v = of.v.data();
      l.grad = of.g.data();
      l.direction = of.d.data();
      l.out = of.out.data();
      l.out_weight = of.out_weight.data();
    }
    vectors.resize(size);
    sigmas.resize(layers.size());
    dsigmas.resize(layers.size());
    ddsigmas.resize(layers.size());
  }

  void run(Pass pass, std::int64_t n_power_iterations) {
    Arguments a{};
    a.pass = pass;
    a.n_power_iterations = n_power_iterations;
    a.eps = 1e-12;
    a.layers = layers.data();
    a.count = static_cast<std::int64_t>(layers.size());
    a.vectors = vectors.data();
    a.sigmas = sigmas.data();
    a.out_ddsigmas = ddsigmas.data();
    a.out_dsigmas = dsigmas.data();
    run_kernels(a);
  }
};

// Call f(element, row, column) for each element.
template <class F>
void for_each(const Layer& l, F&& f) {
  for (std::int64_t i = 0; i < l.numel(); ++i) {
    f(i, i / l.run % l.rows, i / (l.run * l.rows) * l.run + i % l.run);
  }
}

void check(std::vector<Layer> layers) {
  Problem p(std::move(layers));
  for (const int n : {0, 2}) {
    p.run(Pass::forward, n);
    for (std::size_t k = 0; k < p.layers.size(); ++k) {
      const Layer& l = p.layers[k];
      const Data& of = p.data[k];
      std::vector<double> u(of.u.begin(), of.u.end()), v(of.v.begin(), of.v.end());
      const auto times = [&](std::vector<double>& to, const std::vector<double>& from, bool rows) {
        std::fill(to.begin(), to.end(), 0.0);
        for_each(l, [&](std::int64_t i, std::int64_t r, std::int64_t c) {
          to[rows ? r : c] += static_cast<double>(of.w[i]) * from[rows ? c : r];
        });
        double squares = 0;
        for (double x : to) {
          squares += x * x;
        }
        for (double& x : to) {
          x /= std::sqrt(squares);
        }
      };
      for (int i = 0; i < n; ++i) {
        times(u, v, true);
        times(v, u, false);
      }
      double sigma = 0, size = 0;
      for_each(l, [&](std::int64_t i, std::int64_t r, std::int64_t c) {
        sigma += u[r] * static_cast<double>(of.w[i]) * v[c];
        size += std::abs(u[r] * static_cast<double>(of.w[i]) * v[c]);
      });
      require_close(p.sigmas[k], sigma, size);
      for (std::int64_t i = 0; i < l.numel(); ++i) {
        require_close(of.out[i] * sigma, static_cast<double>(of.w[i]), size / std::abs(sigma));
      }
    }
  }
  p.run(Pass::backward, 0);
  for (std::size_t k = 0; k < p.layers.size(); ++k) {
    const Layer& l = p.layers[k];
    const Data& of = p.data[k];
    const float *u = p.vectors.data() + l.vectors_at, *v = u + l.rows;
    const double sigma = p.sigmas[k];
    double inner = 0;
    for (std::int64_t i = 0; i < l.numel(); ++i) {
      inner += static_cast<double>(of.g[i]) * static_cast<double>(of.w[i]);
    }
    for_each(l, [&](std::int64_t i, std::int64_t r, std::int64_t c) {
      const double wanted = of.g[i] / sigma - inner / (sigma * sigma) * static_cast<double>(u[r]) *
                                                  static_cast<double>(v[c]);
      require_close(of.out[i], wanted, 1);
    });
  }
  p.run(Pass::double_backward, 0);
  for (std::size_t k = 0; k < p.layers.size(); ++k) {
    const Layer& l = p.layers[k];
    const Data& of = p.data[k];
    const float *u = p.vectors.data() + l.vectors_at, *v = u + l.rows;
    const double sigma = p.sigmas[k];
    double h = 0, inner = 0, along = 0, size = 1;
    for_each(l, [&](std::int64_t i, std::int64_t r, std::int64_t c) {
      h += static_cast<double>(u[r]) * static_cast<double>(of.d[i]) * static_cast<double>(v[c]);
      inner += static_cast<double>(of.g[i]) * static_cast<double>(of.w[i]);
      along += static_cast<double>(of.g[i]) * static_cast<double>(of.d[i]);
      size += std::abs(static_cast<double>(of.g[i]));
    });
    const double bend = h / (sigma * sigma);
    require_close(p.ddsigmas[k], h, size);
    require_close(p.dsigmas[k], 2 * bend * inner / sigma - along / (sigma * sigma), size);
    for (std::int64_t i = 0; i < l.numel(); ++i) {
      require_close(of.out[i], of.d[i] / sigma - bend * static_cast<double>(of.w[i]), 10);
      require_close(of.out_weight[i], -bend * static_cast<double>(of.g[i]), 10);
    }
  }
}

}  // namespace

FG_RACE_CHECK(spectral_norm_of_layers_alike) {
  // Two chunks of rows by two tiles of columns, with accesses of 16 bytes.
  check({{1, 70, 132, 0}, {1, 5, 8, 0}});
}

FG_RACE_CHECK(spectral_norm_of_odd_layers) {
  check({{1, 3, 27, 0}, {1, 1, 1100, 0}, {5, 6, 16, 0}, {7, 3, 1, 0}});
}

FG_RACE_CHECK(spectral_norm_of_a_large_layer) {
  check({{1, 80, 130, 0}});  // two tiles of elements
}

}  // namespace fg::spectral_norm
