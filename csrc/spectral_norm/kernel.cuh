// CUDA kernels of spectral_norm and their launches. Torch-free; the emulation runs them unchanged.
//
// A power iteration has three launches for all layers together: rows, columns and norms. A
// derivative has two: sums and results.
#pragma once

#include "elements.cuh"

namespace fg::spectral_norm {

template <class T>
Entry entry_of(const Layer& l, std::int64_t partial_at) {
  Entry e{};
  e.weight = l.weight;
  e.u = l.u;
  e.v = l.v;
  e.grad = l.grad;
  e.direction = l.direction;
  e.out = l.out;
  e.out_weight = l.out_weight;
  e.vectors_at = l.vectors_at;
  e.partial_at = partial_at;
  e.rows = static_cast<unsigned>(l.rows);
  e.run = static_cast<unsigned>(l.run);
  e.columns = static_cast<unsigned>(l.columns());
  e.wide = l.run % vec_width<T> == 0 &&
           are_aligned({l.weight, l.grad, l.direction, l.out, l.out_weight});
  e.one_run = l.outer == 1;
  return e;
}

// Launches over at most Table::most layers.
template <class T>
class Launches {
 public:
  using R = accumulate_t<T>;

  Launches(const Arguments& a, std::int64_t first, std::int64_t count, cudaStream_t stream)
      : stream_(stream) {
    const auto row = [&](const void* p) {
      return p ? as<R>(const_cast<void*>(p)) + first : nullptr;
    };
    common_.vectors = as<R>(a.vectors);
    common_.workspace = as<R>(a.workspace);
    common_.sigmas = row(a.sigmas);
    common_.dsigmas = row(a.dsigmas);
    common_.out_ddsigmas = row(a.out_ddsigmas);
    common_.out_dsigmas = row(a.out_dsigmas);
    common_.eps = static_cast<R>(a.eps);
    table_.count = static_cast<int>(count);
    std::int64_t partial_at = 0;
    for (int i = 0; i < table_.count; ++i) {
      const Layer& l = a.layers[first + i];
      table_.layers[i] = entry_of<T>(l, partial_at);
      partial_at += partials_of(a, l);
    }
  }

  cudaError_t forward(std::int64_t n_power_iterations) {
    run_over(start_kernel<T>, [](const Entry& l) {
      return divide_up(std::int64_t{l.rows} + l.columns, threads);
    });
    for (std::int64_t i = 0; i < n_power_iterations; ++i) {
      times_rows(false);
      run_over(columns_kernel<T>, [](const Entry& l) {
        return divide_up(l.columns, columns_of_tile<T>) * chunks_of(l.rows);
      });
      run_over(finish_kernel<R>, [](const Entry&) { return 1; });
    }
    if (n_power_iterations == 0) {
      times_rows(true);
      run_over(project_kernel<R>, [](const Entry&) { return 1; });
    }
    run_over(scale_kernel<T>, [](const Entry& l) { return divide_up(l.numel(), tile_elements); });
    return error_;
  }

  template <Pass P>
  cudaError_t derivative() {
    const auto tiles = [](const Entry& l) { return tiles_of(l.numel()); };
    run_over(sums_kernel<P, T>, tiles);
    run_over(combine_kernel<P, T>, tiles);
    return error_;
  }

 private:
  void times_rows(bool keep_u) {
    const auto blocks = [](const Entry& l) {
      return divide_up(l.rows, block_warps / warps_of_row(l.columns));
    };
    run_over(rows_kernel<T>, blocks, keep_u);
  }

  // Launch once, with `blocks_of` blocks for each layer, unless an earlier launch failed.
  template <class... Params, class Blocks, class... Args>
  void run_over(void (*kernel)(Params...), Blocks&& blocks_of, Args... args) {
    std::int64_t blocks = 0;
    for (int i = 0; i < table_.count; ++i) {
      table_.starts[i] = static_cast<unsigned>(blocks);
      blocks += blocks_of(table_.layers[i]);
    }
    table_.starts[table_.count] = static_cast<unsigned>(blocks);
    if (error_ == cudaSuccess && blocks > 0) {
      error_ = launch_blocks(kernel, blocks, threads, stream_, table_, common_, args...);
    }
  }

  Table table_{};
  Common<R> common_{};
  cudaStream_t stream_;
  cudaError_t error_ = cudaSuccess;
};

template <class T>
cudaError_t run(const Arguments& a, cudaStream_t stream) {
  for (std::int64_t i = 0; i < a.count; ++i) {
    if (a.layers[i].numel() > grid_limit || a.layers[i].rows + a.layers[i].columns() > grid_limit) {
      return cudaErrorInvalidConfiguration;
    }
  }
  for (std::int64_t first = 0; first < a.count; first += Table::most) {
    Launches<T> launches(a, first, std::min<std::int64_t>(Table::most, a.count - first), stream);
    const cudaError_t error = a.pass == Pass::forward ? launches.forward(a.n_power_iterations)
                              : a.pass == Pass::backward
                                  ? launches.template derivative<Pass::backward>()
                                  : launches.template derivative<Pass::double_backward>();
    if (error != cudaSuccess) {
      return error;
    }
  }
  return cudaSuccess;
}

std::int64_t workspace(const Arguments& a) { return workspace_size(a); }

}  // namespace fg::spectral_norm
