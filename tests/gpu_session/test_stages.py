"""A dry run of the stages on the CPU, in this process; clocks and profiles without a GPU."""

from __future__ import annotations

import importlib
import logging
import struct
import time
import zlib
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
import torch
from torch.autograd import DeviceType

from tools.gpu_session import clock, trainer
from tools.gpu_session.context import Context
from tools.gpu_session.png import grid, save_png
from tools.gpu_session.results import SessionResults, StageResult
from tools.gpu_session.specs import all_specs, smoke_samples
from tools.gpu_session.stages.smoke import CHECKS, Case
from tools.gpu_session.stages.steps import difference


def dry_run(name, folder):
    stage, facts = StageResult(name, "done"), {}
    module = importlib.import_module(f"tools.gpu_session.stages.{name}")
    ends = time.monotonic() + 600
    module.run(Context("cpu", True, 0, ends, folder, stage.add, facts.__setitem__))
    results = SessionResults("cpu", True, 0, 60.0, 1.0, facts, [stage])
    results.save(folder / "results.json")
    return SessionResults.load(folder / "results.json")


@pytest.mark.parametrize("name", ["environment", "host", "kernels", "smoke", "steps", "training"])
def test_a_stage_runs_dry(name, tmp_path):
    found = dry_run(name, tmp_path)
    figures = found.figures(name)
    missing = {f.note for f in figures if f.value is None}
    assert figures and all(note.startswith("not available: ") for note in missing)
    if name == "environment":
        assert found.environment["torch"] == torch.__version__
    if name == "smoke":
        assert all(f.unit == f"of {f.value:.0f}" for f in figures), figures
    if name == "training":
        assert (tmp_path / "grid.png").stat().st_size > 100


@pytest.mark.parametrize("spec", all_specs(), ids=lambda spec: spec.name)
def test_every_op_has_samples_for_the_smoke_test(spec):
    for sample in smoke_samples(spec):
        tensors = sample.tensors(torch.float32, torch.device("cpu"))
        assert all(t is None or 0 < t.numel() < 1e6 for t in tensors)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_a_wrong_op_fails_every_check(check):
    spec = next(spec for spec in all_specs() if spec.name == "pixel_norm")
    sample = smoke_samples(spec)[0]
    case = Case.of("cpu", spec, "cpu", sample, torch.float32)
    assert check(case) == ""
    wrong = {name: None if t is None else t + 0.1 for name, t in case.expected.items()}
    assert "y: element" in check(Case("cpu", spec, "cpu", sample, torch.float32, wrong))


def test_an_exception_is_a_figure_without_value_and_the_stage_goes_on(tmp_path, capsys):
    found = []
    context = Context("cpu", True, 0, 0.0, tmp_path, found.append, print)
    with context.attempt("work", "time", "µs", side="cuda"):
        raise torch.OutOfMemoryError("out of memory\nmore")
    context.figure("loss", "value", float("nan"), "loss")
    assert [f.note for f in found] == ["OutOfMemoryError: out of memory", "nan"]
    assert "Traceback" in capsys.readouterr().err


def test_graphs_are_the_trainers(monkeypatch):
    monkeypatch.setattr(trainer, "TrainStep", MagicMock())
    monkeypatch.setattr(trainer, "choose_recorder", lambda *_, **__: ("recorder", ""))
    trainer.make_step("state", "cpu", graphed=True)
    assert trainer.TrainStep.call_args.kwargs["recorder"] == "recorder"
    trainer.make_step("state", "cpu", graphed=False)
    assert "recorder" not in trainer.TrainStep.call_args.kwargs
    monkeypatch.setattr(trainer, "choose_recorder", lambda *_, **__: (None, "no, since x."))
    with pytest.raises(trainer.Unavailable, match="not available: no, since x"):
        trainer.make_step("state", "cpu", graphed=True)


def test_the_trainers_warnings_are_collected():
    with trainer.Warnings() as found:
        logging.getLogger("fastgan").warning("%s can't be captured", "Updates of D")
    logging.getLogger("fastgan").warning("another one")
    assert found.texts == ["Updates of D can't be captured"]


def test_losses_are_compared_by_their_largest_relative_difference():
    first, second = [{"a": 2.0, "b": 1.0}, {"a": 4.0}], [{"a": 2.0, "b": 1.1}, {"a": 5.0}]
    assert difference(first, second) == 0.25


# ------------------------------------------------------------------- calls of torch.cuda


@pytest.fixture
def cuda(monkeypatch):
    """Stand-ins for torch.cuda, in which an event takes a millisecond after the one before."""
    ticks = iter(range(1000))

    class Event:
        def __init__(self, **_):
            self.tick = 0

        def record(self):
            self.tick = next(ticks)

        def synchronize(self):
            pass

        def elapsed_time(self, end):
            return float(end.tick - self.tick)

    for name in ("Stream", "stream", "current_stream", "CUDAGraph", "graph", "synchronize"):
        monkeypatch.setattr(torch.cuda, name, MagicMock())
    monkeypatch.setattr(torch.cuda, "Event", Event)


def test_a_call_is_warmed_up_captured_and_replayed(cuda):
    calls = []
    replay, result = clock.captured(lambda: calls.append(0) or len(calls), "cuda", 10)
    assert (len(calls), result) == (13, 13)
    assert replay is torch.cuda.CUDAGraph.return_value.replay
    assert clock.seconds_by_replay(lambda: None, "cuda", quick=False) == pytest.approx(1e-4)


def event(kind, name, start, end, **more):
    span = SimpleNamespace(start=start, end=end)
    return SimpleNamespace(device_type=kind, name=name, time_range=span, **more)


def test_a_profile_counts_kernels_once_where_they_overlap():
    gpu, cpu = DeviceType.CUDA, DeviceType.CPU
    found = clock.summary(
        [
            event(cpu, "cudaLaunchKernel", 0, 1),
            event(cpu, "cudaGraphLaunch", 1, 2),
            event(cpu, "aten::add", 0, 9),
            event(gpu, "void fg::bias_act::walk<float>(int)", 10, 20),
            event(gpu, "gemm", 15, 30),
            event(gpu, "gemm", 40, 50),
            event(gpu, "ProfilerStep#1", 0, 99, is_user_annotation=True),
        ]
    )
    assert (found.kernels, found.launches) == (3, 2)
    assert found.busy == pytest.approx(30e-6)
    assert found.most() == "71% gemm, 29% walk"


def test_waits_are_counted_by_place(monkeypatch):
    import warnings

    modes = []
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: 0)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    with clock.counting_syncs("cuda") as found:
        for _ in range(2):
            warnings.warn(clock.SYNC, stacklevel=1)
        warnings.warn("another one", stacklevel=1)
    ((place, count),) = found.items()
    assert place.startswith("test_stages.py:") and count == 2
    assert modes == ["warn", 0]


def test_a_png_holds_the_images_of_the_grid(tmp_path):
    images = torch.tensor([-1.0, 0.0, 1.0]).view(3, 1, 1, 1).expand(3, 3, 2, 2)
    save_png(tmp_path / "a.png", grid(images, 2))
    data = (tmp_path / "a.png").read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", data[16:24]) == (4, 4)
    start = data.index(b"IDAT") + 4
    (length,) = struct.unpack(">I", data[start - 8 : start - 4])
    rows = zlib.decompress(data[start : start + length])
    assert rows[:13] == bytes([0] + [0] * 6 + [128] * 6)
    # The third image, and an empty place.
    assert rows[26:39] == bytes([0] + [255] * 6 + [128] * 6)
