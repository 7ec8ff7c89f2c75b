#include "cpu_level.h"

#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace fg {

static CpuLevel detect() {
  CpuLevel level = CpuLevel::baseline;
#if defined(FG_X86_LEVELS)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("f16c")) {
    level = CpuLevel::avx2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
      level = CpuLevel::avx512;
    }
  }
#endif
  if (const char* asked = std::getenv("FASTGAN_CPU_LEVEL")) {
    for (CpuLevel lower : {CpuLevel::baseline, CpuLevel::avx2}) {
      if (lower < level && std::strcmp(asked, cpu_level_name(lower)) == 0) {
        return lower;
      }
    }
  }
  return level;
}

CpuLevel cpu_level() {
  static const CpuLevel level = detect();
  return level;
}

const char* cpu_level_name(CpuLevel level) {
  switch (level) {
    case CpuLevel::avx512:
      return "avx512";
    case CpuLevel::avx2:
      return "avx2";
    default:
      return "baseline";
  }
}

}  // namespace fg
