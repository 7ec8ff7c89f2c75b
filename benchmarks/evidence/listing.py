"""Parsing of ptxas's and the disassembler's output on each kernel: pure functions of text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

ELEMENT_TYPES = {"float": 4, "double": 8, "half": 2, "bfloat16": 2}  # name: bytes
PASSES = ("forward", "backward", "double backward")  # an op's `enum class Pass`, in order
#: adaptive_norm's `enum class Sweep`, in order.
SWEEPS = (
    "moments",
    "forward",
    "first sums",
    "backward",
    "second sums",
    "bend sums",
    "double backward",
)
_STEPS = {"Pass": PASSES, "Sweep": SWEEPS}
_SPELLING = {"c10::Half": "half", "c10::BFloat16": "bfloat16"}


@dataclass(frozen=True)
class Resources:
    """ptxas's report on one kernel; sizes are in bytes."""

    registers: int
    stack: int
    spill_stores: int
    spill_loads: int
    shared: int


@dataclass(frozen=True)
class Name:
    """The parts of a kernel's name.

    ``rows_kernel<(Pass)1, true, float, 4>`` has the family "rows, backward", element float and
    width 4.
    """

    family: str
    element: str  # key of ELEMENT_TYPES, or "" if no template argument is an element type
    width: int  # elements per access, 1 if the name has none

    @property
    def vectorised(self) -> bool:
        """Return True for an instantiation for 128-bit accesses."""
        return self.width > 1 and self.width * ELEMENT_TYPES.get(self.element, 0) == 16

    @property
    def leaves_sums_alone(self) -> bool:
        """Return True if it writes no image, and so can't store 128 bits."""
        return self.family.endswith((", moments", " sums"))


@dataclass(frozen=True)
class Kernel:
    """One instantiation on one architecture. Counts are instructions in the code, not executed."""

    op: str
    architecture: int
    signature: str
    name: Name
    resources: Resources
    loads: int
    wide_loads: int
    stores: int
    wide_stores: int
    local: int  # accesses to local memory, which has spilled registers and arrays
    instructions: int


def parse_ptxas(text: str) -> dict[str, Resources]:
    """Return resources by mangled name, from ``nvcc -Xptxas -v``.

    Raises:
        ValueError: a kernel's report is incomplete, as after a change of ptxas's wording.
    """
    found, spills, entry = {}, (0, 0, 0), None
    for line in text.splitlines():
        if match := re.search(r"Compiling entry function '(\S+)'", line):
            if entry is not None:
                raise ValueError(f"ptxas reported no registers for {entry}")
            entry = match[1]
        elif match := re.search(
            r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line
        ):
            spills = int(match[1]), int(match[2]), int(match[3])
        elif entry and (match := re.search(r"Used (\d+) registers", line)):
            shared = re.search(r"(\d+) bytes smem", line)
            found[entry] = Resources(int(match[1]), *spills, int(shared[1]) if shared else 0)
            entry = None
    if entry is not None:
        raise ValueError(f"ptxas reported no registers for {entry}")
    return found


def parse_usage(text: str, architecture: int) -> dict[str, Resources]:
    """Return resources by mangled name, from ``cuobjdump -res-usage``.

    It doesn't report spills, which are 0 here. If a kernel uses shared memory, it also counts the
    1024 bytes that the system uses from sm_90 on; ptxas doesn't.
    """
    found = {}
    for name, registers, stack, shared in re.findall(
        r"Function (\S+):\s+REG:(\d+) STACK:(\d+) SHARED:(\d+)", text
    ):
        reserved = 1024 if architecture >= 90 and int(shared) else 0
        found[name] = Resources(int(registers), int(stack), 0, 0, int(shared) - reserved)
    return found


def parse_disassembly(lines: Iterable[str]) -> dict[str, Counter[str]]:
    """Count each instruction in each kernel, by mangled name.

    Args:
        lines: output of ``cuobjdump --dump-sass`` or ``nvdisasm``.
    """
    found: dict[str, Counter[str]] = {}
    counts: Counter[str] = Counter()
    for line in lines:
        if match := re.search(r"Function : (\S+)|\.section\s+\.text\.([^\s,]+)", line):
            counts = found.setdefault(match[1] or match[2], Counter())
        elif match := re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)", line):
            counts[match[1]] += 1
    return found


def count(instructions: Counter[str], *operations: str, wide: bool = False) -> int:
    """Count instructions of these operations; with ``wide``, only those of 128 bits or more."""
    total = 0
    for instruction, times in instructions.items():
        operation, *modifiers = instruction.split(".")
        if operation in operations and (not wide or "128" in modifiers or "256" in modifiers):
            total += times
    return total


def read_name(signature: str) -> Name:
    """Return the parts of a kernel's demangled signature."""
    plain = re.match(r"(?:void )?(?:\w+::)*(\w+?)(?:_kernel)?(?:<(.*?)>)?\(", signature + "(")
    if plain is None:
        return Name(signature, "", 1)
    arguments = [argument.strip() for argument in (plain[2] or "").split(",")]
    found = [re.fullmatch(r"\((?:\w+::)*(Pass|Sweep)\)([0-6])", a) for a in arguments]
    steps = [_STEPS[match[1]][int(match[2])] for match in found if match]
    elements = [_SPELLING.get(a, a) for a in arguments if _SPELLING.get(a, a) in ELEMENT_TYPES]
    widths = [int(a) for a in arguments if a.isdigit()]
    return Name(
        ", ".join([plain[1], *steps]), elements[0] if elements else "", widths[-1] if widths else 1
    )
