"""Whole runs: their files, their ends, and that a resumed run equals an unbroken one."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import re
import signal

import pytest
import torch

from fastgan.data import InMemoryDataset
from fastgan.errors import FastganError
from fastgan.recipes import DCGAN, StyleGAN2
from fastgan.training import loop, run_settings
from fastgan.training.checkpoint import CheckpointError, list_checkpoints, load_checkpoint
from fastgan.training.config import ConfigError, save_config, split_settings
from fastgan.training.log import read_log
from fastgan.training.loop import NonFiniteWeights
from fastgan.training.run_dir import RunDirError, find_checkpoint
from fastgan.training.step import TooManySkips, TrainStep
from fastgan.training.stop import stop_on_signals


@pytest.fixture(autouse=True)
def quick_curves(monkeypatch):
    """Replace the drawing of curves, which the report's tests cover and takes a second per run."""
    monkeypatch.setattr("fastgan.training.report.draw_curves", lambda rows, **_: b"curves")


def final_state(result):
    """Return the newest checkpoint's state without the time it took."""
    state = load_checkpoint(result.run.latest_checkpoint).state
    return {key: value for key, value in state.items() if key != "seconds"}


def interrupt_at(monkeypatch, images, number=signal.SIGTERM):
    """Send this process a signal during the step that reaches `images`."""
    original = TrainStep.__call__

    def step(self, batches):
        if self.state.nimg < images <= self.state.nimg + len(batches[0].real):
            os.kill(os.getpid(), number)
        return original(self, batches)

    monkeypatch.setattr(TrainStep, "__call__", step)


def test_a_run_leaves_all_it_promises(run, tiny):
    result, text = run(tiny)
    names = {p.name for p in result.run.root.iterdir()}
    assert names >= {
        "config.json",
        "log.jsonl",
        "samples.png",
        "curves.png",
        "report.html",
        "measures.json",
    }
    assert result.nimg == 320 and result.stopped_by is None and result.measures == {}
    assert [int(p.stem) for p in list_checkpoints(result.run.checkpoints)] == [208, 304, 320]
    assert [int(p.stem) for p in sorted(result.run.grids.iterdir())] == [0, 208]
    assert "gan on noise (100 images of 1×8×8), on cpu, into" in text
    assert re.search(r"320 / 320 images +[\d,]+ images/s +0s left +data [\d.]+%  loss D \d", text)


def test_log_rows_hold_means_by_name(run, tiny):
    result, _ = run(tiny)
    rows = read_log(result.run.log)
    assert [row["nimg"] for row in rows] == [64, 112, 160, 208, 256, 304, 320]
    assert set(rows[0]) == {
        "step", "nimg", "seconds", "images_per_second", "waiting", "skipped",
        "loss/D", "loss/G", "gradient/D", "gradient/G", "D(real)", "D(fake)", "certainty",
    }  # fmt: skip
    assert all(0 <= row["waiting"] <= 1 and row["skipped"] == 0 for row in rows)
    assert all(0 < row["D(real)"] < 1 and row["loss/D"] > 0 for row in rows)


def test_tensorboard_gets_the_same_rows(run, tiny):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    result, _ = run(tiny)
    board = accumulator.EventAccumulator(str(result.run.tensorboard)).Reload()
    rows = read_log(result.run.log)
    assert [event.step for event in board.Scalars("loss/D")] == [row["nimg"] for row in rows]
    assert [e.value for e in board.Scalars("D(fake)")] == pytest.approx(
        [row["D(fake)"] for row in rows]
    )


def test_runs_without_tensorboard(run, tiny, monkeypatch):
    original = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tensorboard" else original(name)
    )
    result, _ = run(tiny, total_images=32)
    assert not result.run.tensorboard.exists() and len(read_log(result.run.log)) == 1


def test_the_same_seed_gives_the_same_run_and_another_does_not(run, tiny, assert_same):
    first, second = run(tiny, out="a")[0], run(tiny, out="b")[0]
    assert_same(final_state(first), final_state(second))
    other = run(tiny, seed=1, out="c")[0]
    with pytest.raises(AssertionError):
        assert_same(final_state(first), final_state(other))


def test_how_it_is_watched_does_not_change_the_run(run, tiny, assert_same):
    first = run(tiny, out="a")[0]
    second = run(tiny, out="b", log_every=16, samples_every=16, checkpoint_every=16, keep=1)[0]
    assert_same(final_state(first), final_state(second))


