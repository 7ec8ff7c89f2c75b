// Usage: race_check [--list]. Runs every FG_RACE_CHECK in several orders of threads and blocks.
//
// Exit statuses: 0 if all passed, 1 if one failed or the emulator threw, 66 if ThreadSanitizer
// found a race.
#include "race_check.h"

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "runtime.h"

// TSan's library looks this function up, so it must be visible.
extern "C" __attribute__((visibility("default"))) const char* __tsan_default_options() {
  return "exitcode=66:atexit_sleep_ms=0";
}

namespace {

struct Check {
  std::string name;
  void (*run)();
};

std::vector<Check>& checks() {
  static std::vector<Check> all;
  return all;
}

constexpr int orders[] = {0, 3};  // forward and random; TSan's findings hardly depend on it

bool passes(const Check& check, int order) {
  // Print before the check and unbuffered, so that a report of TSan follows its check.
  std::fprintf(stderr, "race check %s, order %d\n", check.name.c_str(), order);
  fg::emulation::Options options;
  options.order = order;
  fg::emulation::set_options(options);
  try {
    check.run();
    return true;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "  failed: %s\n", error.what());
    return false;
  }
}

}  // namespace

namespace fg::emulation {

RaceCheck::RaceCheck(const char* name, void (*run)()) { checks().push_back({name, run}); }

}  // namespace fg::emulation

int main(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == "--list") {
    for (const Check& check : checks()) {
      std::printf("%s\n", check.name.c_str());
    }
    return 0;
  }
  int failures = 0;
  for (const Check& check : checks()) {
    for (const int order : orders) {
      failures += passes(check, order) ? 0 : 1;
    }
  }
  std::printf(
      "%zu race checks in %zu orders, %d failed\n", checks().size(), std::size(orders), failures);
  return failures == 0 ? 0 : 1;
}
