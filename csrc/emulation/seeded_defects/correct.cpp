// Correct kernels like those of ops, without planted defects: there must be no complaint.
#include <thread>

#include "case.h"

namespace fg::seeded {
namespace {

// Shuffles inside a warp, shared memory between warps, no atomics.
template <int threads>
__global__ void sum_rows(const float* x, float* y, int n) {
  FG_SHARED(float, sums, [threads / 32]);
  float value = 0.0f;
  for (int i = static_cast<int>(threadIdx.x); i < n; i += threads) {
    value += x[blockIdx.x * static_cast<unsigned>(n) + static_cast<unsigned>(i)];
  }
  for (unsigned delta = 16; delta > 0; delta /= 2) {
    value += __shfl_down_sync(0xffffffffu, value, delta);
  }
  if (threadIdx.x % 32 == 0) {
    sums[threadIdx.x / 32] = value;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int warp = 1; warp < threads / 32; ++warp) {
      value += sums[warp];
    }
    y[blockIdx.x] = value;
  }
}

FG_CORRECT(block_reduction) {
  std::vector<float> x(3 * 1001, 1.0f);
  std::vector<float> y(3);
  run(sum_rows<256>, 3, 256, 0, x.data(), y.data(), 1001);
  return holds(y, [](int) { return 1001; });
}

__global__ void histogram_kernel(const int* x, int* bins, int n) {
  FG_SHARED(int, local, [16]);
  if (threadIdx.x < 16) {
    local[threadIdx.x] = 0;
  }
  __syncthreads();
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) {
    atomicAdd(&local[x[i]], 1);
  }
  __syncthreads();
  if (threadIdx.x < 16) {
    atomicAdd(&bins[threadIdx.x], local[threadIdx.x]);
  }
}

FG_CORRECT(histogram) {
  std::vector<int> x(320);
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = static_cast<int>(i % 16);
  }
  std::vector<int> bins(16);
  run(histogram_kernel, 6, 64, 0, x.data(), bins.data(), 320);
  return holds(bins, [](int) { return 20; });
}

// Tiles in dynamic shared memory, a two-dimensional block and a three-dimensional grid.
__global__ void transpose_kernel(const float* x, float* y, int rows, int columns) {
  FG_DYN_SHARED(float, tile);
  const int pitch = static_cast<int>(blockDim.x) + 1;
  const int tx = static_cast<int>(threadIdx.x);
  const int ty = static_cast<int>(threadIdx.y);
  const int row = static_cast<int>(blockIdx.y * blockDim.y) + ty;
  const int column = static_cast<int>(blockIdx.x * blockDim.x) + tx;
  const int plane = static_cast<int>(blockIdx.z) * rows * columns;
  if (row < rows && column < columns) {
    tile[ty * pitch + tx] = x[plane + row * columns + column];
  }
  __syncthreads();
  const int row_out = static_cast<int>(blockIdx.x * blockDim.x) + ty;
  const int column_out = static_cast<int>(blockIdx.y * blockDim.y) + tx;
  if (row_out < columns && column_out < rows) {
    y[plane + row_out * rows + column_out] = tile[tx * pitch + ty];
  }
}

FG_CORRECT(dynamic_shared_transpose) {
  const int rows = 13;
  const int columns = 21;
  const std::vector<float> x = iota(2 * rows * columns);
  std::vector<float> y(x.size());
  run(transpose_kernel, dim3(3, 2, 2), dim3(8, 8), 8 * 9 * sizeof(float), x.data(), y.data(), rows,
      columns);
  return holds(y, [&](int i) {
    const int plane = i / (rows * columns);
    const int r = i % (rows * columns);
    return plane * rows * columns + (r % rows) * columns + r / rows;
  });
}

