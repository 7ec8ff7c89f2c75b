// Threads of a block that don't meet in the same barrier.
#include "case.h"

namespace fg::seeded {
namespace {

template <bool correct>
__global__ void exchange_halves(float* y) {
  FG_SHARED(float, tile, [64]);
  const unsigned i = threadIdx.x;
  if (correct) {
    tile[i] = static_cast<float>(i);
    __syncthreads();
  } else if (i < 32) {
    tile[i] = static_cast<float>(i);
    __syncthreads();  // DEFECT divergent_barrier
  } else {
    tile[i] = static_cast<float>(i);
    __syncthreads();
  }
  y[i] = tile[63 - i];
}

template <bool correct>
bool check_exchange_halves() {
  std::vector<float> y(64);
  run(exchange_halves<correct>, 1, 64, 0, y.data());
  return holds(y, [](int i) { return 63 - i; });
}
FG_DEFECT(divergent_barrier) { return check_exchange_halves<false>(); }
FG_CORRECT(uniform_barrier) { return check_exchange_halves<true>(); }

template <bool correct>
__global__ void barrier_in_branch_kernel(float* y) {
  if (correct || threadIdx.x < 16) {
    __syncthreads();  // DEFECT barrier_in_branch
  }
  y[threadIdx.x] = 1.0f;
}

template <bool correct>
bool check_barrier_in_branch() {
  std::vector<float> y(32);
  run(barrier_in_branch_kernel<correct>, 1, 32, 0, y.data());
  return holds(y, [](int) { return 1; });
}
FG_DEFECT(barrier_in_branch) { return check_barrier_in_branch<false>(); }
FG_CORRECT(barrier_in_uniform_branch) { return check_barrier_in_branch<true>(); }

template <bool correct>
__global__ void reverse_tail(float* y, unsigned n) {
  FG_SHARED(float, tile, [64]);
  const unsigned i = threadIdx.x;
  if (!correct && i >= n) {
    return;
  }
  if (i < n) {
    tile[i] = static_cast<float>(i);
  }
  __syncthreads();  // DEFECT early_return
  if (i < n) {
    y[i] = tile[n - 1 - i];
  }
}

template <bool correct>
bool check_reverse_tail() {
  std::vector<float> y(40);
  run(reverse_tail<correct>, 1, 64, 0, y.data(), 40);
  return holds(y, [](int i) { return 39 - i; });
}
FG_DEFECT(early_return) { return check_reverse_tail<false>(); }
FG_CORRECT(late_return) { return check_reverse_tail<true>(); }

// Barriers in a loop whose number of rounds differs between threads.
template <bool correct>
__global__ void uneven_loop_kernel(float* y) {
  const unsigned rounds = correct ? 4 : 4 + threadIdx.x / 32;
  for (unsigned round = 0; round < rounds; ++round) {
    __syncthreads();  // DEFECT uneven_loop
  }
  y[threadIdx.x] = 1.0f;
}

template <bool correct>
bool check_uneven_loop() {
  std::vector<float> y(64);
  run(uneven_loop_kernel<correct>, 1, 64, 0, y.data());
  return holds(y, [](int) { return 1; });
}
FG_DEFECT(uneven_loop) { return check_uneven_loop<false>(); }
FG_CORRECT(even_loop) { return check_uneven_loop<true>(); }

}  // namespace
}  // namespace fg::seeded
