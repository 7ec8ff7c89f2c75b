"""The digest of the CUDA library's sources, in a small tree of files."""

from __future__ import annotations

import pytest

from tools.gpu_session import library


@pytest.fixture
def tree(tmp_path):
    files = (
        "CMakeLists.txt", "csrc/cuda.cmake", "csrc/common/glue.h", "csrc/a/kernel.cuh",
        "csrc/a/glue.cpp", "csrc/a/cpu.cpp", "csrc/a/cpu_kernel.h", "csrc/a/race_check.cpp",
        "csrc/winograd/engine.h",
    )  # fmt: skip
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize(
    "name,counts",
    [
        ("csrc/a/kernel.cuh", True),
        ("csrc/a/glue.cpp", True),
        ("csrc/common/glue.h", True),
        ("csrc/cuda.cmake", True),
        ("CMakeLists.txt", True),
        ("csrc/a/cpu_kernel.h", False),
        ("csrc/a/race_check.cpp", False),
        ("csrc/winograd/engine.h", False),
    ],
)
def test_a_change_of_a_source_of_the_library_changes_the_digest(tree, name, counts):
    before = library.digest_of_sources(tree)
    (tree / name).write_text("changed")
    assert (library.digest_of_sources(tree) != before) == counts


def test_a_library_tells_what_it_was_built_from(tree):
    built = tree / "lib.so"
    assert library.problem_of(built, tree) == "there is no lib.so"
    built.write_bytes(b"\x7fELF")
    assert library.problem_of(built, tree) == "lib.so holds no digest of its sources"
    mark = f"fastgan CUDA sources {library.digest_of_sources(tree)}".encode()
    built.write_bytes(b"\x7fELF\0" + mark + b"\0more")
    assert library.problem_of(built, tree) == ""
    (tree / "csrc/a/kernel.cuh").write_text("changed")
    assert library.problem_of(built, tree) == "lib.so was built from other sources than these"
