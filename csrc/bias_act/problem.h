// One run of bias_act or of a derivative, in plain types: set by the glue, read by every kernel.
#pragma once

#include <cstdint>

#include "../common/activation.h"
#include "../common/problem.h"

namespace fg::bias_act {

using Layout = ChannelLayout;

// Passes and their tensors:
//
// - forward: out = y, from x and b.
// - backward: out = dx, from dy and either y, or x and b. db is a sum of dx.
// - double_backward: out = ddy, from ddx, ddb and either y, or x and b. Curved activations also
//   have out_v = dx, from these and dy. db is a sum of out_v.
struct Arguments {
  Pass pass;
  DType dtype;
  Act act;
  double alpha, gain, clamp;  // clamp: NaN for none, and rounded to dtype
  Layout layout;
  // Null if absent. Tensors share the layout; b and ddb have one element per channel.
  const void *x = nullptr, *b = nullptr, *y = nullptr, *dy = nullptr, *ddx = nullptr,
             *ddb = nullptr;
  void *out = nullptr, *out_v = nullptr;
  void* db = nullptr;         // of dtype; null unless it is needed
  void* workspace = nullptr;  // partial sums of db; null without it
  bool streaming = false;     // CPU: the results are too large for the cache
};

std::int64_t workspace(const Arguments& a);
void run(const Arguments& a);
int run(const Arguments& a, void* stream);

}  // namespace fg::bias_act
