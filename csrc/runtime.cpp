// Ops that manage the process instead of computing.
#include "common/cpu_level.h"
#include "common/stable.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace fg {
namespace {

std::string cpu_capability() { return cpu_level_name(cpu_level()); }

bool tune_cpu_allocator() {
#if defined(__GLIBC__)
  // Take blocks from the heap instead of mmap, and don't return the heap's top at each free.
  return mallopt(M_MMAP_THRESHOLD, 1 << 30) == 1 && mallopt(M_TRIM_THRESHOLD, 2147483647) == 1 &&
         mallopt(M_TOP_PAD, 64 << 20) == 1;
#else
  return false;
#endif
}

}  // namespace
}  // namespace fg

STABLE_TORCH_LIBRARY(fastgan_runtime, m) {
  m.def("cpu_capability() -> str");
  m.def("tune_cpu_allocator() -> bool");
}

STABLE_TORCH_LIBRARY_IMPL(fastgan_runtime, CompositeExplicitAutograd, m) {
  m.impl("cpu_capability", TORCH_BOX(&fg::cpu_capability));
  m.impl("tune_cpu_allocator", TORCH_BOX(&fg::tune_cpu_allocator));
}
