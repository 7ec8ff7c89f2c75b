// Unordered accesses of two threads to one place, at least one of them a write.
#include "case.h"

namespace fg::seeded {
namespace {

template <bool correct>
__global__ void reverse(float* y) {
  FG_SHARED(float, tile, [64]);
  tile[threadIdx.x] = static_cast<float>(threadIdx.x);
  if (correct) {
    __syncthreads();
  }
  y[threadIdx.x] = tile[63 - threadIdx.x];  // DEFECT missing_barrier
}

template <bool correct>
bool check_reverse() {
  std::vector<float> y(64);
  run(reverse<correct>, 1, 64, 0, y.data());
  return holds(y, [](int i) { return 63 - i; });
}
FG_DEFECT(missing_barrier) { return check_reverse<false>(); }
FG_CORRECT(barrier_before_read) { return check_reverse<true>(); }

// A loop without its second barrier: a fast thread writes the next round's value before a slow one
// has read this round's.
template <bool correct>
__global__ void rotate(float* y, int rounds) {
  FG_SHARED(float, tile, [64]);
  float value = static_cast<float>(threadIdx.x);
  for (int round = 0; round < rounds; ++round) {
    tile[threadIdx.x] = value;  // DEFECT missing_second_barrier
    __syncthreads();
    value = tile[(threadIdx.x + 1) % 64];
    if (correct) {
      __syncthreads();
    }
  }
  y[threadIdx.x] = value;
}

template <bool correct>
bool check_rotate() {
  std::vector<float> y(64);
  run(rotate<correct>, 1, 64, 0, y.data(), 3);
  return holds(y, [](int i) { return (i + 3) % 64; });
}
FG_DEFECT(missing_second_barrier) { return check_rotate<false>(); }
FG_CORRECT(second_barrier) { return check_rotate<true>(); }

template <bool correct>
__global__ void reverse_warp(float* y) {
  FG_SHARED(float, tile, [32]);
  tile[threadIdx.x] = static_cast<float>(threadIdx.x);
  if (correct) {
    __syncwarp();
  }
  y[threadIdx.x] = tile[31 - threadIdx.x];  // DEFECT missing_warp_sync
}

template <bool correct>
bool check_reverse_warp() {
  std::vector<float> y(32);
  run(reverse_warp<correct>, 1, 32, 0, y.data());
  return holds(y, [](int i) { return 31 - i; });
}
FG_DEFECT(missing_warp_sync) { return check_reverse_warp<false>(); }
FG_CORRECT(warp_sync) { return check_reverse_warp<true>(); }

template <bool correct>
__global__ void sum(const float* x, float* total) {
  const float value = x[blockIdx.x * blockDim.x + threadIdx.x];
  if (correct) {
    atomicAdd(total, value);
  } else {
    *total += value;  // DEFECT non_atomic_sum
  }
}

template <bool correct>
bool check_sum() {
  const std::vector<float> x(128, 1.0f);
  std::vector<float> total(1);
  run(sum<correct>, 2, 64, 0, x.data(), total.data());
  return holds(total, [](int) { return 128; });
}
FG_DEFECT(non_atomic_sum) { return check_sum<false>(); }
FG_CORRECT(atomic_sum) { return check_sum<true>(); }

template <bool correct>
__global__ void one_flag_per_block(float* y) {
  y[correct ? blockIdx.x : 0] = 1.0f;  // DEFECT race_across_blocks
}

template <bool correct>
bool check_one_flag_per_block() {
  std::vector<float> y(correct ? 3 : 1);
  run(one_flag_per_block<correct>, 3, 1, 0, y.data());
  return holds(y, [](int) { return 1; });
}
FG_DEFECT(race_across_blocks) { return check_one_flag_per_block<false>(); }
FG_CORRECT(own_place_per_block) { return check_one_flag_per_block<true>(); }

// The last block adds up the results of all. It needs a fence before the counter and after it.
template <bool correct>
__global__ void sum_by_last_block(
    const float* x, float* partial, float* total, unsigned* finished) {
  partial[blockIdx.x] = 2.0f * x[blockIdx.x];
  if (correct) {
    __threadfence();
  }
  const bool is_last = atomicAdd(finished, 1u) == gridDim.x - 1;
  if (!is_last) {
    return;
  }
  if (correct) {
    __threadfence();
  }
  float value = 0.0f;
  for (unsigned i = 0; i < gridDim.x; ++i) {
    value += partial[i];  // DEFECT missing_fence
  }
  *total = value;
}

template <bool correct>
bool check_sum_by_last_block() {
  const std::vector<float> x(8, 1.0f);
  std::vector<float> partial(8);
  std::vector<float> total(1);
  unsigned finished = 0;
  run(sum_by_last_block<correct>, 8, 1, 0, x.data(), partial.data(), total.data(), &finished);
  return holds(total, [](int) { return 16; });
}
FG_DEFECT(missing_fence) { return check_sum_by_last_block<false>(); }
FG_CORRECT(fence) { return check_sum_by_last_block<true>(); }

}  // namespace
}  // namespace fg::seeded
