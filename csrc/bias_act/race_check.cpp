// Race checks of every kernel of bias_act, over both shapes of work, with the sums that threads
// share. Run under ThreadSanitizer.
#include <limits>

#include "emulation/race_check.h"
#include "problem.h"

namespace fg::bias_act {
namespace {

using namespace emulation;

void all_passes(const Layout& layout, Act act) {
  const std::int64_t n = layout.numel();
  std::vector<float> x(n), y(n), dy(n), out(n), out_v(n);
  std::vector<float> b(layout.channels, 0.5f), ddb(layout.channels, -0.25f), db(layout.channels);
  for (std::int64_t i = 0; i < n; ++i) {
    x[i] = static_cast<float>(i % 7) - 3;
    y[i] = x[i];
    dy[i] = 1;
  }
  Arguments a{};
  a.act = act;
  a.alpha = 0.2;
  a.gain = 1;
  a.clamp = std::numeric_limits<double>::quiet_NaN();
  a.layout = layout;
  a.b = b.data();
  a.out = out.data();

  a.pass = Pass::forward;
  a.x = x.data();
  run_kernels(a);

  a.db = db.data();
  a.pass = Pass::backward;
  a.dy = dy.data();
  if (act == Act::piecewise) {
    a.x = nullptr;
    a.y = y.data();
  }
  run_kernels(a);
  float sums = 0, values = 0;
  for (float v : db) sums += v;
  for (float v : out) values += v;
  FG_REQUIRE(std::abs(sums - values) <= 1e-3f * static_cast<float>(n));

  a.pass = Pass::double_backward;
  a.ddx = dy.data();
  a.ddb = ddb.data();
  if (act != Act::piecewise) {
    a.out_v = out_v.data();
  } else {
    a.db = nullptr;
  }
  run_kernels(a);
}

}  // namespace

FG_RACE_CHECK(bias_act_rows) {
  all_passes({2, 3, 5000}, Act::piecewise);  // several segments of a run
  all_passes({2, 3, 40}, Act::swish);        // several runs of a warp
  all_passes({1, 2, 300}, Act::tanh);        // several warps of a run
}

FG_RACE_CHECK(bias_act_columns) {
  all_passes({70, 12, 1}, Act::piecewise);
  all_passes({40, 5, 3}, Act::swish);
}

}  // namespace fg::bias_act
