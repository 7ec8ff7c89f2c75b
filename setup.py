"""Run the native build that CMakeLists.txt describes, and copy its results for setuptools.

Environment variables: FASTGAN_CUDA=auto|on|off, TORCH_CUDA_ARCH_LIST, MAX_JOBS, CMAKE_ARGS and
FASTGAN_BUILD_DIR.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
HINT = "install torch first, then run  pip install --no-build-isolation ."


def require(*modules: str) -> None:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if "torch" in missing:
        raise SystemExit(
            "fastgan builds against the torch that it will run with, and none is installed here: "
            f"{HINT}"
        )
    if missing:
        raise SystemExit(
            f"fastgan's build needs {', '.join(missing)}: "
            f"pip install {' '.join(missing)}, then run it again"
        )


def program(name: str) -> str:
    """Return the path of a build tool: from the wheel next to this Python, else on PATH."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise SystemExit(f"fastgan's build needs {name}: pip install {name}, then run it again")
    return found


class CMakeBuild(build_ext):
    def run(self) -> None:
        import pybind11

        tag = f"{sys.implementation.cache_tag}"
        folder = Path(os.environ.get("FASTGAN_BUILD_DIR") or ROOT / "build" / f"native-{tag}")
        self.stage = folder / "stage"
        shutil.rmtree(self.stage, ignore_errors=True)
        cmake = program("cmake")
        configure = [
            *(cmake, "-S", str(ROOT), "-B", str(folder), "-G", "Ninja"),
            f"-DCMAKE_MAKE_PROGRAM={program('ninja')}",
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
            f"-DCMAKE_INSTALL_PREFIX={self.stage}",
            f"-DFASTGAN_CUDA={os.environ.get('FASTGAN_CUDA') or 'auto'}",
            *os.environ.get("CMAKE_ARGS", "").split(),
        ]
        jobs = os.environ.get("MAX_JOBS", str(os.cpu_count() or 1))
        for command in (
            configure,
            [cmake, "--build", str(folder), "-j", jobs],
            [cmake, "--install", str(folder)],
        ):
            if subprocess.run(command).returncode != 0:
                raise SystemExit(
                    "fastgan's native build failed; the reason is above "
                    f"({' '.join(command[:2])} ...)"
                )
        # A build for the CPU only has no CUDA library; cmake has printed the reason.
        if not (self.stage / "fastgan" / "_ops_cuda.abi3.so").exists():
            self.extensions = [e for e in self.extensions if e.name != "fastgan._ops_cuda"]
            Path(self.get_ext_fullpath("fastgan._ops_cuda")).unlink(missing_ok=True)
        super().run()

    def build_extension(self, ext: Extension) -> None:
        source = next((self.stage / "fastgan").glob(f"{ext.name.rpartition('.')[2]}.*"))
        target = Path(self.get_ext_fullpath(ext.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        # Never write to a library that a running process has mapped.
        target.unlink(missing_ok=True)
        shutil.copy2(source, target)


# Check at pip's first question, before it prints anything less clear.
if "sdist" not in sys.argv:
    require("torch", "pybind11")

setup(
    ext_modules=[
        Extension("fastgan._info", []),
        Extension("fastgan._ops", [], py_limited_api=True),
        Extension("fastgan._ops_cuda", [], py_limited_api=True),
    ],
    cmdclass={"build_ext": CMakeBuild},
)
