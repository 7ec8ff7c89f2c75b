// Compiled once per instruction set, named by FG_CPU_LEVEL. Rows are read in blocks that stay in
// L1. Products of rows with a vector read four rows at a time.
#include "cpu_kernel.h"

#include <cmath>
#include <type_traits>

namespace fg::FG_CPU_LEVEL {
namespace {

using namespace fg::spectral_norm;

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif

constexpr int together = 4;  // rows

template <class R>
struct Lanes {
  static constexpr int count = vector_bytes / sizeof(R);
  typedef R Vector __attribute__((vector_size(vector_bytes), aligned(sizeof(R)), may_alias));

  FG_LOCAL Vector load(const R* p) { return *reinterpret_cast<const Vector*>(p); }
};

// Add the product of w[k] and v, of n elements, to totals[k]. It adds in lanes, which hide the
// latency of additions; totals of several blocks are added up in double.
template <int Rows, class R>
FG_LOCAL void add_products(const R* const (&w)[Rows], const R* v, int n, double (&totals)[Rows]) {
  using L = Lanes<R>;
  constexpr int C = L::count;
  typename L::Vector even[Rows] = {}, odd[Rows] = {};
  int i = 0;
  for (; i + 2 * C <= n; i += 2 * C) {
    const auto v0 = L::load(v + i), v1 = L::load(v + i + C);
    for (int k = 0; k < Rows; ++k) {
      even[k] += L::load(w[k] + i) * v0;
      odd[k] += L::load(w[k] + i + C) * v1;
    }
  }
  for (int k = 0; k < Rows; ++k) {
    const auto lanes = even[k] + odd[k];
    R sum = 0;
    for (int j = 0; j < C; ++j) {
      sum += lanes[j];
    }
    for (int j = i; j < n; ++j) {
      sum += w[k][j] * v[j];
    }
    totals[k] += static_cast<double>(sum);
  }
}

template <class R>
FG_LOCAL double product(const R* a, const R* b, int n) {
  const R* const rows[1] = {a};
  double total[1] = {};
  add_products(rows, b, n, total);
  return total[0];
}

// Call f(first element of row `row`, column, n) for every block of the row. The block of row + k is
// k·run further.
template <class F>
FG_LOCAL void for_each_block_of_row(const Layer& l, std::int64_t row, F&& f) {
  for (std::int64_t a = 0; a < l.outer; ++a) {
    for_each_block(l.run, [&](std::int64_t at, int n) {
      f((a * l.rows + row) * l.run + at, a * l.run + at, n);
    });
  }
}

// Call f(row, number of rows as a constant) for the rows of a unit, `together` at a time if there
// are as many.
template <class F>
FG_LOCAL void for_each_rows(const Unit& unit, F&& f) {
  const std::int64_t end = unit.first_row + unit.rows;
  std::int64_t row = unit.first_row;
  for (; row + together <= end; row += together) {
    f(row, std::integral_constant<int, together>{});
  }
  for (; row < end; ++row) {
    f(row, std::integral_constant<int, 1>{});
  }
}

template <class R>
R* u_of(const Arguments& a, const Layer& l) {
  return as<R>(a.vectors) + l.vectors_at;
}

template <class R>
R* v_of(const Arguments& a, const Layer& l) {
  return u_of<R>(a, l) + l.rows;
}

// Set totals to the products of v with Rows rows of the matrix at `from`, starting at `row`.
template <int Rows, class R>
FG_LOCAL void times_v(
    const Arguments& a, const Layer& l, const void* from, std::int64_t row,
    R (&buffers)[together][block_size], double (&totals)[Rows]) {
  const R* const v = v_of<R>(a, l);
  std::fill_n(totals, Rows, 0.0);
  for_each_block_of_row(l, row, [&](std::int64_t first, std::int64_t column, int n) {
    const R* w[Rows];
    for (int k = 0; k < Rows; ++k) {
      w[k] = load(a.dtype, from, first + k * l.run, buffers[k], n);
    }
    add_products<Rows>(w, v + column, n, totals);
  });
}

template <int Rows, class R>
FG_LOCAL void sweep_rows(
    const Arguments& a, const Layer& l, std::int64_t row, R* partial,
    R (&buffers)[together][block_size]) {
  double y[Rows];
  times_v(a, l, l.weight, row, buffers, y);
  R factors[Rows];
  for (int k = 0; k < Rows; ++k) {
    factors[k] = u_of<R>(a, l)[row + k] = static_cast<R>(y[k]);
  }
  for_each_block_of_row(l, row, [&](std::int64_t first, std::int64_t column, int n) {
    const R* w[Rows];
    for (int k = 0; k < Rows; ++k) {
      w[k] = load(a.dtype, l.weight, first + k * l.run, buffers[k], n);
    }
    R* const to = partial + column;
    FG_NO_ALIAS
    for (int i = 0; i < n; ++i) {
      R sum = to[i];
      for (int k = 0; k < Rows; ++k) {
        sum += factors[k] * w[k][i];
      }
      to[i] = sum;
    }
  });
}

template <class R>
void sweep(const Arguments& a, const Unit& unit) {
  const Layer& l = *unit.layer;
  alignas(64) R buffers[together][block_size];
  R* const partial = as<R>(a.workspace) + unit.partial_at;
  std::fill_n(partial, l.columns(), R(0));
  for_each_rows(unit, [&](std::int64_t row, auto rows) {
    sweep_rows<decltype(rows)::value>(a, l, row, partial, buffers);
  });
}

// Divide x by max(norm, eps), where `squares` is the square of its norm. Return the divisor.
template <class R>
FG_LOCAL double normalise(R* x, std::int64_t n, double squares, double eps) {
  const double least = std::max(std::sqrt(squares), eps);
  for (std::int64_t i = 0; i < n; ++i) {
    x[i] = static_cast<R>(static_cast<double>(x[i]) / least);
  }
  return least;
}

template <class R>
FG_LOCAL double squares_of(const R* x, std::int64_t n) {
  double total = 0;
  for_each_block(n, [&](std::int64_t at, int m) { total += product(x + at, x + at, m); });
  return total;
}

template <class R>
void finish(
    const Arguments& a, const Layer& l, const Unit* units, std::int64_t count, void* sigma) {
  const double norm = normalise(u_of<R>(a, l), l.rows, squares_of(u_of<R>(a, l), l.rows), a.eps);
  R* const v = v_of<R>(a, l);
  const R* const partial = as<R>(a.workspace);
  for_each_block(l.columns(), [&](std::int64_t column, int n) {
    double totals[block_size] = {};
    for (std::int64_t k = 0; k < count; ++k) {
      const R* const from = partial + units[k].partial_at + column;
      for (int i = 0; i < n; ++i) {
        totals[i] += static_cast<double>(from[i]);
      }
    }
    for (int i = 0; i < n; ++i) {
      v[column + i] = static_cast<R>(totals[i] / norm);
    }
  });
  const double squares = squares_of(v, l.columns());
  // v = Wᵀu / max(|Wᵀu|, eps), so uᵀWv = |Wᵀu|² / max(|Wᵀu|, eps).
  *static_cast<R*>(sigma) = static_cast<R>(squares / normalise(v, l.columns(), squares, a.eps));
}

// Return uᵀMv over the rows of a unit.
template <class R>
double bilinear(const Arguments& a, const Unit& unit, const void* matrix) {
  const Layer& l = *unit.layer;
  const R* const u = u_of<R>(a, l);
  alignas(64) R buffers[together][block_size];
  double total = 0;
  for_each_rows(unit, [&](std::int64_t row, auto rows) {
    double y[decltype(rows)::value];
    times_v(a, l, matrix, row, buffers, y);
    for (int k = 0; k < rows; ++k) {
      total += static_cast<double>(u[row + k]) * y[k];
    }
  });
  return total;
}

template <class R>
void project(const Arguments& a, const Unit& unit, Sums& s) {
  s.h = bilinear<R>(a, unit, unit.layer->weight);
}

// Call f(first element, row, column, n) for every block of a unit.
template <class F>
FG_LOCAL void for_each_block_of(const Unit& unit, F&& f) {
  for (std::int64_t row = unit.first_row; row < unit.first_row + unit.rows; ++row) {
    for_each_block_of_row(*unit.layer, row, [&](std::int64_t first, std::int64_t column, int n) {
      f(first, row, column, n);
    });
  }
}

template <class R>
void scale(const Arguments& a, const Unit& unit, double sigma_, bool streaming) {
  const Layer& l = *unit.layer;
  const R sigma = static_cast<R>(sigma_);
  alignas(64) R in[block_size], result[block_size];
  for_each_block_of(unit, [&](std::int64_t first, std::int64_t, std::int64_t, int n) {
    const R* const w = load(a.dtype, l.weight, first, in, n);
    R* const to = target(a.dtype, l.out, first, result, streaming);
    FG_NO_ALIAS
    for (int i = 0; i < n; ++i) {
      to[i] = w[i] / sigma;
    }
    store(a.dtype, l.out, first, to, n, streaming);
  });
}

template <class R>
void sums(const Arguments& a, const Unit& unit, Sums& s) {
  const Layer& l = *unit.layer;
  alignas(64) R in[3][block_size];
  for_each_block_of(unit, [&](std::int64_t first, std::int64_t, std::int64_t, int n) {
    const R* const g = load(a.dtype, l.grad, first, in[0], n);
    s.p += product(g, load(a.dtype, l.weight, first, in[1], n), n);
    if (l.direction) {
      s.q += product(g, load(a.dtype, l.direction, first, in[2], n), n);
    }
  });
  if (l.direction) {
    s.h = bilinear<R>(a, unit, l.direction);
  }
}

// `along` is dsigma - p/sigma² in the first derivative and -h/sigma² in the second.
template <class R>
void combine(const Arguments& a, const Unit& unit, double sigma_, double along_, bool streaming) {
  const Layer& l = *unit.layer;
  const R sigma = static_cast<R>(sigma_), along = static_cast<R>(along_);
  const R *const u = u_of<R>(a, l), *const v = v_of<R>(a, l);
  alignas(64) R in[3][block_size], results[2][block_size];
  for_each_block_of(unit, [&](std::int64_t first, std::int64_t row, std::int64_t column, int n) {
    R* const out = target(a.dtype, l.out, first, results[0], streaming);
    if (a.pass == Pass::backward) {
      const R* const g = load(a.dtype, l.grad, first, in[0], n);
      const R* const beside = v + column;
      const R factor = along * u[row];
      FG_NO_ALIAS
      for (int i = 0; i < n; ++i) {
        out[i] = g[i] / sigma + factor * beside[i];
      }
    } else {
      const R* const w = load(a.dtype, l.weight, first, in[1], n);
      const R* const d = load(a.dtype, l.direction, first, in[2], n);
      FG_NO_ALIAS
      for (int i = 0; i < n; ++i) {
        out[i] = d[i] / sigma + along * w[i];
      }
      if (l.out_weight) {
        const R* const g = load(a.dtype, l.grad, first, in[0], n);
        R* const out_weight = target(a.dtype, l.out_weight, first, results[1], streaming);
        FG_NO_ALIAS
        for (int i = 0; i < n; ++i) {
          out_weight[i] = along * g[i];
        }
        store(a.dtype, l.out_weight, first, out_weight, n, streaming);
      }
    }
    store(a.dtype, l.out, first, out, n, streaming);
  });
}

template <class R>
void widen(const Arguments& a, const void* from, void* to, std::int64_t n) {
  load_into(as<R>(to), a.dtype, from, 0, n);
}

}  // namespace

extern const Kernels spectral_norm_kernels = {
    by_dtype<sweep<float>, sweep<double>>,     by_dtype<finish<float>, finish<double>>,
    by_dtype<project<float>, project<double>>, by_dtype<scale<float>, scale<double>>,
    by_dtype<sums<float>, sums<double>>,       by_dtype<combine<float>, combine<double>>,
    by_dtype<widen<float>, widen<double>>};

}  // namespace fg::FG_CPU_LEVEL
