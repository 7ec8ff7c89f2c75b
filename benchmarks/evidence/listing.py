"""Reading what ptxas and the disassembler say about each kernel. Pure functions of text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

ELEMENT_TYPES = {"float": 4, "double": 8, "half": 2, "bfloat16": 2}  # and their bytes
PASSES = ("forward", "backward", "double backward")  # of an op's `enum class Pass`, in order
#: Of adaptive_norm's `enum class Sweep`, in order.
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
    """What ptxas reports of one kernel; sizes in bytes."""

    registers: int
    stack: int
    spill_stores: int
    spill_loads: int
    shared: int


@dataclass(frozen=True)
class Name:
    """What a kernel's name tells.

    ``rows_kernel<(Pass)1, true, float, 4>`` is of the family "rows, backward", of element float and width 4.
    """

    family: str
    element: str  # key of ELEMENT_TYPES, or "" where no element type is a template argument
    width: int  # elements per access; 1 where the name gives none

    @property
    def vectorised(self) -> bool:
        """Whether it is an instantiation for 128-bit accesses."""
        return self.width > 1 and self.width * ELEMENT_TYPES.get(self.element, 0) == 16

    @property
    def leaves_sums_alone(self) -> bool:
        """Whether it writes no image, so that it has nothing to store 128 bits at a time."""
        return self.family.endswith((", moments", " sums"))


@dataclass(frozen=True)
class Kernel:
    """One instantiation on one architecture. Counts are of instructions in the code, not of executions."""

    op: str
    architecture: int
    signature: str
    name: Name
    resources: Resources
    loads: int
    wide_loads: int
    stores: int
    wide_stores: int
    local: int  # accesses to local memory, which spilled registers and arrays live in
    instructions: int


def parse_ptxas(text: str) -> dict[str, Resources]:
    """Resources by mangled name, from ``nvcc -Xptxas -v``.

    Raises:
        ValueError: a kernel's report is incomplete, as after a change in ptxas's wording.
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
    """Resources by mangled name, from ``cuobjdump -res-usage``, which doesn't tell spills: they are 0 here.

    Of shared memory it counts the 1024 bytes that the system keeps from sm_90 on, if the kernel uses any; ptxas doesn't.
    """
    found = {}
    for name, registers, stack, shared in re.findall(
        r"Function (\S+):\s+REG:(\d+) STACK:(\d+) SHARED:(\d+)", text
    ):
        reserved = 1024 if architecture >= 90 and int(shared) else 0
        found[name] = Resources(int(registers), int(stack), 0, 0, int(shared) - reserved)
    return found


def parse_disassembly(lines: Iterable[str]) -> dict[str, Counter[str]]:
    """How often each instruction stands in each kernel, by mangled name.

    Args:
        lines: what ``cuobjdump --dump-sass`` or ``nvdisasm`` prints.
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
    """Instructions of the given operations; ``wide`` counts only those of 128 bits or more."""
    total = 0
    for instruction, times in instructions.items():
        operation, *modifiers = instruction.split(".")
        if operation in operations and (not wide or "128" in modifiers or "256" in modifiers):
            total += times
    return total


def read_name(signature: str) -> Name:
    """What the demangled signature of a kernel tells."""
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
