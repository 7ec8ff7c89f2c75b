// Shuffles whose mask isn't the set of participating lanes.
#include "case.h"

namespace fg::seeded {
namespace {

__global__ void swap_pairs_of_half(float* y, unsigned mask) {
  float value = static_cast<float>(threadIdx.x);
  if (threadIdx.x < 16) {
    value = __shfl_xor_sync(mask, value, 1);  // DEFECT mask_of_absent_lanes, caller_outside_mask
  }
  y[threadIdx.x] = value;
}

bool check_swap_pairs_of_half(unsigned mask) {
  std::vector<float> y(32);
  run(swap_pairs_of_half, 1, 32, 0, y.data(), mask);
  return holds(y, [](int i) { return i < 16 ? i ^ 1 : i; });
}
FG_DEFECT(mask_of_absent_lanes) { return check_swap_pairs_of_half(0xffffffffu); }
FG_DEFECT(caller_outside_mask) { return check_swap_pairs_of_half(0x00ff0000u); }
FG_CORRECT(mask_of_branch) { return check_swap_pairs_of_half(0x0000ffffu); }

__global__ void swap_lanes(float* y, unsigned mask, int bits) {
  const float value = static_cast<float>(threadIdx.x);
  y[threadIdx.x] =
      __shfl_xor_sync(mask, value, bits);  // DEFECT mask_beyond_block, read_outside_mask
}

bool check_swap_lanes(unsigned mask, int bits) {
  std::vector<float> y(16);
  run(swap_lanes, 1, 16, 0, y.data(), mask, bits);
  return holds(y, [&](int i) { return i ^ bits; });
}
FG_DEFECT(mask_beyond_block) { return check_swap_lanes(0xffffffffu, 1); }
FG_DEFECT(read_outside_mask) { return check_swap_lanes(0x0000ffffu, 16); }
FG_CORRECT(mask_of_block) { return check_swap_lanes(0x0000ffffu, 8); }

// Each half of the warp shuffles under its own mask, which is right. It is wrong if one lane has a
// different mask.
__global__ void sum_halves(float* y, unsigned odd_mask) {
  const unsigned half = threadIdx.x < 16 ? 0x0000ffffu : 0xffff0000u;
  const unsigned mask = threadIdx.x == 5 ? odd_mask : half;
  float value = static_cast<float>(threadIdx.x);
  for (int bits = 8; bits > 0; bits /= 2) {
    value += __shfl_xor_sync(mask, value, bits);  // DEFECT disagreeing_masks
  }
  y[threadIdx.x] = value;
}

bool check_sum_halves(unsigned odd_mask) {
  std::vector<float> y(32);
  run(sum_halves, 1, 32, 0, y.data(), odd_mask);
  return holds(y, [](int i) { return i < 16 ? 120 : 376; });
}
FG_DEFECT(disagreeing_masks) { return check_sum_halves(0x0000003fu); }
FG_CORRECT(mask_per_half) { return check_sum_halves(0x0000ffffu); }

__global__ void lanes_in_different_operations(float* y) {
  const unsigned mask = 0xffffffffu;
  if (threadIdx.x % 2 == 0) {
    y[threadIdx.x] = __shfl_xor_sync(mask, 1.0f, 1);  // DEFECT different_operations
  } else {
    y[threadIdx.x] = static_cast<float>(__ballot_sync(mask, 1));
  }
}
FG_DEFECT(different_operations) {
  std::vector<float> y(32);
  run(lanes_in_different_operations, 1, 32, 0, y.data());
  return false;
}

}  // namespace
}  // namespace fg::seeded
