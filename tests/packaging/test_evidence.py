"""Compiled CUDA kernels: readers on recorded text, thresholds, and the real kernels."""

import os
import re
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.evidence import tables, thresholds, toolchain
from benchmarks.evidence.__main__ import main
from benchmarks.evidence.listing import (
    Kernel,
    Name,
    Resources,
    count,
    parse_disassembly,
    parse_ptxas,
    parse_usage,
    read_name,
)

ROOT = Path(__file__).resolve().parents[2]

PTXAS = """\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z4rowsIfEvPT_' for 'sm_90'
ptxas info    : Function properties for _Z4rowsIfEvPT_
    8 bytes stack frame, 16 bytes spill stores, 20 bytes spill loads
ptxas info    : Used 48 registers, used 1 barriers, 8 bytes cumulative stack size, 4096 bytes smem
ptxas info    : Compile time = 75.416 ms
ptxas info    : Compiling entry function '_Z7columnsv' for 'sm_90'
ptxas info    : Function properties for _Z7columnsv
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 32 registers, used 0 barriers, 392 bytes cmem[0]
"""

CUOBJDUMP = """\
\tcode for sm_90
\t\tFunction : _Z4rowsIfEvPT_
\t.headerflags\t@"EF_CUDA_SM90 EF_CUDA_VIRTUAL_SM(EF_CUDA_SM90)"
        /*0000*/                   LDC R1, c[0x0][0x28] ;            /* 0x00000a00ff017b82 */
                                                                     /* 0x000fe200000e0800 */
        /*0010*/              @!P0 LDG.E.128 R4, desc[UR4][R2.64] ;  /* 0x0000000402048981 */
        /*0020*/                   LDG.E.128.CONSTANT R4, [R2.64] ;  /* 0x0000000402048981 */
        /*0030*/                   LDG.E.U16 R4, [R2.64] ;           /* 0x0000000402048981 */
        /*0040*/              @UP0 STG.E.128 desc[UR4][R2.64], R4 ;  /* 0x0000000402048981 */
        /*0050*/                   STL.64 [R1], R4 ;                 /* 0x0000000402048981 */
\t\tFunction : _Z7columnsv
        /*0000*/                   EXIT ;                            /* 0x000000000000794d */
"""

NVDISASM = """\
\t.section\t.text._Z7columnsv,"ax",@progbits
        /*0000*/                   STG.E desc[UR4][R2.64], R4 ;
        /*0010*/                   EXIT ;
"""


def test_ptxas_report():
    assert parse_ptxas(PTXAS) == {
        "_Z4rowsIfEvPT_": Resources(
            registers=48, stack=8, spill_stores=16, spill_loads=20, shared=4096
        ),
        "_Z7columnsv": Resources(registers=32, stack=0, spill_stores=0, spill_loads=0, shared=0),
    }


def test_ptxas_report_in_words_that_are_not_known():
    with pytest.raises(ValueError, match="no registers for _Z7columnsv"):
        parse_ptxas(PTXAS.replace("Used 32 registers", "32 registers were used"))


USAGE = """\
Fatbin elf code:
================
arch = sm_90

Resource usage:
 Common:
  GLOBAL:0
 Function _Z4rowsIfEvPT_:
  REG:48 STACK:8 SHARED:5120 LOCAL:0 CONSTANT[2]:28 CONSTANT[0]:664 TEXTURE:0 SURFACE:0 SAMPLER:0
 Function _Z7columnsv:
  REG:32 STACK:0 SHARED:0 LOCAL:0 CONSTANT[0]:568 TEXTURE:0 SURFACE:0 SAMPLER:0
"""


def test_usage_report():
    columns = Resources(registers=32, stack=0, spill_stores=0, spill_loads=0, shared=0)
    for architecture, shared in ((80, 5120), (90, 4096)):
        rows = Resources(registers=48, stack=8, spill_stores=0, spill_loads=0, shared=shared)
        assert parse_usage(USAGE, architecture) == {"_Z4rowsIfEvPT_": rows, "_Z7columnsv": columns}


def test_disassembly():
    found = parse_disassembly(CUOBJDUMP.splitlines())
    assert list(found) == ["_Z4rowsIfEvPT_", "_Z7columnsv"]
    rows = found["_Z4rowsIfEvPT_"]
    assert (count(rows, "LDG"), count(rows, "LDG", wide=True)) == (3, 2)
    assert (count(rows, "STG"), count(rows, "STG", wide=True)) == (1, 1)
    assert count(rows, "LDL", "STL") == 1
    assert rows.total() == 6
    assert parse_disassembly(NVDISASM.splitlines()) == {
        "_Z7columnsv": Counter({"STG.E": 1, "EXIT": 1})
    }