@pytest.mark.parametrize("images", [1, 100, 161, 320])
@pytest.mark.parametrize("kind", ["gan", "dcgan"])
def test_an_interrupted_run_resumes_bit_for_bit(run, tiny, monkeypatch, kind, images, assert_same):
    if kind == "dcgan":
        shared = {name: getattr(tiny, name) for name in ("batch", "z_dim", "ema")}
        tiny = DCGAN(**shared, ngf=4, ndf=4)
        monkeypatch.setattr(run_settings, "open_dataset", lambda spec, **_: noise16())
    unbroken = run(tiny, out="unbroken")[0]
    interrupt_at(monkeypatch, images)
    broken, text = run(tiny)
    assert broken.stopped_by == signal.SIGTERM
    # The step under way is finished first.
    assert broken.nimg == -(-images // 16) * 16
    assert "Stopped by SIGTERM" in text
    resumed, text = run(tiny, resume=True)
    assert resumed.stopped_by is None
    assert_same(final_state(resumed), final_state(unbroken))
    nimg = [row["nimg"] for row in read_log(resumed.run.log)]
    assert nimg == sorted(set(nimg)) and nimg[-1] == 320


def noise16():
    images = torch.randint(
        0, 256, (50, 1, 16, 16), generator=torch.Generator().manual_seed(1), dtype=torch.uint8
    )
    return InMemoryDataset("noise16", images, torch.zeros(50, dtype=torch.int64))


def test_ctrl_c_is_named_and_leaves_a_report(run, tiny, monkeypatch):
    interrupt_at(monkeypatch, 100, signal.SIGINT)
    result, text = run(tiny)
    assert result.stopped_by == signal.SIGINT and "Stopped by SIGINT" in text
    assert "Stopped early, after 112 of 320 images" in result.run.report.read_text()
    assert result.run.curves.exists() and result.run.samples.exists()


@pytest.fixture
def heeded_sigint():
    """Let SIGINT act: a process started in a shell's background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_second_signal_acts_at_once(heeded_sigint):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.signal == signal.SIGINT
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_signals_are_left_alone_outside_the_main_thread():
    import threading

    seen = []

    def work():
        with stop_on_signals() as stop:
            seen.append((stop.signal, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(None, signal.getsignal(signal.SIGTERM))]


def test_a_run_can_grow(run, tiny, assert_same):
    unbroken = run(tiny, out="unbroken", total_images=480)[0]
    run(tiny)
    grown, text = run(tiny, total_images=480, resume=True)
    assert "Resumed after 320 images" in text
    assert_same(final_state(grown), final_state(unbroken))
    assert json.loads(grown.run.config.read_text())["settings"]["total_images"] == 480


def test_a_run_cannot_become_shorter_than_it_is(run, tiny):
    run(tiny)
    with pytest.raises(
        ConfigError,
        match="total_images must be at least the 320 images that this run has shown, got 160",
    ):
        run(tiny, total_images=160, resume=True)


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
@pytest.mark.parametrize("name", ["gan", "stylegan2"])
def test_a_run_resumes_bit_for_bit_in_each_precision(resumes, tiny, name, precision):
    recipe = tiny
    if name == "stylegan2":
        sizes = {"z_dim": 4, "w_dim": 4, "mapping_layers": 1, "channel_base": 32, "channel_max": 4}
        recipe = StyleGAN2(batch=16, penalty_every=2, path_length_every=2, **sizes)
    recipe = dataclasses.replace(recipe, precision=precision)
    resumes(recipe, stop=32, total_images=80, checkpoint_every=1000, samples_every=1000)


def test_resuming_a_finished_run_only_makes_its_report_again(run, tiny, assert_same):
    first, _ = run(tiny)
    state = final_state(first)
    first.run.report.unlink()
    again, text = run(tiny, resume=True)
    assert "All 320 images have been shown" in text
    assert again.run.report.exists()
    assert_same(final_state(again), state)


def test_old_checkpoints_that_a_killed_run_left_are_removed(run, tiny):
    result, _ = run(tiny)
    newest = list_checkpoints(result.run.checkpoints)[-1]
    (newest.parent / "000000016.pt").write_bytes(newest.read_bytes())
    run(tiny, resume=True)
    assert [int(p.stem) for p in list_checkpoints(newest.parent)] == [208, 304, 320]


def test_resuming_before_the_first_checkpoint_starts_anew(run, tiny, assert_same):
    unbroken, _ = run(tiny, out="unbroken")
    broken, _ = run(tiny)
    for path in list_checkpoints(broken.run.checkpoints):
        path.unlink()
    resumed, _ = run(tiny, resume=True)
    assert_same(final_state(resumed), final_state(unbroken))
    assert [row["nimg"] for row in read_log(resumed.run.log)] == [64, 112, 160, 208, 256, 304, 320]


def test_a_cut_off_log_line_is_dropped(run, tiny, monkeypatch):
    interrupt_at(monkeypatch, 100)
    broken, _ = run(tiny)
    with open(broken.run.log, "a") as log:
        log.write('{"step": 7, "nimg": 112, "lo')
    resumed, _ = run(tiny, resume=True)
    nimg = [json.loads(line)["nimg"] for line in resumed.run.log.read_text().splitlines()]
    assert nimg == sorted(set(nimg)) and nimg[-1] == 320


def test_the_config_in_the_checkpoint_replaces_a_lost_one(run, tiny):
    first, _ = run(tiny)
    first.run.config.unlink()
    run(tiny, total_images=336, resume=True)
    assert first.run.config.exists()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"batch": 32}, "batch 16, got 32"),
        ({"lr": 0.1}, "lr 0.0002, got 0.1"),
        ({"g_hidden": (8, 8)}, "g_hidden 8, got 8 8"),
        ({"seed": 5}, "seed 0, got 5"),
    ],
)
def test_resuming_with_another_setting_is_refused_by_name(run, tiny, change, named, assert_same):
    first, _ = run(tiny)
    state = final_state(first)
    of_the_run, of_the_recipe = split_settings(change)
    with pytest.raises(ConfigError, match=named):
        run(dataclasses.replace(tiny, **of_the_recipe), **of_the_run, resume=True)
    assert_same(final_state(first), state)


def test_resuming_with_another_recipe_is_refused(run, tiny, monkeypatch):
    run(tiny)
    monkeypatch.setattr(run_settings, "open_dataset", lambda spec, **_: noise16())
    with pytest.raises(ConfigError, match="must be 'gan', got 'dcgan': name that recipe"):
        run(DCGAN(), resume=True)


def test_resuming_on_other_data_is_refused(run, tiny, monkeypatch):
    run(tiny)
    other = InMemoryDataset(
        "noise", torch.zeros(100, 1, 8, 8, dtype=torch.uint8), torch.zeros(100, dtype=torch.int64)
    )
    monkeypatch.setattr(run_settings, "open_dataset", lambda spec, **_: other)
    with pytest.raises(
        ConfigError, match="started on the data set 'noise', but data noise holds other images"
    ):
        run(tiny, resume=True)


def test_a_checkpoint_of_another_run_is_refused(run, tiny):
    first = run(tiny, out="a")[0]
    second = run(tiny, seed=9, out="b")[0]
    second.run.latest_checkpoint.replace(first.run.checkpoints / "000000999.pt")
    with pytest.raises(ConfigError, match="seed 9, got 0"):
        run(tiny, out="a", resume=True)


def damage(path):
    path.write_bytes(path.read_bytes()[:-1])


def test_a_damaged_newest_checkpoint_is_put_aside_and_the_one_before_it_taken(
    run, tiny, assert_same
):
    result, _ = run(tiny)
    state, content = final_state(result), {}
    for path in list_checkpoints(result.run.checkpoints)[1:]:
        damage(path)
        content[path.name] = path.read_bytes()
    resumed, text = run(tiny, resume=True)
    for name, before in content.items():
        assert (
            f"{name}' is truncated: it ends before its checksum. It was renamed to {name}.damaged"
            in text
        )
        assert (result.run.checkpoints / f"{name}.damaged").read_bytes() == before
    assert "Resumed after 208 images" in text
    assert_same(final_state(resumed), state)


def test_only_damaged_checkpoints_are_an_error_and_stay(run, tiny):
    result, _ = run(tiny)
    paths = list_checkpoints(result.run.checkpoints)
    for path in paths:
        damage(path)
    # The configuration is in the checkpoint too.
    result.run.config.unlink()
    for _ in range(2):
        with pytest.raises(CheckpointError, match=r"No checkpoint in .* is intact.*320"):
            run(tiny, resume=True)
        assert list_checkpoints(result.run.checkpoints) == paths
        save_config(result.run.config, result.config)


def test_a_folder_with_something_in_it_is_refused_untouched(run, tiny, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("precious")
    with pytest.raises(RunDirError, match="isn't empty: go on with the run in it with resume"):
        run(tiny)
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["thesis.txt"]
    assert (tmp_path / "run" / "thesis.txt").read_text() == "precious"


def test_a_folder_that_cannot_be_made_is_named(run, tiny, tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(RunDirError, match=r"can't be made \(File exists\)"):
        run(tiny)


def half_made(path):
    path.mkdir()
    (path / ".config.json.123.tmp").write_text('{"recipe')


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), half_made])
def test_resuming_nothing_starts_from_the_beginning(run, tiny, tmp_path, make, assert_same):
    make(tmp_path / "run")
    result, text = run(tiny, resume=True)
    assert f"Nothing is in {tmp_path / 'run'} yet to resume: starting from the beginning." in text
    assert_same(final_state(result), final_state(run(tiny, out="other")[0]))
    assert "starting" not in run(tiny, resume=True)[1]


@pytest.mark.parametrize("name", ["thesis.txt", "thesis.tmp", ".thesis.tmp"])
def test_resuming_where_something_else_lies_is_refused_untouched(run, tiny, tmp_path, name):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).write_text("precious")
    with pytest.raises(
        RunDirError, match=r"There is no run to resume in .*, but something else is: check out"
    ):
        run(tiny, resume=True)
    with pytest.raises(RunDirError, match="isn't empty"):
        run(tiny)
    assert [(p.name, p.read_text()) for p in (tmp_path / "run").iterdir()] == [(name, "precious")]


def test_a_file_in_place_of_the_folder_is_refused(run, tiny, tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(RunDirError, match="There is no run to resume in"):
        run(tiny, resume=True)


def test_a_process_that_torchrun_restarted_goes_on(run, tiny, monkeypatch):
    interrupt_at(monkeypatch, 100)
    run(tiny)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "0")
    with pytest.raises(RunDirError, match="isn't empty"):
        run(tiny)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert "Resumed after 112 images" in run(tiny)[1]


def test_half_written_files_of_a_killed_process_are_removed(run, tiny):
    result, _ = run(tiny)
    litter = [
        result.run.checkpoints / ".000000999.pt.123.tmp",
        result.run.grids / ".000000200.png.123.tmp",
        result.run.root / ".samples.png.123.tmp",
    ]
    for path in litter:
        path.write_text("half")
    run(tiny, resume=True)
    assert not any(path.exists() for path in litter)


def test_a_broken_config_is_named(run, tiny):
    result, _ = run(tiny)
    for content in ("{", "[]", '{"recipe": "gan"}'):
        result.run.config.write_text(content)
        with pytest.raises(
            ConfigError, match=r"saved configuration|configuration '.*' can't be read"
        ):
            run(tiny, resume=True)


def test_exploding_training_stops_and_keeps_the_checkpoints(run, tiny):
    explosive = dataclasses.replace(tiny, lr=1e30)
    with pytest.raises((TooManySkips, NonFiniteWeights), match="so training stopped"):
        run(explosive, total_images=3200, checkpoint_every=16)


def test_a_weight_that_is_not_finite_is_never_saved(run, tiny, monkeypatch):
    original = TrainStep.__call__

    def step(self, batches):
        stats = original(self, batches)
        if self.state.nimg == 112:
            with torch.no_grad():
                next(self.state.networks["G"].parameters()).fill_(float("nan"))
        return stats

    monkeypatch.setattr(TrainStep, "__call__", step)
    with pytest.raises(NonFiniteWeights, match="A weight became infinite or NaN before 112 images"):
        run(tiny, checkpoint_every=56)
    (last,) = list_checkpoints(loop.RunDir(tmp_run(run, tiny)).checkpoints)
    assert last.stem == "000000064"
    load_checkpoint(last)


def tmp_run(run, tiny):
    """Return the folder that `run` trains into, from the error that it is taken."""
    with pytest.raises(RunDirError) as caught:
        run(tiny)
    return loop.Path(re.search(r"'(.*)' isn't empty", str(caught.value)).group(1))


def test_missing_matplotlib_is_said_before_anything_is_made(run, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FastganError, match=r"matplotlib.*pip install 'fastgan\[train\]'"):
        run(tiny)
    assert not (tmp_path / "run").exists()


def test_finding_a_checkpoint(run, tiny, tmp_path):
    result, _ = run(tiny)
    newest = result.run.latest_checkpoint
    for path in (newest, result.run.root, result.run.checkpoints):
        assert find_checkpoint(path).path == newest
    with pytest.raises(CheckpointError, match="There is no checkpoint in the folder"):
        find_checkpoint(result.run.grids)
    with pytest.raises(CheckpointError, match=r"There is no checkpoint '.*nowhere'"):
        find_checkpoint(tmp_path / "nowhere")


def test_cuda_without_a_gpu_is_refused(run, tiny):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ConfigError, match="torch sees no CUDA device"):
        run(tiny, device="cuda")
