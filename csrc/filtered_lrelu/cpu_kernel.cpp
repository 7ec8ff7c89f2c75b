// Compiled once per instruction set, named by FG_CPU_LEVEL.
//
// A tile goes down the image. Each upsampled row is made once, from the few input rows that its
// filter meets. It stays in a ring until the last output row that needs it is done. So the
// upsampled image is never in memory.
//
// - Upsampling runs along y first, where rows are short, then along x.
// - Downsampling runs along y first, over the rows of the ring, then along x.
// - Columns are split by their remainder, so a sum over taps is a weighted sum of arrays at
//   offsets for all factors, and vectorises. Two neighbouring phases share their loads.
#include "cpu_rows.h"

namespace fg::FG_CPU_LEVEL {
namespace {

constexpr std::uint8_t all_zero_slopes = 0xaa;

template <class R>
class Tiles {
 public:
  Tiles(const Arguments& a, const Plan<R>& plan, const Workspace<R>& w)
      : a_(a), p_(plan), cut_(plan.cut), w_(w), height_(between(a.y)), width_(between(a.x)) {}

  void run(I tile) {
    const I strip = tile % cut_.strips, rest = tile / cut_.strips;
    const I column = rest % cut_.across * cut_.width, slice = rest / cut_.across % cut_.slices;
    image_ = rest / (cut_.across * cut_.slices);
    channel_ = slice * cut_.lanes;
    set_lanes(std::min(cut_.lanes, a_.inner - channel_));
    first_out_ = column;
    outs_ = std::min(cut_.width, a_.x.out - column);
    // Columns of the tile in the upsampled image, in periods, and those that only it has.
    first_between_ = column * a_.x.down;
    const I periods_out = (outs_ + p_.period_out - 1) / p_.period_out;
    const I reach = (p_.period_out - 1) * a_.x.down + std::max(a_.x.taps_down, a_.x.down);
    periods_ = periods_out - 1 + (reach - 1) / p_.planes + 1;
    owned_ = (column + outs_ == a_.x.out ? width_ : (column + outs_) * a_.x.down) - first_between_;
    // Its input columns, and those of them that are in the image.
    start_ = first_between_ / a_.x.up + p_.lowest;
    from_ = std::clamp<I>(start_, 0, a_.x.in);
    to_ = std::clamp<I>(start_ + cut_.length, from_, a_.x.in);
    load_bias();

    const I first_row = strip * cut_.height, end = std::min(first_row + cut_.height, a_.y.out);
    next_ = first_row * a_.y.down;
    next_input_ = -1;
    cached_codes_ = -1;
    owned_end_ = end == a_.y.out ? height_ : end * a_.y.down;
    for (I row = first_row; row < end; ++row) {
      const I first = row * a_.y.down;
      const I needed = std::min(first + std::max(a_.y.taps_down, a_.y.down), height_);
      while (next_ < needed) {
        make_row(next_++);
      }
      make_output(row, first);
    }
  }

 private:
  I n_staged() const { return cut_.staged * p_.advance; }
  R* ring(I row) const { return w_.ring + row % cut_.rows * (cut_.plane * p_.planes); }
  R* staged(I row) const { return w_.input + row % cut_.input_rows * n_staged(); }

  // Set the sources to rows of a ring from `first` on, with as few divisions as possible.
  void set_rows(const R* ring, I first, I count, I rows, I step) const {
    I place = count > 0 ? first % rows : 0;
    for (I k = 0; k < count; ++k) {
      w_.sources[k] = ring + place * step;
      place = place + 1 == rows ? 0 : place + 1;
    }
  }

  // Tabulate the places of columns in arrays, for which indexing would divide.
  void set_lanes(I lanes) {
    if (lanes == lanes_) {
      return;
    }
    lanes_ = lanes;
    for (I i = 0; i < p_.input_columns; ++i) {
      w_.input_at[i] = i % p_.advance * cut_.staged + i / p_.advance * lanes;
    }
    for (I i = 0; i < p_.plane_columns; ++i) {
      w_.plane_at[i] = i % p_.planes * cut_.plane + i / p_.planes * lanes;
    }
  }

  void load_bias() {
    for (I c = 0; c < lanes_; ++c) {
      const I channel = a_.inner == 1 ? image_ % a_.channels : channel_ + c;
      w_.bias[c] = load_one<R>(a_.dtype, a_.bias, channel);
    }
  }

