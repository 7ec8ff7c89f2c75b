// Usage: seeded_defects --list | NAME [--order N] | --correct [--order N].
//
// Exit statuses:
//
// - 0: a right result without complaints
// - 2: bad usage
// - 3: an exception of the emulator
// - 4: a wrong result
// - 5: a report of AddressSanitizer or UndefinedBehaviorSanitizer
// - 66: a report of ThreadSanitizer
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "case.h"

// The sanitizers' libraries look these functions up, so they must be visible.
#define FG_EXPORT extern "C" __attribute__((visibility("default")))
FG_EXPORT const char* __asan_default_options() { return "exitcode=5:detect_leaks=0"; }
FG_EXPORT const char* __ubsan_default_options() { return "exitcode=5:print_stacktrace=1"; }
FG_EXPORT const char* __tsan_default_options() { return "exitcode=66:atexit_sleep_ms=0"; }

namespace fg::seeded {

std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

}  // namespace fg::seeded

namespace {

enum ExitStatus : int { right = 0, usage = 2, thrown = 3, wrong = 4 };

int run_case(const fg::seeded::Case& seeded) {
  try {
    const bool is_right = seeded.run();
    std::printf("%s: %s\n", seeded.name.c_str(), is_right ? "right result" : "wrong result");
    return is_right ? right : wrong;
  } catch (const std::exception& error) {
    std::printf("%s: emulator: %s\n", seeded.name.c_str(), error.what());
    return thrown;
  }
}

int run_correct_ones() {
  int status = right;
  for (const fg::seeded::Case& seeded : fg::seeded::cases()) {
    if (seeded.is_correct) {
      status = std::max(status, run_case(seeded));
    }
  }
  return status;
}

int list() {
  for (const fg::seeded::Case& seeded : fg::seeded::cases()) {
    std::printf("%s %s\n", seeded.is_correct ? "correct" : "defect", seeded.name.c_str());
  }
  return right;
}

}  // namespace

int main(int argc, char** argv) {
  const bool has_order = argc == 4 && std::strcmp(argv[2], "--order") == 0;
  if (argc != 2 && !has_order) {
    std::fprintf(
        stderr, "usage: seeded_defects --list | NAME [--order N] | --correct [--order N]\n");
    return usage;
  }
  if (has_order) {
    fg::emulation::Options options;
    options.order = std::atoi(argv[3]);
    fg::emulation::set_options(options);
  }
  const std::string name = argv[1];
  if (name == "--list") {
    return list();
  }
  if (name == "--correct") {
    return run_correct_ones();
  }
  for (const fg::seeded::Case& seeded : fg::seeded::cases()) {
    if (seeded.name == name) {
      return run_case(seeded);
    }
  }
  std::fprintf(stderr, "seeded_defects: no case is called %s; --list names them\n", name.c_str());
  return usage;
}
