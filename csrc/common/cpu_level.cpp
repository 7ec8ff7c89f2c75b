#include "cpu_level.h"

#include <cstdlib>
#include <cstring>
#include <initializer_list>

#if defined(FG_AMX)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

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

static bool detect_amx() {
#if defined(FG_AMX)
  const char* const asked = std::getenv("FASTGAN_CPU_LEVEL");
  if (cpu_level() != CpuLevel::avx512 || (asked && std::strcmp(asked, "avx512") == 0)) {
    return false;
  }
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned tile = 1u << 24, bf16 = 1u << 22, avx512_bf16 = 1u << 5;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & tile) || !(d & bf16) ||
      !__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a & avx512_bf16)) {
    return false;
  }
  constexpr long request = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, request, tile_data) == 0;
#else
  return false;
#endif
}

bool cpu_has_amx() {
  static const bool has = detect_amx();
  return has;
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