@pytest.mark.parametrize(
    "signature,expected",
    [
        (
            "void fg::bias_act::rows_kernel<(fg::bias_act::Pass)1, true, float, 4>"
            "(fg::bias_act::Tensors<float>, "
            "fg::bias_act::Setting<fg::Accumulate<float>::type>, long)",
            Name("rows, backward", "float", 4),
        ),
        (
            "void fg::bias_act::columns_kernel"
            "<(fg::bias_act::Pass)2, false, c10::BFloat16, 8>(long)",
            Name("columns, double backward", "bfloat16", 8),
        ),
        (
            "void fg::bias_act::reduce_kernel"
            "<c10::Half>(fg::Accumulate<c10::Half>::type const*, c10::Half*)",
            Name("reduce", "half", 1),
        ),
        (
            "void fg::adaptive_norm::sweep_kernel"
            "<(fg::adaptive_norm::Sweep)4, true, float, 4>(long)",
            Name("sweep, second sums", "float", 4),
        ),
        ("void fg::other_kernel(float*)", Name("other", "", 1)),
    ],
)
def test_names(signature, expected):
    assert read_name(signature) == expected


def test_vectorised_means_128_bits():
    assert Name("rows", "half", 8).vectorised and Name("rows", "double", 2).vectorised
    assert not Name("rows", "half", 1).vectorised and not Name("rows", "", 4).vectorised


def test_occupancy_in_blocks_of_256():
    assert thresholds.occupancy(32) == 1.0
    assert thresholds.occupancy(33) == 0.75  # 40 registers are allocated: six blocks
    assert thresholds.occupancy(64) == 0.5
    assert thresholds.occupancy(thresholds.REGISTER_CEILING) == 0.375


WIDTHS = {"float": 4, "double": 2, "half": 8, "bfloat16": 8}


def kernel(element: str = "float", **changes) -> Kernel:
    """Return a kernel that meets every threshold, unless ``changes`` break it."""
    good = Kernel(
        op="bias_act",
        architecture=90,
        signature="void fg::bias_act::rows_kernel<(fg::bias_act::Pass)0, "
        f"{element}, {WIDTHS[element]}>(long)",
        name=Name("rows, forward", element, WIDTHS[element]),
        resources=Resources(registers=32, stack=0, spill_stores=0, spill_loads=0, shared=0),
        loads=2,
        wide_loads=1,
        stores=1,
        wide_stores=1,
        local=0,
        instructions=100,
    )
    return replace(good, **changes)


def test_thresholds_hold():
    scalar = kernel(name=Name("rows, forward", "float", 1), wide_loads=0, wide_stores=0)
    sums = kernel(name=Name("sweep, first sums", "float", 4), wide_stores=0)
    assert thresholds.problems([scalar, sums, *map(kernel, WIDTHS)]) == []


@pytest.mark.parametrize(
    "changes,words",
    [
        ({"resources": Resources(32, 8, 16, 20, 0)}, "spills 16 bytes of stores and 20 of loads"),
        ({"local": 3}, "has 3 accesses to local memory"),
        ({"resources": Resources(81, 0, 0, 0, 0)}, "takes 81 registers, at most 80 are allowed"),
        ({"wide_loads": 0}, "no 128-bit load among its 2 loads"),
        ({"wide_stores": 0}, "no 128-bit store among its 1 stores"),
    ],
)
def test_each_threshold_is_missed(changes, words):
    others = [kernel(element) for element in ("double", "half", "bfloat16")]
    (problem,) = thresholds.problems([kernel(**changes), *others])
    assert problem.startswith("sm_90 bias_act: rows_kernel<(Pass)0, float, 4> ")
    assert words in problem


def test_every_element_type_of_images_has_a_fast_path():
    (problem,) = thresholds.problems([kernel("float"), kernel("bfloat16")])
    assert problem == "bias_act has no instantiation for 128-bit accesses of half"


def test_the_table_shows_the_worst_of_a_family():
    wasteful = kernel(architecture=100, resources=Resources(80, 0, 0, 0, 32), wide_stores=3)
    header, rows = tables.family_table([kernel(), wasteful])
    assert header[3:5] == ["registers sm_90", "registers sm_100"]
    assert rows == [
        ["bias_act: rows, forward", "float", "1", "32", "80", "38", "0", "32", "1", "1 to 3"],
    ]


def test_full_tables_are_kept(tmp_path):
    as_json, as_csv = tables.save_all([kernel()], tmp_path)
    assert '"registers": 32' in as_json.read_text()
    assert as_csv.read_text().startswith("family,element,width,registers,")


def test_flags_are_those_of_the_build():
    text = (ROOT / "CMakeLists.txt").read_text() + (ROOT / "csrc" / "cuda.cmake").read_text()
    (options,) = re.findall(r"target_compile_options\(_ops_cuda PRIVATE([^)]*)\)", text)
    of_the_host = ("-Xcompiler", "-Xfatbin", "--threads")
    for_the_device = {option for option in options.split() if not option.startswith(of_the_host)}
    (standard,) = re.findall(r"CMAKE_CUDA_STANDARD (\d+)", text)
    assert set(toolchain.FLAGS) == for_the_device | {f"-std=c++{standard}", "-O3", "-DNDEBUG"}


