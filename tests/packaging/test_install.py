"""Installation by pip: a wheel with the native libraries, and a clear error without torch."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "TRITON_INTERPRET")}
    return subprocess.run(
        [str(c) for c in command],
        cwd=ROOT,
        env={**clean, **environment},
        capture_output=True,
        text=True,
    )


#: Runs in place of the compiler. It copies the CPU code of `make setup`'s library if that is newer
#: than the sources. Else it compiles without optimisation; the ops' tests run the optimised code.
COMPILER = """\
#!/bin/sh
for word; do [ "$before" = -o ] && object=$word; before=$word; done
built={built}/$object
case $object in *cpu*.o)
  newer=$(find {root}/csrc -type f -newer "$built" ! -path '*/emulation/*' 2>/dev/null)
  if [ -e "$built" ] && [ -z "$newer" ]; then
    exec cp "$built" "$object"
  fi
esac
exec "$@" -O0
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Build a CPU-only wheel; return it with the build's output."""
    folder = tmp_path_factory.mktemp("wheel")
    compiler = ROOT / "build" / "test-wheel" / "compiler"
    compiler.parent.mkdir(parents=True, exist_ok=True)
    compiler.write_text(
        COMPILER.format(built=ROOT / "build" / f"native-{sys.implementation.cache_tag}", root=ROOT)
    )
    compiler.chmod(0o755)
    done = run(
        *(
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--no-build-isolation",
            "--no-deps",
            "-v",
            "-w",
            folder,
            ".",
        ),
        FASTGAN_CUDA="off",
        FASTGAN_BUILD_DIR=str(ROOT / "build" / "test-wheel"),
        CMAKE_ARGS=f"-DCMAKE_CXX_COMPILER_LAUNCHER={compiler} -DCMAKE_UNITY_BUILD=OFF",
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return next(folder.glob("*.whl")), done.stdout


@pytest.mark.long
@pytest.mark.xdist_group("wheel")
def test_wheel_holds_the_native_libraries_and_data(wheel):
    names = zipfile.ZipFile(wheel[0]).namelist()
    assert "fastgan/_ops.abi3.so" in names
    assert any(n.startswith("fastgan/_info.") for n in names)
    assert "fastgan/metrics/digit_classifier.safetensors" in names
    assert "fastgan/py.typed" in names
    assert "fastgan/ops/bias_act/README.md" in names
    assert any(n.endswith("LICENSE") for n in names)
    assert "fastgan/_ops_cuda.abi3.so" not in names
    assert not [
        n for n in names if n.startswith(("tests/", "benchmarks/", "csrc/")) or "emulat" in n
    ]


@pytest.mark.long
@pytest.mark.xdist_group("wheel")
def test_installed_wheel_runs_from_anywhere(wheel, tmp_path):
    done = run(sys.executable, "-m", "pip", "install", "--no-deps", "--target", tmp_path, wheel[0])
    assert done.returncode == 0, done.stderr
    code = (
        "import fastgan, torch; from fastgan import ops; assert ops.backends()['cpu'].usable; "
        "print(fastgan.__file__); ops.bias_act(torch.zeros(1, 2), torch.ones(2), backend='cpu')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path))


@pytest.mark.long
def test_without_torch_one_sentence_says_what_to_do(tmp_path):
    venv.create(tmp_path / "bare")
    python = tmp_path / "bare" / "bin" / "python"
    (packages,) = (tmp_path / "bare" / "lib").glob("python*/site-packages")
    # These are ours; there is no torch next to them.
    for name in ("setuptools", "_distutils_hack", "wheel"):
        (packages / name).symlink_to(Path(importlib.import_module(name).__file__).parent)
    pip = (sys.executable, "-m", "pip", "--python", python)
    done = run(*pip, "install", "--no-build-isolation", "--no-deps", ".")
    assert done.returncode != 0
    sentence = (
        "fastgan builds against the torch that it will run with, and none is installed here: "
        "install torch first, then run  pip install --no-build-isolation ."
    )
    assert sentence in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.backends
def test_cuda_asked_for_and_missing_is_a_sentence(tmp_path):
    """FASTGAN_CUDA=on without nvcc stops the configuration with the reason."""
    import pybind11

    scripts = Path(sys.executable).parent
    done = run(
        *(
            scripts / "cmake",
            "-S",
            ROOT,
            "-B",
            tmp_path,
            "-G",
            "Ninja",
            f"-DCMAKE_MAKE_PROGRAM={scripts / 'ninja'}",
        ),
        *(
            "-DFASTGAN_CUDA=on",
            "-DCMAKE_CUDA_COMPILER=NOTFOUND",
            f"-DPython_EXECUTABLE={sys.executable}",
        ),
        f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
        CUDACXX="/nowhere/nvcc",
    )
    assert done.returncode != 0
    assert "FASTGAN_CUDA=on, but no nvcc was found" in done.stderr + done.stdout
