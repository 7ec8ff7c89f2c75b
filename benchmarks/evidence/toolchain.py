"""Runs of the CUDA tools for each op and architecture.

They read the built library if it matches the sources, else they compile. Results are kept until a
source changes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

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
# CMakeLists.txt has the same flags; tests/packaging/test_evidence.py compares them.
FLAGS = ["-std=c++17", "-O3", "-DNDEBUG", "--expt-relaxed-constexpr"]
LIBRARY = ROOT / "fastgan" / "_ops_cuda.abi3.so"
AT_ONCE = 2
_LOADING = threading.Lock()  # two threads must not load an extension module at the same time
CUDA_HOMES = ("/usr/local/cuda",)


class ToolProblem(Exception):
    """A tool is missing or failed; the message has the remedy."""


def find_nvcc() -> str:
    """Return the path of nvcc: ``$CUDACXX``, on PATH, in ``$CUDA_HOME`` or /usr/local/cuda."""
    homes = [os.environ.get("CUDA_HOME"), *CUDA_HOMES]
    named = [os.environ.get("CUDACXX"), "nvcc", *(f"{home}/bin/nvcc" for home in homes if home)]
    for name in named:
        if name and (found := shutil.which(name)):
            return found
    raise ToolProblem("no nvcc was found; install the CUDA toolkit, or name its nvcc in CUDACXX")


def _find(name: str) -> str | None:
    spec = importlib.util.find_spec("triton")
    packages = spec.submodule_search_locations if spec else None
    folders = [f"{package}/backends/nvidia/bin" for package in packages or []]
    return shutil.which(name, path=os.pathsep.join([*folders, os.environ.get("PATH", "")]))


def find_disassembler() -> list[str]:
    """Return the command that disassembles a cubin: from the triton package, else on PATH."""
    for name, options in (("cuobjdump", ["--dump-sass"]), ("nvdisasm", [])):
        if found := _find(name):
            return [found, *options]
    raise ToolProblem(
        "neither cuobjdump nor nvdisasm was found; pip install triton, or install the CUDA toolkit"
    )


def ops_with_kernels() -> list[str]:
    return sorted(path.parent.name for path in (ROOT / "csrc").glob("*/kernel.cuh"))


def source_of(op: str) -> str:
    """Return the file that CMakeLists.txt compiles for the op's kernels."""
    return (ROOT / "csrc" / "common" / "kernel.cu.in").read_text().replace("@OP@", op)


def _torch_headers() -> str:
    spec = importlib.util.find_spec("torch")  # importing torch would take seconds
    if spec is None or not spec.submodule_search_locations:
        raise ToolProblem(
            "the kernels need torch's headers and torch is not installed; pip install torch"
        )
    return f"{spec.submodule_search_locations[0]}/include"


def _output(command: Sequence[str], *, given: str | None = None, folder: str | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, input=given, cwd=folder)
    if done.returncode != 0:
        raise ToolProblem(
            f"{' '.join(command[:2])} ... failed:\n{(done.stderr or done.stdout)[-4000:]}"
        )
    return done.stdout + done.stderr


def sources(op: str) -> list[Path]:
    """Return the sources of the op's kernels, and a few more; none for the CPU alone."""
    own = (ROOT / "csrc" / op).glob("*.cuh")
    others = {
        name for path in own for name in re.findall(r'#include "\.\./(\w+)/', path.read_text())
    }
    found = [path for name in {op, "common", *others} for path in (ROOT / "csrc" / name).glob("*")]
    return sorted(path for path in found if not path.name.startswith(("cpu", "glue", "race_check")))


def fingerprint(op: str, architecture: int, nvcc_version: str) -> str:
    """Return a hash of everything that the result depends on."""
    digest = hashlib.sha256(repr((architecture, nvcc_version, FLAGS)).encode())
    readers = [Path(__file__), Path(__file__).with_name("listing.py")]
    for path in [*readers, *sources(op)]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def demangle(names: Sequence[str]) -> list[str]:
    """Return C++ signatures; it needs c++filt, which every g++ has."""
    if shutil.which("c++filt") is None:
        raise ToolProblem("no c++filt was found; install binutils")
    return _output(["c++filt"], given="\n".join(names)).splitlines()


