// All that the cpu.cpp of an op includes. CMake compiles such a file several times:
//
// - once per instruction set, with FG_CPU_LEVEL as its name: kernels, plain functions over units of
//   work. They see no torch, for the reason in with_dtype.h.
// - once without FG_CPU_LEVEL: workspace and run, which calls the kernels in threads.
//
// What both need is above either: the division of the work into units, and the kernels' types.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cpu_block.h"
#include "cpu_level.h"

#if !defined(FG_CPU_LEVEL)
#include "cpu_sums.h"
#include "with_dtype.h"
#endif
