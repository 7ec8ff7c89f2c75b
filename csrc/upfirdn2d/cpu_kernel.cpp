// Compiled once per instruction set, named by FG_CPU_LEVEL.
//
// All work is one primitive, a weighted sum of arrays, over the rows of an output block. Along y,
// the arrays are rows of the input, which needs no copy. The sums go to a buffer in L1, with zeros
// outside the image. Along x, the arrays of a phase's terms are this buffer at different offsets.
//
// - If the image advances by several pixels per period, a row of the buffer is first split into one
//   array for each remainder.
// - If a period has several outputs, their arrays are interleaved at the end.
//
// So sums run over neighbouring elements for all factors. A filter that isn't separable has more
// terms: each of its rows at each of its offsets.
#include "cpu_kernel.h"

#include "../common/cpu_transpose.h"
#include "cpu_epilogue.h"
#include "cpu_rows.h"

namespace fg::FG_CPU_LEVEL {
namespace {

using namespace fg::upfirdn2d;

template <class R>
class Blocks {
 public:
  // With an epilogue, it writes the results.
  Blocks(
      const Arguments& a, const Plan<R>& plan, const Workspace<R>& w, bool streaming,
      EpilogueRows<R>* epilogue)
      : a_(a), y_(plan.y), x_(*plan.x), plan_(plan), w_(w), epilogue_(epilogue),
        streaming_(streaming), native_(a.dtype == DType::f32 || a.dtype == DType::f64),
        split_(splits(plan.x->advance, a.inner)), inner_(a.inner) {}

  void run(I block) {
    const Cut& cut = plan_.cut;
    const I image = block / (cut.across * cut.down);
    first_x_ = block / cut.down % cut.across * cut.width;
    first_y_ = block % cut.down * cut.height;
    periods_ = std::min(cut.width, (a_.x.out + x_.period - 1) / x_.period - first_x_);
    bands_ = std::min(cut.height, (a_.y.out + y_.period - 1) / y_.period - first_y_);
    pixels_ = std::min(periods_ * x_.period, a_.x.out - first_x_ * x_.period);
    rows_ = std::min(bands_ * y_.period, a_.y.out - first_y_ * y_.period);
    // Input pixels of the block along x, and those of them that are in the image.
    start_ = first_x_ * x_.advance + x_.lowest;
    length_ = (periods_ - 1) * x_.advance + x_.reach;
    from_ = std::clamp<I>(start_, 0, a_.x.in);
    to_ = std::clamp<I>(start_ + length_, from_, a_.x.in);

    open_input(image);
    const I at =
        ((image * a_.y.out + first_y_ * y_.period) * a_.x.out + first_x_ * x_.period) * inner_;
    const bool in_place = native_ && !streaming_ && !epilogue_;
    result_ = in_place ? as<R>(a_.output) + at : w_.result;
    result_step_ = (in_place ? a_.x.out : pixels_) * inner_;
    if (a_.separable) {
      for (I r = 0; r < y_.period; ++r) {
        filter_down(r);
      }
      finish_staging(rows_);
      filter_across({rows_, 0, result_step_, plan_.cut.staged_row}, result_, [&](I phase) {
        return add_terms(0, x_, phase, w_.staged);
      });
    } else {
      stage_input();
      for (I r = 0; r < y_.period; ++r) {
        const Rows rows{rows_of(r), 0, y_.period * result_step_, y_.advance * plan_.cut.staged_row};
        filter_across(rows, result_ + r * result_step_, [&](I phase) {
          I count = 0;
          for (I t = y_.begin[r]; t < y_.begin[r + 1]; ++t) {
            const R* const row = w_.staged + (y_.terms[t].at - y_.lowest) * plan_.cut.staged_row;
            count = add_terms(count, plan_.x[y_.terms[t].tap], phase, row);
          }
          return count;
        });
      }
    }
    if (!in_place) {
      write(at);
    }
  }

 private:
  // Return the number of rows of the block that have phase r.
  I rows_of(I r) const { return rows_ > r ? (rows_ - r - 1) / y_.period + 1 : 0; }

  // Return row y of the input from pixel from_ on, as R: the tensor, or a converted copy.
  const R* input(I y) const { return input_ + (y - input_first_) * input_step_; }

  void open_input(I image) {
    const I n = (to_ - from_) * inner_, row = a_.x.in * inner_,
            first = image * a_.y.in * row + from_ * inner_;
    if (native_) {
      input_ = as<R>(a_.input) + first;
      input_first_ = 0;
      input_step_ = row;
      return;
    }
    const I low = first_y_ * y_.advance + y_.lowest,
            high = low + (bands_ - 1) * y_.advance + y_.reach;
    input_ = w_.widened;
    input_first_ = std::clamp<I>(low, 0, a_.y.in);
    input_step_ = n;
    for (I y = input_first_; y < std::min(high, a_.y.in); ++y) {
      load_into(w_.widened + (y - input_first_) * n, a_.dtype, a_.input, first + y * row, n);
    }
  }

