"""Options, settings and the report of ``pytest benchmarks/``.

With ``--benchmark-json=FOLDER/FILE`` (as ``make bench`` has it) the folder also gets our own
``results.json`` (or ``results-untuned.json``) and a bar chart of each op.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import machine, table
from benchmarks.chart import draw_charts
from benchmarks.harness import Run, WrongResult
from benchmarks.measures import MEASURES
from benchmarks.results import RunResults
from benchmarks.sides import OURS
from benchmarks.timing import clock_for

RUN = pytest.StashKey[Run]()
WRONG = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("fastgan")
    group.addoption(
        "--device", choices=["cpu", "cuda"], help="what to run on; default: the GPU if there is one"
    )
    group.addoption(
        "--dtype", default="float32", choices=["float16", "bfloat16", "float32", "float64"]
    )
    group.addoption(
        "--threads",
        type=int,
        default=min(machine.available_cores(), 16),
        help="of torch on the CPU",
    )
    group.addoption("--tf32", action="store_true", help="on a GPU, multiply float32 as TF32")
    group.addoption(
        "--untuned", action="store_true", help="leave the C library's allocator as it is"
    )
    group.addoption(
        "--quick",
        action="store_true",
        help="a few rounds: shows that all runs, and no figures to trust",
    )


def pytest_configure(config: pytest.Config) -> None:
    device = torch.device(
        config.getoption("device") or ("cuda" if torch.cuda.is_available() else "cpu")
    )
    torch.set_num_threads(config.getoption("threads"))
    products = "tf32" if config.getoption("tf32") else "ieee"
    torch.backends.cuda.matmul.fp32_precision = torch.backends.cudnn.conv.fp32_precision = products
    allocator = machine.set_up_allocator(tuned=not config.getoption("untuned"))
    environment = machine.describe(device, allocator=allocator)
    if device.type == "cuda":
        environment["products of float32"] = products
    if config.getoption("quick"):
        environment["quick"] = "a few rounds only; no figures to trust"
    results = RunResults(environment, [*OURS[device.type], "eager", "compile"])
    run = Run(
        device,
        getattr(torch, config.getoption("dtype")),
        clock_for(device),
        results,
        tf32=products == "tf32",
    )
    if device.type == "cuda":  # no other program uses it
        run.budget, run.least_rounds = 1.0, 7
    if config.getoption("quick"):
        run.budget, run.least_rounds = 0.2, 3
    config.stash[RUN], config.stash[WRONG] = run, []
    if config.getoption("benchmark_json"):  # pytest-benchmark doesn't create the folder
        Path(config.getoption("benchmark_json")).parent.mkdir(parents=True, exist_ok=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "op" not in metafunc.fixturenames:
        return
    kind = "scaling" if metafunc.function.__name__ == "test_scaling" else "benchmarks"
    cases = [(op, case) for op in metafunc.cls.ops for case in getattr(op.spec, kind)]
    if "measure" not in metafunc.fixturenames:
        ids = [f"{op.spec.name}-{case.id}" for op, case in cases]
        metafunc.parametrize(("op", "case"), cases, ids=ids)
        return
    timed = [
        (*pair, measure) for pair in cases for measure in MEASURES if measure in pair[1].measures
    ]
    ids = [f"{op.spec.name}-{case.id}-{measure}" for op, case, measure in timed]
    metafunc.parametrize(("op", "case", "measure"), timed, ids=ids)


@pytest.fixture
def run(request: pytest.FixtureRequest) -> Run:
    return request.config.stash[RUN]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[Any]:
    if call.excinfo is not None and isinstance(call.excinfo.value, WrongResult):
        item.config.stash[WRONG].append(str(call.excinfo.value))
    return (yield)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    results, wrong = config.stash[RUN].results, config.stash[WRONG]
    measured = any(results.by_op()) or bool(results.host)
    if not (wrong or measured):
        return
    terminalreporter.section("fastgan benchmarks")
    if wrong:
        for line in [*wrong, "results are wrong, so no times are shown and no files are written"]:
            terminalreporter.write_line(line, red=True)
        return
    for line in table.report_lines(results):
        terminalreporter.write_line(line)
    if config.getoption("benchmark_json") and measured:
        for path in write_files(
            results, Path(config.getoption("benchmark_json")).parent, config.getoption("untuned")
        ):
            terminalreporter.write_line(f"wrote {path}")


def write_files(results: RunResults, folder: Path, untuned: bool) -> list[Path]:
    suffix = "-untuned" if untuned else ""
    written = [folder / f"results{suffix}.json"]
    results.save(written[0])
    written += draw_charts(results, folder, suffix=suffix)
    return written
