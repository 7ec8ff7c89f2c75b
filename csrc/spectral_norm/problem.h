// One run of spectral_norm or of a derivative over all layers of a network, in plain types.
#pragma once

#include <cstdint>

#include "../common/problem.h"

namespace fg::spectral_norm {

// Memory of a weight is [outer][rows][run]. Rows are its outputs; a row of the matrix W has
// outer·run columns. `outer` is 1 if outputs are the first dimension, so it is larger only for
// transposed convolutions.
struct Layer {
  std::int64_t outer, rows, run;
  std::int64_t vectors_at;  // index in `vectors` of its u, which its v follows
  // Tensors of dtype: the arguments u and v of forward, the gradient G and the direction H of
  // derivatives. out_weight is null if not needed.
  const void *weight = nullptr, *u = nullptr, *v = nullptr, *grad = nullptr, *direction = nullptr;
  void *out = nullptr, *out_weight = nullptr;

  std::int64_t columns() const { return outer * run; }
  std::int64_t numel() const { return rows * columns(); }
};

// The passes, with p = <G, W>, q = <H, G> and h = uᵀHv:
//
// - forward: u = Wv / max(|Wv|, eps), v = Wᵀu / max(|Wᵀu|, eps), n times. Then sigma = uᵀWv and
//   out = W/sigma.
// - backward: out = dW = G/sigma + (dsigma - p/sigma²)·u vᵀ
// - double_backward: out = dG = H/sigma - h/sigma²·W, out_weight = dW = -h/sigma²·G,
//   ddsigma = h, dsigma = 2hp/sigma³ - q/sigma²
struct Arguments {
  Pass pass;
  DType dtype;
  std::int64_t n_power_iterations;
  double eps;
  const Layer* layers;
  std::int64_t count;
  // Rows of the accumulation type, all but vectors with `count` elements. Forward writes vectors
  // and sigmas, derivatives read them.
  void *vectors = nullptr, *sigmas = nullptr;
  const void* dsigmas = nullptr;                         // backward; null for zeros
  void *out_ddsigmas = nullptr, *out_dsigmas = nullptr;  // double_backward
  void* workspace = nullptr;  // elements of the accumulation type, as many as the device needs
};

std::int64_t workspace(const Arguments& a);
void run(const Arguments& a);
int run(const Arguments& a, void* stream);

}  // namespace fg::spectral_norm
