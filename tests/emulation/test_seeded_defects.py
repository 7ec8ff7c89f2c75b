"""The emulation catches planted defects, and accepts the same kernels without them.

The emulator throws, with the CUDA thread and the line. ASan and UBSan stop the program. TSan
reports a race. A read of unwritten memory gives NaN, so the result is wrong.
"""

import functools
import re
from dataclasses import dataclass

import pytest

from .build import ROOT, SANITIZERS, build_emulation
from .sanitizers import run, tsan_command

pytestmark = pytest.mark.backends
SOURCES = ROOT / "csrc" / "emulation" / "seeded_defects"
ORDERS = (0, 1, 2, 3)  # forward, reverse, two random ones

RIGHT, THROWN, WRONG, ADDRESS, THREAD = 0, 3, 4, 5, 66  # exit statuses of seeded_defects


@dataclass(frozen=True)
class Catch:
    """Expected message of a sanitizer's program, with the planted line if `names_line`."""

    defect: str
    sanitizer: str
    status: int
    message: str
    names_line: bool = True

    def __str__(self) -> str:
        return f"{self.defect}-{self.sanitizer}"


def thrown(defect: str, message: str) -> list[Catch]:
    return [Catch(defect, s, THROWN, f"{defect}: emulator: {message}") for s in ("none", "address")]


def wrong(defect: str) -> list[Catch]:
    return [Catch(defect, s, WRONG, f"{defect}: wrong result", False) for s in ("none", "address")]


def address(defect: str, message: str) -> list[Catch]:
    return [Catch(defect, "address", ADDRESS, message)]


def thread(defect: str) -> list[Catch]:
    return [Catch(defect, "thread", THREAD, "WARNING: ThreadSanitizer: data race")]


HEAP_OVERFLOW = "ERROR: AddressSanitizer: heap-buffer-overflow"
RED_ZONE = "ERROR: AddressSanitizer: use-after-poison"
DECLARATION = r"\(\S+memory\.cpp:\d+\)"
SOME_RETURNED = "threads returned while others of their block wait in __syncthreads"
DISAGREEING = "lanes of a mask meet in different operations or with different masks"
IN_LOAD_VEC = r".*\[block \(0,0,0\) thread \(\d,0,0\) in load_vec at"
IN_WARP = r".*\[block \(0,0,0\) thread \(\d+,0,0\) in __shfl_xor_sync at"

CATCHES = [
    # memory
    *address("out_of_bounds_global_write", HEAP_OVERFLOW),
    *address("out_of_bounds_global_read", HEAP_OVERFLOW),
    *address("out_of_bounds_shared_write", RED_ZONE),
    *address("out_of_bounds_dynamic_shared", RED_ZONE),
    # Without ASan a write to a red zone is detected when the block ends; the message names the
    # array.
    Catch(
        "out_of_bounds_shared_write", "none", THROWN, f"past the end of tile {DECLARATION}", False
    ),
    Catch(
        "out_of_bounds_dynamic_shared",
        "none",
        THROWN,
        f"past the end of buffer {DECLARATION}",
        False,
    ),
    *address(
        "out_of_bounds_shared_index", r"runtime error: index 8 out of bounds for type 'float \[8\]'"
    ),
    *address(
        "misaligned_cast",
        "runtime error: .* misaligned address .* which requires 16 byte alignment",
    ),
    *thrown("misaligned_load_vec", f"misaligned vector access{IN_LOAD_VEC}"),
    *wrong("uninitialised_shared"),
    # barriers
    *thrown("divergent_barrier", "divergent __syncthreads.*32 threads from .* 32 threads from "),
    *thrown("barrier_in_branch", f"{SOME_RETURNED}.*16 threads from "),
    *thrown("early_return", f"{SOME_RETURNED}.*24 threads from .* returned"),
    *thrown("uneven_loop", SOME_RETURNED),
    # races
    *thread("missing_barrier"),
    *wrong("missing_barrier"),  # in any order, one half reads before the other has written
    *thread("missing_second_barrier"),
    *thread("missing_warp_sync"),
    *thread("non_atomic_sum"),
    *thread("race_across_blocks"),
    *thread("missing_fence"),
    # warps
    *thrown(
        "mask_of_absent_lanes",
        r"deadlock.*16 threads .*\(mask 0xffffffff\).*16 threads .* returned",
    ),
    *thrown("caller_outside_mask", f"the calling lane isn't in the mask{IN_WARP}"),
    *thrown("mask_beyond_block", f"the mask names lanes that the block doesn't have{IN_WARP}"),
    *thrown("read_outside_mask", "shuffle reads lane 16, which the mask doesn't hold"),
    *thrown("disagreeing_masks", DISAGREEING),
    *thrown("different_operations", DISAGREEING),
]


@functools.cache
def program(sanitizer: str) -> tuple[str, ...]:
    built = build_emulation(sanitizer, "seeded_defects")
    return tuple(tsan_command(built)) if sanitizer == "thread" else (str(built),)


@functools.cache
def names(kind: str) -> frozenset[str]:
    """Return the names of the "defect" or "correct" kernels."""
    lines = run([*program("none"), "--list"]).stdout.splitlines()
    return frozenset(line.split()[1] for line in lines if line.split()[0] == kind)


@functools.cache
def planted_lines() -> dict[str, str]:
    """Return file:line of each mark `DEFECT name, name` in the sources."""
    places = {}
    for source in SOURCES.glob("*.cpp"):
        for number, text in enumerate(source.read_text().splitlines(), start=1):
            mark = re.search(r"// .*\bDEFECT ([\w, ]+)$", text)
            for name in mark[1].split(", ") if mark else []:
                places[name] = f"{source.name}:{number}"
    return places


def test_every_defect_has_its_catch_and_its_mark() -> None:
    assert names("defect") == {catch.defect for catch in CATCHES}
    assert names("defect") == set(planted_lines())


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("catch", CATCHES, ids=str)
def test_defect_is_caught(catch: Catch, order: int) -> None:
    done = run([*program(catch.sanitizer), catch.defect, "--order", str(order)])
    output = done.stdout + done.stderr
    assert done.returncode == catch.status, output
    assert re.search(catch.message, output), output
    if catch.names_line:
        assert re.search(re.escape(planted_lines()[catch.defect]) + r"\b", output), output


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("sanitizer", SANITIZERS)
def test_no_false_alarm(sanitizer: str, order: int) -> None:
    done = run([*program(sanitizer), "--correct", "--order", str(order)])
    assert done.returncode == RIGHT, done.stdout + done.stderr
    assert done.stderr == ""
    assert set(done.stdout.splitlines()) == {f"{name}: right result" for name in names("correct")}


def test_unknown_case_is_refused() -> None:
    done = run([*program("none"), "no_such_case"])
    assert done.returncode == 2
    assert "no case is called no_such_case" in done.stderr
