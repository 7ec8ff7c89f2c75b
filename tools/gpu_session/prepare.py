"""Prepare a session, without a GPU: ``python -m tools.gpu_session.prepare``.

It builds the CUDA library for ``TORCH_CUDA_ARCH_LIST`` (9.0 if that isn't set), or checks the one
that is there. It downloads packages that a bare machine may lack, and runs the session dry on the
CPU. Then it prints the command for the GPU machine, and what to bring along.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tools.gpu_session import library
from tools.gpu_session.results import SessionResults
from tools.gpu_session.session import WHEELS

ROOT = library.ROOT
#: What may travel, in MiB.
LIMIT = 64.0
#: Packages of `import fastgan` and of the tests; torch and numpy have to be on the machine.
PACKAGES = ("tyro", "rich", "safetensors", "pytest<9.2", "pytest-xdist", "pytest-timeout")
#: Packages with these names come with torch, or are too large.
NEVER = ("torch", "numpy", "nvidia", "triton")
OUT = "build/gpu_session/out"


class NotReady(Exception):
    """The session can't run yet; the message says why and what to do."""


def check_library(*, build: bool) -> None:
    """Check the CUDA library, and build it if it isn't the one of these sources.

    Raises:
        NotReady: there is no library, or another one.
    """
    path = ROOT / library.LIBRARY
    problem = library.problem_of(path)
    if problem and build:
        print(f"{problem}: building it")
        library.build()
        problem = library.problem_of(path)
    if problem:
        raise NotReady(f"{problem}: run this again without --no-build, with nvcc on PATH")


def download(folder: Path, python: str) -> list[Path]:
    """Download the packages for a machine's Python, x86-64 Linux; return the wheels.

    Raises:
        NotReady: pip can't; wheels from an earlier run stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in (28, 17)] + ["manylinux2014_x86_64"]
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder)),
        *("--only-binary=:all:", "--python-version", python, "--implementation", "cp"),
        *(part for platform in platforms for part in ("--platform", platform)),
        *PACKAGES,
    ]
    if subprocess.run(command).returncode:
        raise NotReady("pip couldn't download the packages: see above, or pass --no-packages")
    for wheel in folder.glob("*.whl"):
        if wheel.name.startswith(NEVER):
            wheel.unlink()
    return sorted(folder.glob("*.whl"))


def megabytes(paths: Iterable[Path]) -> float:
    """Return the size of files in MiB."""
    return sum(path.stat().st_size for path in paths) / 2**20


def luggage(wheels: Iterable[Path]) -> list[Path]:
    """Return all files that travel: those that git knows, the libraries and the packages.

    Raises:
        NotReady: they are larger than the limit.
    """
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = {ROOT / name for name in listed.splitlines()}
    files |= {*(ROOT / "fastgan").glob("*.so"), *wheels}
    found = sorted(path for path in files if path.is_file())
    if (size := megabytes(found)) > LIMIT:
        largest = ", ".join(
            f"{path.relative_to(ROOT)} ({megabytes([path]):.1f})"
            for path in sorted(found, key=lambda path: -path.stat().st_size)[:5]
        )
        raise NotReady(
            f"the files to bring along must be at most {LIMIT:g} MiB, got {size:.1f}: build for "
            f"fewer architectures by TORCH_CUDA_ARCH_LIST; the largest are {largest}"
        )
    return found


def run_dry() -> None:
    """Run the session dry on the CPU.

    Raises:
        NotReady: a stage failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tools.gpu_session.session", "--device", "cpu", "--quick"]
        # A busy machine may take longer than the dry run of an idle one.
        subprocess.run([*command, "--budget", "240", "--out", folder], cwd=ROOT)
        results = SessionResults.load(Path(folder) / "results.json")
    if bad := [stage.name for stage in results.stages if stage.status != "done"]:
        raise NotReady(f"the dry run failed at {', '.join(bad)}: see above")


def advice(files: list[Path]) -> str:
    """Return what to bring along and what to run there."""
    extra = [*sorted((ROOT / "fastgan").glob("*.so")), *sorted(WHEELS.glob("*.whl"))]
    folders = sorted({str(path.parent.relative_to(ROOT)) for path in extra})
    return "\n".join(
        [
            "",
            f"Bring along {megabytes(files):.1f} MiB: this checkout, and what git ignores in it:",
            *(f"  {path.relative_to(ROOT)}  {megabytes([path]):.1f} MiB" for path in extra),
            f"(paths: {' '.join(f'{folder}/' for folder in folders)})",
            "",
            "Run there, in the checkout's folder; it takes at most 7 minutes:",
            f"  python3 -m tools.gpu_session.session --out {OUT}",
            "",
            f"Bring back {OUT}/results.json, log.txt and the pictures; then, here:",
            "  python -m tools.gpu_session.report results.json --write",
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.gpu_session.prepare", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--no-build", action="store_true", help="check the library, never build")
    parser.add_argument("--no-packages", action="store_true", help="download no packages")
    parser.add_argument("--no-dry-run", action="store_true", help="leave out the dry run")
    parser.add_argument("--python", default="3.12", help="the machine's Python; usually 3.12")
    given = parser.parse_args(arguments)
    os.chdir(ROOT)
    try:
        check_library(build=not given.no_build)
        wheels = [] if given.no_packages else download(WHEELS, given.python)
        files = luggage(wheels or WHEELS.glob("*.whl"))
        if not given.no_dry_run:
            run_dry()
    except (NotReady, subprocess.CalledProcessError) as error:
        print(f"not ready: {error}", file=sys.stderr)
        return 1
    print(advice(files))
    return 0


if __name__ == "__main__":
    sys.exit(main())
