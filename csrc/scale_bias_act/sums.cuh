// Addition of all gradients' partial sums in a fixed order, in one launch.
#pragma once

#include "walk.cuh"

namespace fg::scale_bias_act {

// Sums out[o][i] = Σ_k partial[o][k][i] over k < terms, in double.
template <class T>
struct Reduction {
  const accumulate_t<T>* partial;
  T* out;
  std::int64_t outer, terms, inner;
  int lanes;  // threads along `inner`, a power of two; the others share the terms
};

template <class T>
struct Reductions {
  // Lanes read at least 32 bytes of float.
  static constexpr int most_threads = 1024, most = 3, terms_of_thread = 8, least_lanes = 8;
  Reduction<T> of[most];
};

template <class T>
__global__ void __launch_bounds__(Reductions<T>::most_threads) sums_kernel(Reductions<T> all) {
  FG_SHARED(double, totals, [Reductions<T>::most_threads]);
  const Reduction<T> s = blockIdx.y == 0 ? all.of[0] : blockIdx.y == 1 ? all.of[1] : all.of[2];
  const unsigned across = static_cast<unsigned>((s.inner + s.lanes - 1) / s.lanes);
  const std::int64_t o = blockIdx.x / across;
  if (o >= s.outer) {
    return;
  }
  const int lane = threadIdx.x & (s.lanes - 1), depth = blockDim.x / s.lanes;
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x % across) * s.lanes + lane;
  double total = 0;
  if (i < s.inner) {
    const accumulate_t<T>* const from = s.partial + o * s.terms * s.inner + i;
#pragma unroll 8
    for (std::int64_t k = threadIdx.x / s.lanes; k < s.terms; k += depth) {
      total += static_cast<double>(from[k * s.inner]);
    }
  }
  totals[threadIdx.x] = total;
  for (int step = blockDim.x / 2; step >= s.lanes; step /= 2) {
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < step) {
      totals[threadIdx.x] = total += totals[threadIdx.x + step];
    }
  }
  if (static_cast<int>(threadIdx.x) < s.lanes && i < s.inner) {
    s.out[o * s.inner + i] = from_accumulate<T>(static_cast<accumulate_t<T>>(total));
  }
}

// ---- host side

// Launch the first `count` reductions. It sets their lanes.
template <class T>
cudaError_t launch_sums(Reductions<T>& all, int count, cudaStream_t stream) {
  using Limits = Reductions<T>;
  constexpr int few = block_threads, many = Limits::most_threads;
  Reduction<T>* const end = all.of + count;
  const bool long_ones = std::any_of(all.of, end, [](const Reduction<T>& r) {
    return r.terms > few / Limits::least_lanes * Limits::terms_of_thread;
  });
  const int threads = long_ones ? many : few;
  std::int64_t blocks = 0;
  for (Reduction<T>* r = all.of; r < end; ++r) {
    const std::int64_t depth = divide_up(r->terms, Limits::terms_of_thread);
    r->lanes = threads / power_of_two(depth, 1, threads / Limits::least_lanes);
    blocks = std::max(blocks, r->outer * divide_up(r->inner, r->lanes));
  }
  const dim3 grid(static_cast<unsigned>(blocks), count);
  return blocks > grid_limit ? cudaErrorInvalidConfiguration
                             : fg_launch(sums_kernel<T>, grid, threads, 0, stream, all);
}

template <class T>
cudaError_t add_up(const Arguments& a, const Plan& p, const Tensors<T>& t, cudaStream_t stream) {
  const Layout& l = a.layout;
  Reductions<T> reductions{};
  int wanted = 0;
  const auto want = [&](const accumulate_t<T>* partial, void* out, bool over_batch,
                        std::int64_t parts, std::int64_t inner) {
    if (partial) {
      Reduction<T>& r = reductions.of[wanted++];
      r.partial = partial;
      r.out = as<T>(out);
      r.outer = over_batch ? 1 : l.batch;
      r.terms = l.batch * parts / r.outer;
      r.inner = inner;
    }
  };
  want(t.scale_sums, a.dscale, false, p.channel_parts(), l.channels);
  want(t.bias_sums, a.db, true, p.channel_parts(), l.channels);
  want(t.noise_sums, a.dnoise, a.shared_noise, p.pixel_parts(), l.pixels);
  return wanted == 0 ? cudaSuccess : launch_sums(reductions, wanted, stream);
}

}  // namespace fg::scale_bias_act
