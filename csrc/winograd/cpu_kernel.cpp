// Compiled once per instruction set, named by FG_CPU_LEVEL.
//
// Transformed values have the memory order in which products read them, in groups of 16 channels:
//
// - weights [point][k / 16][c][16]
// - in [point][c / 16][tile][16]
// - out [point][tile][k]
//
// Products for the gradient of the weights sum over tiles:
//
// - in [point][c / 16][tile][16]
// - out [point][k / 16][tile][16]
// - weights [point][c / 16][k / 16][16][16]
#include "cpu_kernel.h"

#include "forward.h"
#include "gradient.h"
#include "layout.h"

namespace fg::FG_CPU_LEVEL {
namespace {

template <class S>
constexpr ForwardKernels forward_kernels{transform_shared<S>, run_unit<S>, add_sums};

}  // namespace

extern const Kernels winograd_kernels{
    {most_rows, unit_tiles},
    forward_kernels<Convolution>,
    forward_kernels<Upsampling>,
    forward_kernels<Downsampling>,
    run_gradient<Convolution>,
    run_gradient<Downsampling>,
    convert_layout};

}  // namespace fg::FG_CPU_LEVEL
