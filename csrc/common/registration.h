// Register fg::OP::{OP, OP_backward, OP_double_backward} of a device for a dispatch key.
#pragma once

#include "stable.h"

#define FG_REGISTER_WITH_DERIVATIVES(NAMESPACE, KEY, OP, DEVICE)                      \
  STABLE_TORCH_LIBRARY_IMPL(NAMESPACE, KEY, m) {                                      \
    m.impl(#OP, TORCH_BOX(&fg::OP::OP<DEVICE>));                                      \
    m.impl(#OP "_backward", TORCH_BOX(&fg::OP::OP##_backward<DEVICE>));               \
    m.impl(#OP "_double_backward", TORCH_BOX(&fg::OP::OP##_double_backward<DEVICE>)); \
  }
