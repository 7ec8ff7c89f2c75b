// The three registered ops in terms of tensors, for any `Device` that runs the kernels:
//
//   struct Device {
//     // Makes the tensor's device current.
//     explicit Device(const Tensor&);
//     // Returns the size of a run's workspace in elements of the accumulation type.
//     std::int64_t workspace(const Arguments&) const;
//     void run(const Arguments&) const;
//   };
#pragma once

#include <vector>

#include "../common/stable.h"
#include "problem.h"

namespace fg::spectral_norm {

using Tensors = std::vector<Tensor>;
using Dims = std::vector<std::int64_t>;

inline ScalarType sum_type(DType dtype) {
  return dtype == DType::f64 ? ScalarType::Double : ScalarType::Float;
}

// All weights of a run in the kernels' form.
class Network {
 public:
  Network(const Tensors& weights, const Dims& dims)
      : first_(weights.at(0)), dtype_(dtype_of(first_, "spectral_norm")) {
    check(dims.size() == weights.size(), "dims");
    layers.resize(weights.size());
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const Tensor& w = weights[i];
      check(
          w.scalar_type() == first_.scalar_type() && dims[i] >= 0 && dims[i] < w.dim(),
          "weights or dims");
      Layer& l = layers[i];
      l.outer = l.run = 1;
      l.rows = w.size(dims[i]);
      for (std::int64_t d = 0; d < w.dim(); ++d) {
        (d < dims[i] ? l.outer : l.run) *= d == dims[i] ? 1 : w.size(d);
      }
      l.run = l.rows ? l.run : 0;  // v of an empty weight is empty
      l.vectors_at = vectors_size;
      vectors_size += l.rows + l.columns();
    }
  }

  static void check(bool fits, const char* name) {
    STD_TORCH_CHECK(
        fits, name, " of spectral_norm must fit the other arguments in length, shape and dtype");
  }

  // Set a pointer of each layer to the data of its tensor, which must have `sizes(layer)` elements.
  // The data is contiguous and lives as long as this object.
  template <class Sizes>
  void read(const Tensors& tensors, const char* name, const void* Layer::* member, Sizes sizes) {
    check(tensors.size() == layers.size(), name);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const Tensor& t = tensors[i];
      check(t.scalar_type() == first_.scalar_type() && t.numel() == sizes(layers[i]), name);
      kept_.push_back(torch::stable::contiguous(t));
      layers[i].*member = kept_.back().const_data_ptr();
    }
  }

  void read_matrices(const Tensors& tensors, const char* name, const void* Layer::* member) {
    read(tensors, name, member, [](const Layer& l) { return l.numel(); });
  }

  // Return new tensors of the weights' shapes.
  Tensors write(const Tensors& weights, void* Layer::* member) {
    Tensors results;
    results.reserve(weights.size());
    for (std::size_t i = 0; i < weights.size(); ++i) {
      results.push_back(torch::stable::new_empty(weights[i], weights[i].sizes()));
      layers[i].*member = results.back().mutable_data_ptr();
    }
    return results;
  }

  Tensor row(std::int64_t size) const {
    return torch::stable::new_empty(first_, {size}, sum_type(dtype_));
  }

  // Return the data of a row that forward returned.
  const void* given_row(const Tensor& t, std::int64_t size, const char* name) {
    check(t.scalar_type() == sum_type(dtype_) && t.numel() == size, name);
    kept_.push_back(torch::stable::contiguous(t));
    return kept_.back().const_data_ptr();
  }

  std::int64_t count() const { return static_cast<std::int64_t>(layers.size()); }

  Arguments arguments(Pass pass) const {
    Arguments a{};
    a.pass = pass;
    a.dtype = dtype_;
    a.layers = layers.data();
    a.count = count();
    return a;
  }

  void set_constants(Arguments& a, const Tensor& sigmas, const Tensor& vectors) {
    a.sigmas = const_cast<void*>(given_row(sigmas, count(), "sigmas"));
    a.vectors = const_cast<void*>(given_row(vectors, vectors_size, "vectors"));
  }

  template <class Device>
  void run(Arguments& a) const {
    const Device device(first_);
    Tensor workspace = row(device.workspace(a));
    a.workspace = workspace.mutable_data_ptr();
    device.run(a);
  }

  std::vector<Layer> layers;
  std::int64_t vectors_size = 0;

 private:
  Tensor first_;
  DType dtype_;
  Tensors kept_;
};

