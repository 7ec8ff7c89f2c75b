// Choice of the CPU kernels' instruction set, once per process. Torch-free.
#pragma once

namespace fg {

enum class CpuLevel { baseline, avx2, avx512 };

// Return the best level that was compiled and that this CPU runs.
// FASTGAN_CPU_LEVEL=baseline|avx2|avx512 lowers it.
CpuLevel cpu_level();

const char* cpu_level_name(CpuLevel level);

// Test if kernels with tile registers for bfloat16 were compiled and run here. The first call asks
// the system for the registers. FASTGAN_CPU_LEVEL=avx512 and lower say no.
bool cpu_has_amx();

}  // namespace fg

// Declare `const TYPE NAME`, which a kernel file defines in the namespace of its level.
#define FG_DECLARE_PER_LEVEL(TYPE, NAME) \
  namespace fg::baseline {               \
  extern const TYPE NAME;                \
  }                                      \
  namespace fg::avx2 {                   \
  extern const TYPE NAME;                \
  }                                      \
  namespace fg::avx512 {                 \
  extern const TYPE NAME;                \
  }

// Pick `fg::<level>::NAME` for the running CPU. Kernel files are compiled once per level, each time
// into the namespace of that level.
#if defined(FG_X86_LEVELS)
#define FG_SELECT_LEVEL(NAME)                                       \
  (::fg::cpu_level() == ::fg::CpuLevel::avx512 ? ::fg::avx512::NAME \
   : ::fg::cpu_level() == ::fg::CpuLevel::avx2 ? ::fg::avx2::NAME   \
                                               : ::fg::baseline::NAME)
#else
#define FG_SELECT_LEVEL(NAME) (::fg::baseline::NAME)
#endif