  // Return the buffer of a row before it is split, and the start of its part inside the image.
  R* row_to_stage(I row) const {
    return (split_ ? w_.planar : w_.staged) + row * plan_.cut.staged_row;
  }
  I before() const { return std::clamp<I>(from_ - start_, 0, length_) * inner_; }

  // Filter output rows of phase r along y.
  void filter_down(I r) {
    const I begin = y_.begin[r], count = y_.begin[r + 1] - begin, rows = rows_of(r),
            n = (to_ - from_) * inner_;
    const I out_step = y_.period * plan_.cut.staged_row;
    R* const out = row_to_stage(r) + before();
    // One call computes rows `low` to `high`, which have all taps in the image.
    I low = 0, high = rows;
    if (count > 0) {
      const I first = first_y_ * y_.advance + y_.terms[begin].at, last = first + count - 1;
      low = std::clamp<I>(first < 0 ? (-first + y_.advance - 1) / y_.advance : 0, 0, rows);
      high = std::clamp<I>(last < a_.y.in ? (a_.y.in - 1 - last) / y_.advance + 1 : 0, low, rows);
    }
    const auto sum = [&](I row, I many) {
      I inside = 0;
      for (I t = begin; t < begin + count; ++t) {
        if (const I y = (first_y_ + row) * y_.advance + y_.terms[t].at; y >= 0 && y < a_.y.in) {
          w_.sources[inside] = input(y);
          w_.weights[inside++] = y_.terms[t].weight;
        }
      }
      weighted_sum(
          out + row * out_step, w_.sources, w_.weights, inside,
          {many, n, out_step, y_.advance * input_step_});
    };
    for (I row = 0; row < low; ++row) {
      sum(row, 1);
    }
    if (low < high) {
      sum(low, high - low);
    }
    for (I row = high; row < rows; ++row) {
      sum(row, 1);
    }
  }

  // Copy the input rows of the block, for a filter that isn't separable. Rows outside the image are
  // zeros.
  void stage_input() {
    const I rows = (bands_ - 1) * y_.advance + y_.reach, n = (to_ - from_) * inner_;
    for (I row = 0; row < rows; ++row) {
      const I y = first_y_ * y_.advance + y_.lowest + row;
      R* const to = row_to_stage(row) + before();
      if (y >= 0 && y < a_.y.in) {
        std::copy_n(input(y), n, to);
      } else {
        std::fill_n(to, n, R(0));
      }
    }
    finish_staging(rows);
  }

  // Write zeros outside the image along x, and split rows. Zeros of the previous block stay, unless
  // something was written over them.
  void finish_staging(I rows) {
    const bool overwritten = split_ && x_.period > 1;
    if (first_x_ != clean_x_ || rows > clean_rows_ || overwritten) {
      const I left = before(), inside = (to_ - from_) * inner_, all = length_ * inner_;
      for (I row = 0; row < rows; ++row) {
        R* const staged = row_to_stage(row);
        std::fill_n(staged, left, R(0));
        std::fill_n(staged + left + inside, all - left - inside, R(0));
      }
      clean_x_ = first_x_;
      clean_rows_ = rows;
    }
    for (I row = 0; split_ && row < rows; ++row) {
      split_row(
          w_.staged + row * plan_.cut.staged_row, row_to_stage(row), x_.advance, plan_.cut.split,
          length_, inner_);
    }
  }

  // Add the terms of one phase along x to the `count` sources of a sum. Return the new count.
  I add_terms(I count, const Bank<R>& bank, I phase, const R* staged) const {
    for (I t = bank.begin[phase]; t < bank.begin[phase + 1]; ++t) {
      const I offset = bank.terms[t].at - x_.lowest, step = x_.advance;
      const I pixel = split_ ? offset % step * plan_.cut.split + offset / step : offset;
      w_.sources[count] = staged + pixel * inner_;
      w_.weights[count] = bank.terms[t].weight;
      ++count;
    }
    return count;
  }

  // Filter rows along x. `terms(phase)` sets the sources of a phase and returns their number.
  template <class Terms>
  void filter_across(Rows rows, R* out, Terms terms) {
    const I period = x_.period;
    if (inner_ >= long_inner && (period > 1 || x_.advance > 1)) {
      rows.n = inner_;
      for (I phase = 0; phase < period; ++phase) {
        const I count = terms(phase);
        for (I pixel = phase; pixel < pixels_; pixel += period) {
          weighted_sum(out + pixel * inner_, w_.sources, w_.weights, count, rows);
          for (I t = 0; t < count; ++t) {
            w_.sources[t] += x_.advance * inner_;
          }
        }
      }
    } else if (period == 1) {
      rows.n = pixels_ * inner_;
      const I count = terms(0);
      weighted_sum(out, w_.sources, w_.weights, count, rows);
    } else if (!weave_across(rows, out)) {
      const I n = periods_ * inner_;
      for (I phase = 0; phase < period; ++phase) {
        const I count = terms(phase);
        weighted_sum(
            w_.planar + phase * n, w_.sources, w_.weights, count,
            {rows.count, n, period * n, rows.source_step});
      }
      for (I row = 0; row < rows.count; ++row) {
        weave(
            out + row * rows.out_step, w_.planar + row * period * n, period, periods_, pixels_,
            inner_);
      }
    }
  }