template <class Device>
std::tuple<Tensors, Tensor, Tensor> spectral_norm(
    const Tensors& weights, const Tensors& us, const Tensors& vs, const Dims& dims,
    std::int64_t n_power_iterations, double eps) {
  Network net(weights, dims);
  net.read_matrices(weights, "weights", &Layer::weight);
  net.read(us, "us", &Layer::u, [](const Layer& l) { return l.rows; });
  net.read(vs, "vs", &Layer::v, [](const Layer& l) { return l.columns(); });
  Tensors normalised = net.write(weights, &Layer::out);
  Tensor sigmas = net.row(net.count()), vectors = net.row(net.vectors_size);
  Arguments a = net.arguments(Pass::forward);
  a.n_power_iterations = n_power_iterations;
  a.eps = eps;
  a.sigmas = sigmas.mutable_data_ptr();
  a.vectors = vectors.mutable_data_ptr();
  net.run<Device>(a);
  return {normalised, sigmas, vectors};
}

template <class Device>
Tensors spectral_norm_backward(
    const Tensors& grads, const OptionalTensor& dsigmas, const Tensors& weights,
    const Tensor& sigmas, const Tensor& vectors, const Dims& dims) {
  Network net(weights, dims);
  net.read_matrices(weights, "weights", &Layer::weight);
  net.read_matrices(grads, "grads", &Layer::grad);
  Tensors results = net.write(weights, &Layer::out);
  Arguments a = net.arguments(Pass::backward);
  net.set_constants(a, sigmas, vectors);
  a.dsigmas = dsigmas ? net.given_row(*dsigmas, net.count(), "dsigmas") : nullptr;
  net.run<Device>(a);
  return results;
}

template <class Device>
std::tuple<Tensors, Tensor, Tensors, Tensor> spectral_norm_double_backward(
    const Tensors& ddweights, const Tensors& grads, const Tensors& weights, const Tensor& sigmas,
    const Tensor& vectors, const Dims& dims, bool need_dweights) {
  Network net(weights, dims);
  net.read_matrices(weights, "weights", &Layer::weight);
  net.read_matrices(grads, "grads", &Layer::grad);
  net.read_matrices(ddweights, "ddweights", &Layer::direction);
  Tensors dgrads = net.write(weights, &Layer::out), dweights;
  if (need_dweights) {
    dweights = net.write(weights, &Layer::out_weight);
  }
  Tensor ddsigmas = net.row(net.count()), dsigmas = net.row(net.count());
  Arguments a = net.arguments(Pass::double_backward);
  net.set_constants(a, sigmas, vectors);
  a.out_ddsigmas = ddsigmas.mutable_data_ptr();
  a.out_dsigmas = dsigmas.mutable_data_ptr();
  net.run<Device>(a);
  return {dgrads, ddsigmas, dweights, dsigmas};
}

}  // namespace fg::spectral_norm

// Register the ops in a namespace for a dispatch key.
#define FG_REGISTER_SPECTRAL_NORM(NAMESPACE, KEY, DEVICE)                                         \
  STABLE_TORCH_LIBRARY_IMPL(NAMESPACE, KEY, m) {                                                  \
    m.impl("spectral_norm", TORCH_BOX(&fg::spectral_norm::spectral_norm<DEVICE>));                \
    m.impl(                                                                                       \
        "spectral_norm_backward", TORCH_BOX(&fg::spectral_norm::spectral_norm_backward<DEVICE>)); \
    m.impl(                                                                                       \
        "spectral_norm_double_backward",                                                          \
        TORCH_BOX(&fg::spectral_norm::spectral_norm_double_backward<DEVICE>));                    \
  }
