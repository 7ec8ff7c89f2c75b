// Translation of an activation's name and settings to the fields that kernels read.
#pragma once

#include <limits>
#include <utility>

#include "activation.h"
#include "stable.h"
#include "with_dtype.h"

namespace fg {

// Round the clamp as results are rounded: a clamped result then compares equal to it.
inline double rounded(double clamp, DType dtype) {
  return with_dtype(
      dtype, [&](auto t) { return static_cast<double>(static_cast<decltype(t)>(clamp)); });
}

struct ActivationOptions {
  const std::string& act;
  double alpha, gain;
  std::optional<double> clamp;
};

// Set act, alpha, gain and clamp of an op's arguments; their dtype must be set already.
template <class Arguments>
void set_activation(Arguments& a, const ActivationOptions& o) {
  a.gain = o.gain;
  a.clamp = rounded(o.clamp.value_or(std::numeric_limits<double>::quiet_NaN()), a.dtype);
  a.alpha = o.alpha;
  static constexpr std::pair<const char*, Act> curved[] = {
      {"tanh", Act::tanh}, {"sigmoid", Act::sigmoid},   {"elu", Act::elu},
      {"selu", Act::selu}, {"softplus", Act::softplus}, {"swish", Act::swish}};
  for (const auto& [name, act] : curved) {
    if (o.act == name) {
      a.act = act;
      return;
    }
  }
  a.act = Act::piecewise;
  if (o.act == "linear") {
    a.alpha = 1;
  } else if (o.act == "relu") {
    a.alpha = 0;
  } else {
    STD_TORCH_CHECK(o.act == "lrelu", "act must be the name of an activation, got ", o.act);
  }
}

}  // namespace fg
