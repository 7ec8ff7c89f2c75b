// The three registered ops in terms of tensors, for any `Device` that runs the kernels:
//
//   struct Device {
//     // Makes the tensor's device current.
//     explicit Device(const Tensor&);
//     // Returns the number of partial sums of a run.
//     std::int64_t partials(const Arguments&) const;
//     void run(const Arguments&) const;
//     // Adds the partial sums up, in a fixed order.
//     void reduce(const Arguments&, void* db) const;
//   };
#pragma once

#include "../common/activation_options.h"
#include "../common/stable.h"
#include "problem.h"

namespace fg::bias_act {

// Arguments of the op besides tensors.
struct Options {
  std::int64_t dim;
  ActivationOptions activation;
};

// Return an op's arguments. `like` is dense and has the memory order of the results.
inline Arguments arguments(Pass pass, const Tensor& like, const Options& o) {
  Arguments a{};
  a.pass = pass;
  a.dtype = dtype_of(like, "bias_act");
  set_activation(a, o.activation);
  const std::int64_t channels = like.size(o.dim), inner = channels > 1 ? like.stride(o.dim) : 1;
  a.layout = {like.numel() / (channels * inner), channels, inner};
  return a;
}

inline void check(
    const Tensor& main, const Options& o, std::initializer_list<const OptionalTensor*> same,
    std::initializer_list<const OptionalTensor*> biases) {
  STD_TORCH_CHECK(
      o.dim >= 0 && o.dim < main.dim(), "dim must be from 0 to ", main.dim() - 1, ", got ", o.dim);
  for (const OptionalTensor* t : same) {
    if (*t) {
      bool fits = (*t)->scalar_type() == main.scalar_type() && (*t)->dim() == main.dim();
      for (std::int64_t d = 0; fits && d < main.dim(); ++d) {
        fits = (*t)->size(d) == main.size(d);
      }
      STD_TORCH_CHECK(
          fits, "the tensors of a derivative of bias_act must have one shape and dtype");
    }
  }
  for (const OptionalTensor* b : biases) {
    if (*b) {
      STD_TORCH_CHECK(
          (*b)->scalar_type() == main.scalar_type() && (*b)->dim() == 1 &&
              (*b)->size(0) == main.size(o.dim),
          "a bias must have the dtype of the other tensors and shape [", main.size(o.dim), "]");
    }
  }
}

// Run, and return the gradient of the bias: an empty tensor unless it is needed.
template <class Device>
Tensor run_and_sum(const Device& device, Arguments& a, const Tensor& like, bool need_db) {
  if (!need_db) {
    device.run(a);
    return torch::stable::new_empty(like, {0});
  }
  Tensor db = torch::stable::new_empty(like, {a.layout.channels});
  const auto sum_type = a.dtype == DType::f64 ? ScalarType::Double : ScalarType::Float;
  Tensor partial = torch::stable::new_empty(like, {device.partials(a)}, sum_type);
  a.partial = partial.mutable_data_ptr();
  device.run(a);
  device.reduce(a, db.mutable_data_ptr());
  return db;
}

inline Tensor db_of_nothing(const Tensor& like, std::int64_t dim, bool need_db) {
  return need_db ? torch::stable::new_zeros(like, {like.size(dim)})
                 : torch::stable::new_empty(like, {0});
}

template <class Device>
Tensor bias_act(
    const Tensor& x_, const OptionalTensor& b_, std::int64_t dim, const std::string& act,
    double alpha, double gain, std::optional<double> clamp) {
  const Options o{dim, {act, alpha, gain, clamp}};
  check(x_, o, {}, {&b_});
  Tensor y = result_like(x_);
  if (x_.numel() == 0) {
    return y;
  }
  const Device device(x_);
  const Tensor x = in_order_of(x_, y);
  const OptionalTensor b = contiguous(b_);
  Arguments a = arguments(Pass::forward, y, o);
  a.x = x.const_data_ptr();
  a.b = data_or_null(b);
  a.out = y.mutable_data_ptr();
  device.run(a);
  return y;
}

template <class Device>
std::tuple<Tensor, Tensor> bias_act_backward(
    const Tensor& dy_, const OptionalTensor& x_, const OptionalTensor& b_, const OptionalTensor& y_,
    std::int64_t dim, const std::string& act, double alpha, double gain,
    std::optional<double> clamp, bool need_db) {
  const Options o{dim, {act, alpha, gain, clamp}};
  check(dy_, o, {&x_, &y_}, {&b_});
  Tensor dx = result_like(dy_);
  if (dy_.numel() == 0) {
    return {dx, db_of_nothing(dy_, dim, need_db)};
  }
  const Device device(dy_);
  const Tensor dy = in_order_of(dy_, dx);
  const OptionalTensor x = in_order_of(x_, dx), y = in_order_of(y_, dx), b = contiguous(b_);
  Arguments a = arguments(Pass::backward, dx, o);
  a.dy = dy.const_data_ptr();
  a.x = data_or_null(x);
  a.b = data_or_null(b);
  a.y = data_or_null(y);
  a.out = dx.mutable_data_ptr();
  Tensor db = run_and_sum(device, a, dy, need_db);
  return {dx, db};
}

template <class Device>
std::tuple<Tensor, Tensor, Tensor> bias_act_double_backward(
    const Tensor& ddx_, const OptionalTensor& ddb_, const OptionalTensor& dy_,
    const OptionalTensor& x_, const OptionalTensor& b_, const OptionalTensor& y_, std::int64_t dim,
    const std::string& act, double alpha, double gain, std::optional<double> clamp, bool need_db) {
  const Options o{dim, {act, alpha, gain, clamp}};
  check(ddx_, o, {&dy_, &x_, &y_}, {&b_, &ddb_});
  const bool curved = dy_.has_value();
  STD_TORCH_CHECK(
      curved || !need_db,
      "need_db must be false without dy: the second derivative in x is zero then");
  Tensor ddy = result_like(ddx_);
  Tensor dx = curved ? result_like(ddx_) : torch::stable::new_empty(ddx_, {0});
  if (ddx_.numel() == 0) {
    return {ddy, dx, db_of_nothing(ddx_, dim, need_db)};
  }
  const Device device(ddx_);
  const Tensor ddx = in_order_of(ddx_, ddy);
  const OptionalTensor dy = in_order_of(dy_, ddy), x = in_order_of(x_, ddy),
                       y = in_order_of(y_, ddy);
  const OptionalTensor b = contiguous(b_), ddb = contiguous(ddb_);
  Arguments a = arguments(Pass::double_backward, ddy, o);
  a.ddx = ddx.const_data_ptr();
  a.ddb = data_or_null(ddb);
  a.dy = data_or_null(dy);
  a.x = data_or_null(x);
  a.b = data_or_null(b);
  a.y = data_or_null(y);
  a.out = ddy.mutable_data_ptr();
  a.out_v = curved ? dx.mutable_data_ptr() : nullptr;
  Tensor db = run_and_sum(device, a, ddx, need_db);
  return {ddy, dx, db};
}

}  // namespace fg::bias_act

// Register the ops in a namespace for a dispatch key.
#define FG_REGISTER_BIAS_ACT(NAMESPACE, KEY, DEVICE)                                             \
  STABLE_TORCH_LIBRARY_IMPL(NAMESPACE, KEY, m) {                                                 \
    m.impl("bias_act", TORCH_BOX(&fg::bias_act::bias_act<DEVICE>));                              \
    m.impl("bias_act_backward", TORCH_BOX(&fg::bias_act::bias_act_backward<DEVICE>));            \
    m.impl(                                                                                      \
        "bias_act_double_backward", TORCH_BOX(&fg::bias_act::bias_act_double_backward<DEVICE>)); \
  }