  // Copy an input row with its bias to the ring, with zeros beyond the image.
  void stage(I row) {
    const I n = (to_ - from_) * lanes_, all = cut_.length * lanes_;
    const I before = n == 0 ? all : (from_ - start_) * lanes_;
    R* const line = p_.advance == 1 ? staged(row) : w_.line;
    std::fill_n(line, before, R(0));
    std::fill_n(line + before + n, all - before - n, R(0));
    if (lanes_ == a_.inner) {
      load_into(
          line + before, a_.dtype, a_.input, ((image_ * a_.y.in + row) * a_.x.in + from_) * lanes_,
          n);
    } else {
      for (I x = from_; x < to_; ++x) {
        const I at = ((image_ * a_.y.in + row) * a_.x.in + x) * a_.inner + channel_;
        load_into(line + before + (x - from_) * lanes_, a_.dtype, a_.input, at, lanes_);
      }
    }
    if (a_.bias) {
      R* const inside = line + before;
      if (lanes_ == 1) {
        const R b = w_.bias[0];
        for (I i = 0; i < n; ++i) {
          inside[i] += b;
        }
      } else {
        for (I x = 0; x < n; x += lanes_) {
          for (I c = 0; c < lanes_; ++c) {
            inside[x + c] += w_.bias[c];
          }
        }
      }
    }
    if (p_.advance > 1) {
      split(staged(row), line, p_.advance, cut_.staged, cut_.length, lanes_);
    }
  }

  // Add the sources of a phase along x, whose row is given.
  I add_sources(I count, const Phase<R>& phase, const R* row) const {
    const I* const at = w_.input_at + (phase.first - p_.lowest);
    for (I j = 0; j < phase.count; ++j) {
      w_.sources[count] = row + at[j];
      w_.weights[count++] = phase.weights[j];
    }
    return count;
  }

  // Test if the slopes of a row of the upsampled image may differ from 0.
  bool has_slopes(I row) const {
    const I at = row + a_.y.offset;
    return !a_.codes || (at >= 0 && at < a_.y.codes);
  }

  // Make a row of the upsampled image, behind the activation.
  void make_row(I row) {
    R* const u = ring(row);
    if (!has_slopes(row)) {
      std::fill_n(u, cut_.plane * p_.planes, R(0));
      return;
    }
    const Phase<R>& y = p_.up_y[row % a_.y.up];
    const I first = row / a_.y.up + y.first;
    const I low = std::clamp<I>(-first, 0, y.count),
            high = std::clamp<I>(a_.y.in - first, low, y.count);
    next_input_ = std::max(next_input_, first + low);
    for (; next_input_ < first + high; ++next_input_) {
      stage(next_input_);
    }
    if (low == high) {
      std::fill_n(u, cut_.plane * p_.planes, R(0));
    } else if (p_.up_separable) {
      set_rows(w_.input, first + low, high - low, cut_.input_rows, n_staged());
      weighted_sum(w_.tall, w_.sources, y.weights + low, high - low, n_staged());
      filter_across(u);
    } else {
      for (I r = 0; r < p_.planes; ++r) {
        I count = 0;
        for (I j = low; j < high; ++j) {
          const I tap = p_.up_row[row % a_.y.up] + j * a_.y.up;
          count = add_sources(count, p_.up_x[tap * p_.planes + r], staged(first + j));
        }
        weighted_sum(u + r * cut_.plane, w_.sources, w_.weights, count, cut_.plane);
      }
    }
    finish_row(row, u);
  }

  // Filter a row along x, two phases at once where they have equally many taps.
  void filter_across(R* u) const {
    const I n = cut_.plane;
    for (I r = 0; r < p_.planes; ++r) {
      const Phase<R>& one = p_.up_x[r];
      I count = add_sources(0, one, w_.tall);
      if (r + 1 < p_.planes && p_.up_x[r + 1].count == one.count) {
        const Phase<R>& two = p_.up_x[r + 1];
        const I shift = two.first - one.first;
        if (shift == 1 && count > 0) {
          w_.sources[count] = w_.tall + w_.input_at[one.first - p_.lowest + count];
        }
        R* const to = u + r * cut_.plane;
        if (pair_sum(to, to + cut_.plane, w_.sources, one.weights, two.weights, count, shift, n)) {
          ++r;
          continue;
        }
      }
      weighted_sum(u + r * cut_.plane, w_.sources, w_.weights, count, n);
    }
  }

  void finish_row(I row, R* u) {
    const I n = cut_.plane * p_.planes;
    if (a_.codes) {
      const I at = row + a_.y.offset;
      read_codes(at / rows_per_byte);
      apply_codes(u, w_.codes, static_cast<int>(at % rows_per_byte) * 2, p_.slope, n);
    } else if (a_.new_codes && row < owned_end_) {
      const I place = row % rows_per_byte;
      if (place == 0) {
        std::fill_n(w_.codes, n, 0u);
      }
      activate_with_codes(u, w_.codes, static_cast<int>(place) * 2, p_.slope, p_.clamp, n);
      if (place == rows_per_byte - 1 || row + 1 == owned_end_) {
        write_codes(row / rows_per_byte);
      }
    } else {
      activate(u, p_.slope, p_.clamp, n);
    }
  }

  // Return the first byte of a row of bytes, at a column of the codes.
  I byte_at(I row, I column) const {
    return ((image_ * (a_.y.codes / rows_per_byte) + row) * a_.x.codes + column) * a_.inner +
           channel_;
  }