def _listed(
    op: str, architecture: int, cubin: Path, resources: dict[str, Resources]
) -> list[Kernel]:
    """Return the kernels of a cubin with counts of their instructions."""
    code = parse_disassembly(_output([*find_disassembler(), str(cubin)]).splitlines())
    if missing := sorted(set(resources) - set(code)):
        raise ToolProblem(f"the disassembly of csrc/{op}/kernel.cuh lacks {missing[0]}")
    return [
        Kernel(
            op=op,
            architecture=architecture,
            signature=signature,
            name=read_name(signature),
            resources=resources[mangled],
            loads=count(code[mangled], "LDG", "LD"),
            wide_loads=count(code[mangled], "LDG", "LD", wide=True),
            stores=count(code[mangled], "STG", "ST"),
            wide_stores=count(code[mangled], "STG", "ST", wide=True),
            local=count(code[mangled], "LDL", "STL"),
            instructions=code[mangled].total(),
        )
        for mangled, signature in zip(resources, demangle(list(resources)))
    ]


def compile_kernels(op: str, architecture: int, nvcc: str) -> list[Kernel]:
    """Compile one op's kernels for one architecture and read the result."""
    with tempfile.TemporaryDirectory() as folder:
        cubin, source = Path(folder) / "kernel.cubin", Path(folder) / "kernel.cu"
        source.write_text(source_of(op))
        headers = ["-I", str(ROOT / "csrc"), "-isystem", _torch_headers()]
        target = [f"-arch=sm_{architecture}", "-cubin", "-Xptxas", "-v", "-o", str(cubin)]
        report = _output([nvcc, *FLAGS, *headers, *target, str(source)])
        return _listed(op, architecture, cubin, parse_ptxas(report))


def _built_by() -> str:
    """Return the version of the nvcc that built the library, "" without a library."""
    for path in LIBRARY.parent.glob("_info.*.so"):
        spec = importlib.util.spec_from_file_location("_info", path)
        if LIBRARY.exists() and spec is not None and spec.loader is not None:
            with _LOADING:
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
            return str(module.cuda_version)
    return ""


def built_kernels(op: str, architecture: int, nvcc_version: str) -> list[Kernel]:
    """Return the result of :func:`compile_kernels` from the built library, in a tenth of the time.

    The list is empty if the result could differ:

    - The library is missing or older than the sources.
    - Another nvcc built it, or it lacks the architecture.
    - A kernel uses local memory; only ptxas reports which part of it is spills.
    """
    tool = _find("cuobjdump")
    if tool is None or _built_by() != nvcc_version:
        return []
    if LIBRARY.stat().st_mtime <= max(path.stat().st_mtime for path in sources(op)):
        return []
    with tempfile.TemporaryDirectory() as folder:
        _output([tool, "-xelf", f"sm_{architecture}.cubin", str(LIBRARY)], folder=folder)
        for cubin in sorted(Path(folder).iterdir()):
            resources = parse_usage(_output([tool, "-res-usage", str(cubin)]), architecture)
            if any(name.startswith(f"_ZN2fg{len(op)}{op}") for name in resources):
                kernels = _listed(op, architecture, cubin, resources)
                return [] if any(k.local or k.resources.stack for k in kernels) else kernels
    return []


def load_kernel(data: dict[str, object]) -> Kernel:
    name, resources = Name(**data["name"]), Resources(**data["resources"])  # type: ignore[arg-type]
    parts = {"name": name, "resources": resources}
    return Kernel(**{**data, **parts})  # type: ignore[arg-type]


def cached_kernels(
    op: str, architecture: int, nvcc: str, nvcc_version: str, folder: Path
) -> list[Kernel]:
    """Return an op's kernels from ``folder`` if it has them for these sources and tools."""
    path, key = folder / f"{op}.sm_{architecture}.json", fingerprint(op, architecture, nvcc_version)
    if path.exists():
        kept = json.loads(path.read_text())
        if kept["key"] == key:
            return [load_kernel(kernel) for kernel in kept["kernels"]]
    kernels = built_kernels(op, architecture, nvcc_version) or compile_kernels(
        op, architecture, nvcc
    )
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"key": key, "kernels": [asdict(kernel) for kernel in kernels]}))
    return kernels


def nvcc_version(nvcc: str) -> str:
    lines = [line for line in _output([nvcc, "--version"]).splitlines() if "release" in line]
    return lines[0].rpartition(",")[2].strip().lstrip("V") if lines else "unknown"


def gather(ops: Sequence[str], architectures: Sequence[int], folder: Path) -> list[Kernel]:
    """Return every kernel of ``ops`` on every one of ``architectures`` (90 for sm_90).

    Two run at a time.

    Raises:
        ToolProblem: nvcc or a disassembler is missing, or a kernel doesn't compile.
    """
    nvcc = find_nvcc()
    version = nvcc_version(nvcc)
    jobs = [(op, architecture) for op in ops for architecture in architectures]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(
            pool.map(lambda job: cached_kernels(job[0], job[1], nvcc, version, folder), jobs)
        )
    return [kernel for kernels in found for kernel in kernels]