  // Compute both phases in one sum, for a separable filter at twice the width. Return false for
  // other cases.
  bool weave_across(Rows rows, R* out) const {
    if (!a_.separable || x_.period != 2 || inner_ != 1 || pixels_ % 2 != 0) {
      return false;
    }
    const I count = add_terms(0, x_, 0, w_.staged);
    rows.n = periods_;
    return add_terms(count, x_, 1, w_.staged) == 2 * count &&
           woven_sum(out, w_.sources, w_.weights, count, rows);
  }

  // Write the block from its buffer to the tensor.
  void write(I at) const {
    const bool whole = pixels_ == a_.x.out;  // rows follow each other in the tensor
    const I pieces = whole ? 1 : rows_, n = (whole ? rows_ : 1) * pixels_ * inner_;
    for (I piece = 0; piece < pieces; ++piece) {
      const R* const from = result_ + piece * n;
      const I to = at + piece * a_.x.out * inner_, step = native_ ? n : block_size;
      if (epilogue_) {
        epilogue_->write(to / inner_, from, n / inner_);
        continue;
      }
      for (I i = 0; i < n; i += step) {
        store(
            a_.dtype, a_.output, to + i, from + i, static_cast<int>(std::min(step, n - i)),
            streaming_);
      }
    }
  }

  const Arguments& a_;
  const Bank<R>&y_, &x_;
  const Plan<R>& plan_;
  const Workspace<R>& w_;
  EpilogueRows<R>* const epilogue_;
  const bool streaming_, native_;
  const bool split_;  // a staged row has an array for each remainder of the advance
  const I inner_;
  I first_x_ = 0, first_y_ = 0, periods_ = 0, bands_ = 0;  // the block, in periods
  I pixels_ = 0, rows_ = 0;                                // the block, in outputs
  I start_ = 0, length_ = 0, from_ = 0, to_ = 0;
  I clean_x_ = -1, clean_rows_ = 0;  // place of the zeros in the staging buffer
  const R* input_ = nullptr;
  I input_first_ = 0, input_step_ = 0;
  R* result_ = nullptr;
  I result_step_ = 0;
};

// Filter groups of small images, each as one image of `group` channels.
template <class R>
void run_groups(
    const Arguments& a, const Plan<R>& plan, const Workspace<R>& w, bool streaming,
    EpilogueRows<R>* epilogue, I begin, I end) {
  const I in = a.y.in * a.x.in, out = a.y.out * a.x.out, count = plan.cut.across * plan.cut.down;
  const bool native = a.dtype == DType::f32 || a.dtype == DType::f64;
  Arguments one = a;
  one.dtype = sizeof(R) == 8 ? DType::f64 : DType::f32;
  one.outer = 1;
  one.inner = group;
  one.input = w.widened;
  one.output = w.result;
  Blocks<R> blocks(one, plan, w, false, nullptr);
  for (I at = begin; at < end; ++at) {
    const I first = at * group, planes = std::min(group, a.outer - first);
    const R* from = w.planar;
    if (native) {
      from = as<R>(a.input) + first * in;
    } else {
      load_into(w.planar, a.dtype, a.input, first * in, planes * in);
    }
    transpose(from, in, w.widened, group, planes, in);
    for (I block = 0; block < count; ++block) {
      blocks.run(block);
    }
    const bool in_place = native && !streaming && !epilogue;
    R* const to = in_place ? as<R>(a.output) + first * out : w.planar;
    transpose(w.result, group, to, out, out, planes);
    if (epilogue) {
      for (I plane = 0; plane < planes; ++plane) {
        epilogue->write((first + plane) * out, to + plane * out, out);
      }
    } else if (!in_place) {
      for_each_block(planes * out, [&](I i, int n) {
        store(a.dtype, a.output, first * out + i, to + i, n, streaming);
      });
    }
  }
}

template <class R>
void run(
    const Arguments& a, const Plan<R>& plan, const Workspace<R>& w, bool streaming, I begin,
    I end) {
  EpilogueRows<R> rows(a, w.parameters, streaming);
  EpilogueRows<R>* const epilogue = a.has_epilogue ? &rows : nullptr;
  if (plan.planes > 1) {
    run_groups(a, plan, w, streaming, epilogue, begin, end);
  } else {
    Blocks<R> blocks(a, plan, w, streaming, epilogue);
    for (I block = begin; block < end; ++block) {
      blocks.run(block);
    }
  }
  if (streaming) {
    stream_fence();
  }
}

}  // namespace

extern const Kernels upfirdn2d_kernels = {run<float>, run<double>};

}  // namespace fg::FG_CPU_LEVEL
