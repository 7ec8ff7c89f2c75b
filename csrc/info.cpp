// Versions that the native libraries were built with. It needs neither torch nor the libraries.
#include <pybind11/pybind11.h>

PYBIND11_MODULE(_info, m) {
  m.attr("torch_version") = FG_TORCH_VERSION;
  m.attr("compiler") = FG_COMPILER;
  m.attr("has_cuda") = static_cast<bool>(FG_HAVE_CUDA);
  m.attr("cuda_version") = FG_CUDA_VERSION;
  m.attr("cuda_architectures") = FG_CUDA_ARCHITECTURES;
}