  void write_codes(I row) const {
    weave(w_.bytes, w_.codes, p_.planes, cut_.plane, owned_, lanes_);
    if (lanes_ == a_.inner) {
      std::copy_n(w_.bytes, owned_ * lanes_, a_.new_codes + byte_at(row, first_between_));
      return;
    }
    for (I x = 0; x < owned_; ++x) {
      std::copy_n(w_.bytes + x * lanes_, lanes_, a_.new_codes + byte_at(row, first_between_ + x));
    }
  }

  // Read a row of bytes, unless it was the last one.
  void read_codes(I row) {
    if (row == cached_codes_) {
      return;
    }
    cached_codes_ = row;
    const I columns = periods_ * p_.planes, first = first_between_ + a_.x.offset;
    const I from = std::clamp<I>(-first, 0, columns),
            to = std::clamp<I>(a_.x.codes - first, from, columns);
    std::fill_n(w_.bytes, from * lanes_, all_zero_slopes);
    std::fill_n(w_.bytes + to * lanes_, (columns - to) * lanes_, all_zero_slopes);
    if (lanes_ == a_.inner && from < to) {
      std::copy_n(
          a_.codes + byte_at(row, first + from), (to - from) * lanes_, w_.bytes + from * lanes_);
    } else {
      for (I x = from; x < to; ++x) {
        std::copy_n(a_.codes + byte_at(row, first + x), lanes_, w_.bytes + x * lanes_);
      }
    }
    split(w_.codes, w_.bytes, p_.planes, cut_.plane, columns, lanes_);
  }

  // Add the sources of the outputs of one remainder, from a row of planes.
  I add_outputs(I count, I phase, const R* row, const R* weights) const {
    const I* const at = w_.plane_at + phase * a_.x.down;
    for (I k = 0; k < a_.x.taps_down; ++k) {
      w_.sources[count] = row + at[k];
      w_.weights[count++] = weights[k];
    }
    return count;
  }

  // Make an output row from the upsampled rows from `first` on.
  void make_output(I row, I first) const {
    if (p_.down_separable) {
      // Rows without slopes are zeros.
      I low = 0, high = a_.y.taps_down;
      for (; low < high && !has_slopes(first + low); ++low) {
      }
      for (; low < high && !has_slopes(first + high - 1); --high) {
      }
      set_rows(w_.ring, first + low, high - low, cut_.rows, cut_.plane * p_.planes);
      weighted_sum(w_.flat, w_.sources, p_.down_y + low, high - low, cut_.plane * p_.planes);
    }
    const I n = cut_.result;
    for (I s = 0; s < p_.period_out; ++s) {
      I count = 0;
      if (p_.down_separable) {
        count = add_outputs(0, s, w_.flat, p_.down_x);
      } else {
        for (I k = 0; k < a_.y.taps_down; ++k) {
          count = add_outputs(count, s, ring(first + k), p_.down_x + k * a_.x.taps_down);
        }
      }
      weighted_sum(w_.result + s * n, w_.sources, w_.weights, count, n);
    }
    const R* values = w_.result;
    if (p_.period_out > 1) {
      weave(w_.line, w_.result, p_.period_out, n, outs_, lanes_);
      values = w_.line;
    }
    const I at = ((image_ * a_.y.out + row) * a_.x.out + first_out_) * a_.inner + channel_;
    if (lanes_ == a_.inner) {
      write(at, values, outs_ * lanes_);
      return;
    }
    for (I x = 0; x < outs_; ++x) {
      write(at + x * a_.inner, values + x * lanes_, lanes_);
    }
  }

  void write(I at, const R* values, I n) const {
    if (a_.dtype == DType::f32 || a_.dtype == DType::f64) {
      std::copy_n(values, n, as<R>(a_.output) + at);
      return;
    }
    for_each_block(
        n, [&](I i, int m) { store(a_.dtype, a_.output, at + i, values + i, m, false); });
  }

  const Arguments& a_;
  const Plan<R>& p_;
  const Cut& cut_;
  const Workspace<R>& w_;
  const I height_, width_;  // of the upsampled image
  I image_ = 0, channel_ = 0, lanes_ = 0;
  I first_out_ = 0, outs_ = 0, first_between_ = 0, periods_ = 0, owned_ = 0, owned_end_ = 0;
  I start_ = 0, from_ = 0, to_ = 0;
  I next_ = 0, next_input_ = -1, cached_codes_ = -1;
};

template <class R>
void run(const Arguments& a, const Plan<R>& plan, const Workspace<R>& w, I begin, I end) {
  Tiles<R> tiles(a, plan, w);
  for (I tile = begin; tile < end; ++tile) {
    tiles.run(tile);
  }
}

}  // namespace

extern const Kernels filtered_lrelu_kernels = {run<float>, run<double>};

}  // namespace fg::FG_CPU_LEVEL
