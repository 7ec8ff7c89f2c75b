#include "../common/glue.h"

#include "problem.h"

namespace fg::spectral_norm {
namespace {

using Tensors = std::vector<Tensor>;
using Dims = std::vector<std::int64_t>;

// All weights of a run in the kernels' form.
class Network {
 public:
  Network(const Tensors& weights, const Dims& dims, Pass pass) : first_(weights.at(0)) {
    arguments.pass = pass;
    arguments.dtype = dtype_of(first_, "spectral_norm");
    check(dims.size() == weights.size(), "dims");
    layers_.resize(weights.size());
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const Tensor& w = weights[i];
      check(
          w.scalar_type() == first_.scalar_type() && dims[i] >= 0 && dims[i] < w.dim(),
          "weights or dims");
      Layer& l = layers_[i];
      l.outer = l.run = 1;
      l.rows = w.size(dims[i]);
      for (std::int64_t d = 0; d < w.dim(); ++d) {
        (d < dims[i] ? l.outer : l.run) *= d == dims[i] ? 1 : w.size(d);
      }
      l.run = l.rows ? l.run : 0;  // v of an empty weight is empty
      l.vectors_at = vectors_size;
      vectors_size += l.rows + l.columns();
    }
    arguments.layers = layers_.data();
    arguments.count = static_cast<std::int64_t>(layers_.size());
    read_matrices(weights, "weights", &Layer::weight);
  }

  static void check(bool fits, const char* name) {
    STD_TORCH_CHECK(
        fits, name, " of spectral_norm must fit the other arguments in length, shape and dtype");
  }

  // Set a pointer of each layer to the data of its tensor, which must have `size(layer)` elements.
  template <class Size>
  void read(const Tensors& tensors, const char* name, const void* Layer::* member, Size size) {
    check(tensors.size() == layers_.size(), name);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const Tensor& t = tensors[i];
      check(t.scalar_type() == first_.scalar_type() && t.numel() == size(layers_[i]), name);
      layers_[i].*member = in_.contiguous(t);
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
      results.push_back(empty(weights[i], weights[i].sizes()));
      layers_[i].*member = results.back().mutable_data_ptr();
    }
    return results;
  }

  Tensor row(std::int64_t size) const { return empty(first_, {size}, sum_type(first_)); }

  // Return the data of a row that forward returned.
  const void* given_row(const Tensor& t, std::int64_t size, const char* name) {
    check(t.scalar_type() == sum_type(first_) && t.numel() == size, name);
    return in_.contiguous(t);
  }

  void read_constants(const Tensor& sigmas, const Tensor& vectors) {
    arguments.sigmas = const_cast<void*>(given_row(sigmas, arguments.count, "sigmas"));
    arguments.vectors = const_cast<void*>(given_row(vectors, vectors_size, "vectors"));
  }

  void launch() { launch_with_workspace(arguments, first_, "spectral_norm"); }

  Arguments arguments{};
  std::int64_t vectors_size = 0;

 private:
  Tensor first_;
  std::vector<Layer> layers_;
  Inputs in_;
};

std::tuple<Tensors, Tensor, Tensor> spectral_norm(
    const Tensors& weights, const Tensors& us, const Tensors& vs, const Dims& dims,
    std::int64_t n_power_iterations, double eps) {
  Network net(weights, dims, Pass::forward);
  net.read(us, "us", &Layer::u, [](const Layer& l) { return l.rows; });
  net.read(vs, "vs", &Layer::v, [](const Layer& l) { return l.columns(); });
  Tensors normalised = net.write(weights, &Layer::out);
  Arguments& a = net.arguments;
  Tensor sigmas = net.row(a.count), vectors = net.row(net.vectors_size);
  a.n_power_iterations = n_power_iterations;
  a.eps = eps;
  a.sigmas = sigmas.mutable_data_ptr();
  a.vectors = vectors.mutable_data_ptr();
  net.launch();
  return {normalised, sigmas, vectors};
}

Tensors spectral_norm_backward(
    const Tensors& grads, const OptionalTensor& dsigmas, const Tensors& weights,
    const Tensor& sigmas, const Tensor& vectors, const Dims& dims) {
  Network net(weights, dims, Pass::backward);
  net.read_matrices(grads, "grads", &Layer::grad);
  Tensors results = net.write(weights, &Layer::out);
  Arguments& a = net.arguments;
  net.read_constants(sigmas, vectors);
  a.dsigmas = dsigmas ? net.given_row(*dsigmas, a.count, "dsigmas") : nullptr;
  net.launch();
  return results;
}

std::tuple<Tensors, Tensor, Tensors, Tensor> spectral_norm_double_backward(
    const Tensors& ddweights, const Tensors& grads, const Tensors& weights, const Tensor& sigmas,
    const Tensor& vectors, const Dims& dims, bool need_dweights) {
  Network net(weights, dims, Pass::double_backward);
  net.read_matrices(grads, "grads", &Layer::grad);
  net.read_matrices(ddweights, "ddweights", &Layer::direction);
  Tensors dgrads = net.write(weights, &Layer::out), dweights;
  if (need_dweights) {
    dweights = net.write(weights, &Layer::out_weight);
  }
  Arguments& a = net.arguments;
  Tensor ddsigmas = net.row(a.count), dsigmas = net.row(a.count);
  net.read_constants(sigmas, vectors);
  a.out_ddsigmas = ddsigmas.mutable_data_ptr();
  a.out_dsigmas = dsigmas.mutable_data_ptr();
  net.launch();
  return {dgrads, ddsigmas, dweights, dsigmas};
}

FG_REGISTER_WITH_DERIVATIVES(spectral_norm)

}  // namespace
}  // namespace fg::spectral_norm
