"""A whole session of the benchmarks, on a small op of this test."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long  # each test starts pytest
ROOT = Path(__file__).resolve().parents[2]

BENCHMARK = """
import torch
from benchmarks import sides
from benchmarks.harness import OpBenchmark, OpBenchmarks
from tests.specs import BenchmarkCase, OpSpec


def not_here(*args):
    raise sides.SideUnavailable("left out, to be quick")


sides._prepare_compiled = not_here


def scale(x, *, factor, backend):
    return x * (factor + (ERROR if backend == "cpu" else 0))


moved = {"forward": 2.0, "forward_backward": 4.0, "double_backward": 4.0}
case = BenchmarkCase(
    "double", lambda dtype, device: [torch.ones(3, 5).to(device, dtype)], {"factor": 2.0}, moved
)


class TestScale(OpBenchmarks):
    ops = [OpBenchmark(OpSpec("scale", scale, [], [], [], [case], {torch.float32: 1e-6}))]
"""


def run_session(folder: Path, error: float) -> subprocess.CompletedProcess:
    (folder / "bench_scale.py").write_text(BENCHMARK.replace("ERROR", str(error)))
    command = [
        *(
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "benchmarks.conftest",
            "-c",
            str(ROOT / "benchmarks" / "pytest.ini"),
        ),
        *(
            "--quick",
            "--device",
            "cpu",
            "--threads",
            "1",
            f"--benchmark-json={folder}/out/benchmarks.json",
        ),
        str(folder / "bench_scale.py"),
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    folder = tmp_path_factory.mktemp("right")
    return run_session(folder, 0.0), folder / "out"


@pytest.mark.xdist_group("session")
def test_a_session_prints_the_header_and_the_table(right):
    done, _ = right
    assert done.returncode == 0, done.stdout + done.stderr
    for words in (
        "threads",
        "allocator",
        "commit",
        "torch",
        "native build",
        "float32: medians",
        "double 3×5",
    ):
        assert words in done.stdout
    assert (
        "torch.compile, forward, forward + backward, double backward: left out, to be quick"
        in done.stdout
    )
    assert "peak extra memory" in done.stdout


@pytest.mark.xdist_group("session")
def test_a_session_writes_both_kinds_of_json_and_the_chart(right):
    _, folder = right
    ours = json.loads((folder / "results.json").read_text())
    assert [c["measure"] for c in ours["comparisons"]] == [
        "forward",
        "forward_backward",
        "double_backward",
    ]
    theirs = json.loads((folder / "benchmarks.json").read_text())["benchmarks"]
    for benchmark, comparison in zip(theirs, ours["comparisons"]):
        assert set(benchmark["extra_info"]["median_ms"]) == {"copy", "cpu", "eager"}
        assert (
            benchmark["extra_info"]["median_ms"]["cpu"]
            == comparison["timings"]["cpu"]["median"] * 1e3
        )
    assert (folder / "scale.png").read_bytes().startswith(b"\x89PNG")


def test_a_wrong_backend_fails_and_no_time_is_shown(tmp_path):
    done = run_session(tmp_path, 1e-3)
    assert done.returncode == 1
    assert "scale double forward: cpu is wrong, so it is not timed: y:" in done.stdout
    assert "no times are shown" in done.stdout
    assert "medians" not in done.stdout and "× floor" not in done.stdout
    assert not (tmp_path / "out" / "results.json").exists()


def test_the_benchmarks_of_every_op_are_collected():
    """Each benchmark has the measures for which its case has a floor."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "benchmarks",
        "--collect-only",
        "-q",
        "--device",
        "cpu",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in (
        "bench_ops.py::TestOps::test_time[upfirdn2d-up2-4-double_backward]",
        "bench_ops.py::TestOps::test_scaling[upfirdn2d-up2-4/pixels",
        "bench_ops.py::TestOps::test_time[conv2d-3x3-256-forward_backward]",
        "bench_ops.py::test_crossover_of_conv2d[64-2x16]",
        "bench_ops.py::TestOps::test_time[modulated_conv2d-3x3-up2-forward]",
        "bench_ops.py::TestOps::test_memory[modulated_conv2d-3x3]",
        "bench_spectral_norm.py::TestSpectralNorm::test_step[forward_backward]",
    ):
        assert name in done.stdout
    assert "test_time[modulated_conv2d-3x3-up2-double_backward]" not in done.stdout