// 128-bit accesses in the middle, single elements at the end, half precision.
template <class T>
__global__ void scale_kernel(const T* x, T* y, int n) {
  constexpr int width = vec_width<T>;
  const int begin = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x) * width;
  if (begin + width <= n) {
    auto values = load_vec<width>(x + begin);
    for (int i = 0; i < width; ++i) {
      values[i] = from_accumulate<T>(2 * to_accumulate(values[i]));
    }
    store_vec(y + begin, values);
    return;
  }
  for (int i = begin; i < n; ++i) {
    y[i] = from_accumulate<T>(2 * to_accumulate(x[i]));
  }
}

template <class T>
bool check_scale() {
  std::vector<T> x(133, static_cast<T>(1.5f));
  std::vector<T> y(x.size());
  run(scale_kernel<T>, 3, 32, 0, x.data(), y.data(), 133);
  return holds(y, [](int) { return 3.0f; });
}
FG_CORRECT(vector_scale_half) { return check_scale<half_t>(); }
FG_CORRECT(vector_scale_bf16) { return check_scale<bf16_t>(); }
FG_CORRECT(vector_scale_double) { return check_scale<double>(); }

// Every kind of warp operation, with groups narrower than the warp.
__global__ void warp_operations_kernel(float* y) {
  const unsigned all = 0xffffffffu;
  const int lane = static_cast<int>(threadIdx.x);
  const bool is_ballot_right = __ballot_sync(all, lane % 2) == 0xaaaaaaaau;
  const bool are_votes_right = __any_sync(all, lane == 3) && !__all_sync(all, lane == 3);
  const bool is_index_right = __shfl_sync(all, lane, 2, 8) == lane / 8 * 8 + 2;
  const bool is_up_right = __shfl_up_sync(all, lane, 1, 16) == (lane % 16 == 0 ? lane : lane - 1);
  const bool is_down_right =
      __shfl_down_sync(all, lane, 1, 16) == (lane % 16 == 15 ? lane : lane + 1);
  const bool is_xor_right = __shfl_xor_sync(all, static_cast<double>(lane), 5) == (lane ^ 5);
  __syncwarp();
  y[lane] = is_ballot_right && are_votes_right && is_index_right && is_up_right && is_down_right &&
            is_xor_right;
}

FG_CORRECT(warp_operations) {
  std::vector<float> y(32);
  run(warp_operations_kernel, 1, 32, 0, y.data());
  return holds(y, [](int) { return 1; });
}

// A launch ends before the next one begins; no barrier is needed between them.
FG_CORRECT(launch_after_launch) {
  std::vector<float> x(256, 1.0f);
  std::vector<float> y(256);
  for (int i = 0; i < 4; ++i) {
    run(scale_kernel<float>, 2, 32, 0, x.data(), y.data(), 256);
    std::swap(x, y);
  }
  return holds(x, [](int) { return 16; });
}

FG_CORRECT(launches_from_two_threads) {
  bool is_first_right = false;
  bool is_second_right = false;
  std::thread first([&] { is_first_right = check_scale<float>(); });
  std::thread second([&] { is_second_right = check_scale<float>(); });
  first.join();
  second.join();
  return is_first_right && is_second_right;
}

// The emulator refuses the same launches as CUDA, with the same error.
__global__ void nothing() {}

FG_CORRECT(refused_launches) {
  const auto error_of = [](dim3 grid, dim3 block, std::size_t smem) {
    return fg_launch(nothing, grid, block, smem, nullptr);
  };
  return error_of(0, 32, 0) == cudaErrorInvalidConfiguration &&
         error_of(dim3(1, 1, 65536), 32, 0) == cudaErrorInvalidConfiguration &&
         error_of(1, 1025, 0) == cudaErrorInvalidConfiguration &&
         error_of(1, dim3(1, 1, 65), 0) == cudaErrorInvalidConfiguration &&
         error_of(1, 32, 48 * 1024 + 1) == cudaErrorInvalidValue &&
         error_of(1, 32, 48 * 1024) == cudaSuccess;
}

}  // namespace
}  // namespace fg::seeded
