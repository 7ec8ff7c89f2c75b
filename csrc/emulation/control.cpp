// Functions for ctypes that set the emulator's options and return its statistics. They are in the
// op library that contains the emulator.
#include <cstdint>

#include "runtime.h"

#define FG_EXPORT extern "C" __attribute__((visibility("default")))

FG_EXPORT void fastgan_emulation_set_options(
    int order, int strict_exit, int strict_site, std::uint64_t max_shared) {
  fg::emulation::Options options;
  options.order = order;
  options.strict_exit = strict_exit != 0;
  options.strict_site = strict_site != 0;
  options.max_shared = static_cast<std::size_t>(max_shared);
  fg::emulation::set_options(options);
}

FG_EXPORT void fastgan_emulation_default_options() { fg::emulation::set_options({}); }

FG_EXPORT fg::emulation::Stats fastgan_emulation_get_stats() { return fg::emulation::get_stats(); }

FG_EXPORT void fastgan_emulation_reset_stats() { fg::emulation::reset_stats(); }
