// Invalid reads and writes: outside an array, unaligned, or before anything was written.
//
// Each kernel exists twice, `correct` or not. The two differ in the planted line alone.
#include "case.h"

namespace fg::seeded {
namespace {

template <bool correct>
__global__ void fill_ones(float* y, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (correct && i >= n) {
    return;
  }
  y[i] = 1.0f;  // DEFECT out_of_bounds_global_write
}

template <bool correct>
bool check_fill_ones() {
  std::vector<float> y(100);
  run(fill_ones<correct>, 2, 64, 0, y.data(), 100);
  return holds(y, [](int) { return 1; });
}
FG_DEFECT(out_of_bounds_global_write) { return check_fill_ones<false>(); }
FG_CORRECT(bounded_global_write) { return check_fill_ones<true>(); }

template <bool correct>
__global__ void next_element(const float* x, float* y, int n) {
  const int i = static_cast<int>(threadIdx.x);
  const int last = correct ? n - 1 : n;
  y[i] = x[i < last ? i + 1 : last];  // DEFECT out_of_bounds_global_read
}

template <bool correct>
bool check_next_element() {
  const std::vector<float> x = iota(64);
  std::vector<float> y(64);
  run(next_element<correct>, 1, 64, 0, x.data(), y.data(), 64);
  return holds(y, [](int i) { return i < 63 ? i + 1 : 63; });
}
FG_DEFECT(out_of_bounds_global_read) { return check_next_element<false>(); }
FG_CORRECT(bounded_global_read) { return check_next_element<true>(); }

// The access is through a pointer, which doesn't have the size of the array.
template <bool correct>
__global__ void shift_in_shared(float* y) {
  FG_SHARED(float, tile, [33]);
  float* const begin = tile + (correct ? 0 : 1);
  const unsigned i = threadIdx.x;
  begin[i + 1] = static_cast<float>(i);  // DEFECT out_of_bounds_shared_write
  __syncthreads();
  y[i] = begin[i + 1];
}

template <bool correct>
bool check_shift_in_shared() {
  std::vector<float> y(32);
  run(shift_in_shared<correct>, 1, 32, 0, y.data());
  return holds(y, [](int i) { return i; });
}
FG_DEFECT(out_of_bounds_shared_write) { return check_shift_in_shared<false>(); }
FG_CORRECT(bounded_shared_write) { return check_shift_in_shared<true>(); }

// The access is inside the array but outside its row, where no red zone guards the neighbour.
template <bool correct>
__global__ void rows_in_shared(float* y) {
  FG_SHARED(float, tile, [4][8]);
  const unsigned row = threadIdx.x / 8;
  const unsigned column = threadIdx.x % 8 + (correct ? 0 : threadIdx.x == 7);
  tile[row][column] = static_cast<float>(threadIdx.x);  // DEFECT out_of_bounds_shared_index
  __syncthreads();
  y[threadIdx.x] = tile[row][threadIdx.x % 8];
}

template <bool correct>
bool check_rows_in_shared() {
  std::vector<float> y(32);
  run(rows_in_shared<correct>, 1, 32, 0, y.data());
  return holds(y, [](int i) { return i; });
}
FG_DEFECT(out_of_bounds_shared_index) { return check_rows_in_shared<false>(); }
FG_CORRECT(bounded_shared_index) { return check_rows_in_shared<true>(); }

__global__ void reverse_in_dynamic(float* y, int n) {
  FG_DYN_SHARED(float, buffer);
  const int i = static_cast<int>(threadIdx.x);
  buffer[i] = static_cast<float>(i);  // DEFECT out_of_bounds_dynamic_shared
  __syncthreads();
  y[i] = buffer[n - 1 - i];
}

bool check_reverse_in_dynamic(std::size_t elements) {
  std::vector<float> y(64);
  run(reverse_in_dynamic, 1, 64, elements * sizeof(float), y.data(), 64);
  return holds(y, [](int i) { return 63 - i; });
}
FG_DEFECT(out_of_bounds_dynamic_shared) { return check_reverse_in_dynamic(60); }
FG_CORRECT(bounded_dynamic_shared) { return check_reverse_in_dynamic(64); }

__global__ void copy_by_cast(const float* x, float* y) {
  using Vec4 = Vec<float, 4>;
  const Vec4 values =
      *reinterpret_cast<const Vec4*>(x + 4 * threadIdx.x);  // DEFECT misaligned_cast
  *reinterpret_cast<Vec4*>(y + 4 * threadIdx.x) = values;
}

__global__ void copy_by_load_vec(const float* x, float* y) {
  const auto values = load_vec<4>(x + 4 * threadIdx.x);  // DEFECT misaligned_load_vec
  store_vec(y + 4 * threadIdx.x, values);
}

bool check_copy(void (*kernel)(const float*, float*), int offset) {
  const std::vector<float> x = iota(24);
  std::vector<float> y(16);
  run(kernel, 1, 4, 0, x.data() + offset, y.data());
  return holds(y, [&](int i) { return i + offset; });
}
FG_DEFECT(misaligned_cast) { return check_copy(copy_by_cast, 1); }
FG_CORRECT(aligned_cast) { return check_copy(copy_by_cast, 4); }
FG_DEFECT(misaligned_load_vec) { return check_copy(copy_by_load_vec, 1); }
FG_CORRECT(aligned_load_vec) { return check_copy(copy_by_load_vec, 4); }

template <bool correct>
__global__ void neighbour_in_shared(float* y) {
  FG_SHARED(float, tile, [33]);
  tile[threadIdx.x] = static_cast<float>(threadIdx.x);
  if (correct && threadIdx.x == 0) {
    tile[32] = 32.0f;  // else DEFECT uninitialised_shared
  }
  __syncthreads();
  y[threadIdx.x] = tile[threadIdx.x + 1];
}

template <bool correct>
bool check_neighbour_in_shared() {
  std::vector<float> y(32);
  run(neighbour_in_shared<correct>, 1, 32, 0, y.data());
  return holds(y, [](int i) { return i + 1; });
}
FG_DEFECT(uninitialised_shared) { return check_neighbour_in_shared<false>(); }
FG_CORRECT(initialised_shared) { return check_neighbour_in_shared<true>(); }

}  // namespace
}  // namespace fg::seeded