def test_without_nvcc_one_sentence_says_what_to_do(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDACXX", "nvcc-that-is-not-there")
    monkeypatch.delenv("CUDA_HOME", raising=False)
    monkeypatch.setattr(toolchain, "CUDA_HOMES", ())
    with pytest.raises(SystemExit) as stopped:
        main(["--out", str(tmp_path)])
    assert stopped.value.code == 2
    assert "install the CUDA toolkit" in capsys.readouterr().err


@pytest.fixture
def nvcc() -> str:
    try:
        toolchain.find_disassembler()
        return toolchain.find_nvcc()
    except toolchain.ToolProblem as problem:
        pytest.skip(f"the CUDA kernels cannot be compiled here: {problem}")


KERNELS = {
    "sums": """
template <class T> __global__ void pairs_kernel(const T* x, T* y) {
  __shared__ T kept[256];
  kept[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = kept[threadIdx.x ^ 1] + x[threadIdx.x];
}
template __global__ void pairs_kernel(const float*, float*);
template __global__ void pairs_kernel(const double*, double*);
""",
    "spills": """
__global__ void turn_kernel(float* y, int by) {
  float local[32];
  for (int i = 0; i < 32; ++i) local[(i * by) & 31] = y[i];
  for (int i = 0; i < 32; ++i) y[i] = local[i];
}
""",
}


@pytest.fixture
def built(nvcc, monkeypatch, tmp_path) -> str:
    """Build a library with the kernels of two ops for sm_90; return nvcc's version."""
    for op, kernel in KERNELS.items():
        (tmp_path / "csrc" / op).mkdir(parents=True)
        (tmp_path / "csrc" / op / "kernel.cuh").write_text(f"namespace fg::{op} {{{kernel}}}")
    (tmp_path / "csrc" / "common").mkdir()
    (tmp_path / "csrc" / "common" / "kernel.cu.in").write_text('#include "@OP@/kernel.cuh"')
    monkeypatch.setattr(toolchain, "ROOT", tmp_path)
    version = toolchain.nvcc_version(nvcc)
    library = tmp_path / "library.so"
    files = [tmp_path / f"{op}.cu" for op in KERNELS]
    for op, file in zip(KERNELS, files):
        file.write_text(toolchain.source_of(op))
    flags = [
        *toolchain.FLAGS,
        "-gencode=arch=compute_90,code=sm_90",
        "-Xfatbin=-compress-all",
        "-Xcompiler=-fPIC",
        "-shared",
        f"-I{tmp_path / 'csrc'}",
    ]
    subprocess.run([nvcc, *flags, "-o", str(library), *map(str, files)], check=True)
    monkeypatch.setattr(toolchain, "LIBRARY", library)
    monkeypatch.setattr(toolchain, "_built_by", lambda: version)
    return version


@pytest.mark.backends
def test_the_library_tells_what_a_compilation_tells(nvcc, built, tmp_path):
    compiled = toolchain.compile_kernels("sums", 90, nvcc)
    assert {kernel.name for kernel in compiled} == {
        Name("pairs", t, 1) for t in ("float", "double")
    }
    assert all(k.resources.shared in (1024, 2048) and k.loads and k.stores for k in compiled)
    found = toolchain.built_kernels("sums", 90, built)
    assert sorted(found, key=lambda k: k.signature) == sorted(compiled, key=lambda k: k.signature)
    (turn,) = toolchain.compile_kernels("spills", 90, nvcc)
    assert turn.local > 0 and turn.resources.stack == 128
    # The library has no answer, or none yet:
    assert toolchain.built_kernels("spills", 90, built) == []
    assert toolchain.built_kernels("sums", 80, built) == []
    assert toolchain.built_kernels("sums", 90, "12.0.1") == []
    later = toolchain.LIBRARY.stat().st_mtime + 1
    os.utime(tmp_path / "csrc" / "sums" / "kernel.cuh", (later, later))
    assert toolchain.built_kernels("sums", 90, built) == []


#: `make evidence` lists more; compiling for each takes a minute and a half.
CHECKED = (90,)


@pytest.mark.backends
@pytest.mark.parametrize("op", toolchain.ops_with_kernels())
def test_the_kernels_keep_the_thresholds(op, nvcc):
    """Check the kernels' code: two minutes unless the library or build/evidence has it."""
    kernels = toolchain.gather([op], CHECKED, ROOT / "build" / "evidence")
    assert {(k.op, k.architecture) for k in kernels} == {
        (op, architecture) for architecture in CHECKED
    }
    problems = thresholds.problems(kernels)
    assert not problems, f"{len(problems)} thresholds missed:\n" + "\n".join(problems[:20])
