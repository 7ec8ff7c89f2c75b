// One run of spectral_norm or of a derivative over all layers of a network, in plain types.
#pragma once

#include <cstdint>

#include "../common/dtype.h"

namespace fg::spectral_norm {

// A weight in memory is [outer][rows][run]: rows are its outputs, and a row of the matrix W has outer·run columns. `outer` is
// 1 where the outputs are the first dimension, as they are but for transposed convolutions.
struct Layer {
  std::int64_t outer, rows, run;
  std::int64_t vectors_at;  // where in `vectors` its u is, and its v behind that
  // Of dtype. u and v: as given, forward. grad: G; direction: H. out_weight: null if not wanted.
  const void *weight = nullptr, *u = nullptr, *v = nullptr, *grad = nullptr, *direction = nullptr;
  void *out = nullptr, *out_weight = nullptr;

  std::int64_t columns() const { return outer * run; }
  std::int64_t numel() const { return rows * columns(); }
};

// With p = <G, W>, q = <H, G> and h = uᵀHv:
//
//   forward           n times u = Wv / max(|Wv|, eps), v = Wᵀu / max(|Wᵀu|, eps); sigma = uᵀWv; out = W/sigma
//   backward          out = dW = G/sigma + (dsigma - p/sigma²)·u vᵀ
//   double_backward   out = dG = H/sigma - h/sigma²·W     out_weight = dW = -h/sigma²·G
//                     ddsigma = h                         dsigma = 2hp/sigma³ - q/sigma²
enum class Pass { forward, backward, double_backward };

struct Arguments {
  Pass pass;
  DType dtype;
  std::int64_t n_power_iterations;
  double eps;
  const Layer* layers;
  std::int64_t count;
  // All of the accumulation type. Forward writes vectors and sigmas, derivatives read them; [count] but for vectors.
  void *vectors = nullptr, *sigmas = nullptr;
  const void* dsigmas = nullptr;                         // backward; null for zeros
  void *out_ddsigmas = nullptr, *out_dsigmas = nullptr;  // double_backward
  void* workspace = nullptr;  // as many elements of the accumulation type as the device asked for
};

}  // namespace fg::spectral_norm
