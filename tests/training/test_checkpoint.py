"""Checkpoints are read as they were written, and any other file is refused in one sentence."""

from __future__ import annotations

import builtins
import errno
import pickle
import random
import resource
import shutil
import zipfile

import pytest
import torch

from fastgan.recipes import Batch, ImageSpec
from fastgan.training import checkpoint as module
from fastgan.training.checkpoint import (
    CheckpointError,
    list_checkpoints,
    load_checkpoint,
    load_newest,
    restore,
    save_checkpoint,
    set_aside,
)
from fastgan.training.config import RunConfig
from fastgan.training.run_settings import RunSettings
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

IMAGES = ImageSpec(1, 8)


def test_names_of_classes_come_back_and_older_files_have_none():
    images = ImageSpec(3, 16, 2, class_names=("cat", "dog"))
    plain = images.to_plain()
    assert plain["class_names"] == ["cat", "dog"] and ImageSpec.from_plain(plain) == images
    del plain["class_names"]
    assert ImageSpec.from_plain(plain) == ImageSpec(3, 16, 2)


@pytest.fixture
def config(tiny):
    return RunConfig(tiny, RunSettings.of(tiny), IMAGES, "noise", "0" * 64)


@pytest.fixture
def state(tiny):
    return trained(tiny, steps=2)


def trained(recipe, *, steps):
    state = TrainState.create(recipe, IMAGES)
    step = TrainStep(state)
    for _ in range(steps):
        step([Batch(torch.rand(16, 1, 8, 8), torch.zeros(16))])
    return state


def test_everything_comes_back(tmp_path, config, state, tiny, assert_same):
    path = save_checkpoint(tmp_path, config, state, keep=3)
    assert path.name == "000000032.pt"
    saved = load_checkpoint(path)
    assert saved.config == config
    fresh = TrainState.create(tiny, IMAGES)
    restore(fresh, saved, path)
    assert_same(fresh.state_dict(), state.state_dict())
    assert set(saved.state) >= {
        "networks",
        "ema",
        "optimizers",
        "step",
        "nimg",
        "seconds",
        "skipped",
        "best",
    }
    assert (fresh.step, fresh.nimg) == (2, 32)


def test_torch_and_zip_open_it_too(tmp_path, config, state, assert_same):
    path = save_checkpoint(tmp_path, config, state, keep=3)
    assert_same(torch.load(path, weights_only=True)["state"], state.state_dict())
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.comment.startswith(b"fastgan checkpoint 1")


def test_the_newest_are_kept(tmp_path, config, state):
    for nimg in (16, 160, 1600, 16_000, 1_600_000_000):
        state.nimg = nimg
        save_checkpoint(tmp_path, config, state, keep=2)
    assert [int(path.stem) for path in list_checkpoints(tmp_path)] == [16_000, 1_600_000_000]
    assert len(list(tmp_path.iterdir())) == 2


def test_every_truncation_is_refused(tmp_path, config, state):
    whole = save_checkpoint(tmp_path, config, state, keep=3).read_bytes()
    path = tmp_path / "cut.pt"
    # The end of the zip directory, and the seal, byte by byte.
    tail = range(len(whole) - 200, len(whole))
    for size in [0, 1, 3, 4, 100, *random.Random(0).sample(range(len(whole)), 20), *tail]:
        path.write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match=r"is truncated|isn't a checkpoint of fastgan"):
            load_checkpoint(path)
    for size in (0, 5_000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match="is truncated"):
            load_checkpoint(path)


def test_every_flipped_byte_is_refused(tmp_path, config, state):
    whole = save_checkpoint(tmp_path, config, state, keep=3).read_bytes()
    path = tmp_path / "flipped.pt"
    for position in [0, len(whole) - 1, *random.Random(0).sample(range(len(whole)), 20)]:
        flipped = bytearray(whole)
        flipped[position] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(CheckpointError):
            load_checkpoint(path)


class Evil:
    """Object whose unpickling makes a file, which shows that code has run."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (builtins.exec, (f"open({str(self.marker)!r}, 'w').close()",))


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    marker = tmp_path / "ran"
    plain, zipped = tmp_path / "plain.pt", tmp_path / "zipped.pt"
    plain.write_bytes(pickle.dumps(Evil(marker)))
    torch.save(Evil(marker), zipped)
    for path in (plain, zipped):
        with pytest.raises(
            CheckpointError, match="isn't a checkpoint of fastgan, and wasn't opened"
        ):
            load_checkpoint(path)
    assert not marker.exists()


def test_a_pickle_that_runs_code_is_refused_even_with_our_seal(
    tmp_path, config, state, monkeypatch
):
    marker = tmp_path / "ran"
    monkeypatch.setattr(TrainState, "state_dict", lambda self: {"networks": Evil(marker)})
    path = save_checkpoint(tmp_path, config, state, keep=3)
    with pytest.raises(
        CheckpointError, match="was refused: it holds more than tensors and plain data"
    ):
        load_checkpoint(path)
    assert not marker.exists()
    torch.load(path, weights_only=False)
    # Without our check the file does run code.
    assert marker.exists()


@pytest.mark.parametrize("content", [b"hello", b"\x89PNG\r\n\x1a\n" + bytes(100), bytes(200_000)])
def test_foreign_files_are_refused(tmp_path, content):
    path = tmp_path / "foreign.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="isn't a checkpoint of fastgan"):
        load_checkpoint(path)


def test_a_foreign_torch_file_is_refused(tmp_path):
    path = tmp_path / "foreign.pt"
    torch.save({"model": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="isn't a checkpoint of fastgan"):
        load_checkpoint(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "nowhere.pt", tmp_path):
        with pytest.raises(CheckpointError, match=r"can't be read: (No such file|Is a directory)"):
            load_checkpoint(path)


def test_a_checkpoint_that_misses_a_network_is_named(tmp_path, config, state, tiny):
    path = save_checkpoint(tmp_path, config, state, keep=3)
    saved = load_checkpoint(path)
    del saved.state["networks"]["G"]
    with pytest.raises(CheckpointError, match=r"doesn't fit its own configuration \('G'\)"):
        restore(TrainState.create(tiny, IMAGES), saved, path)


def test_an_unknown_recipe_inside_is_named(tmp_path, config, state, monkeypatch):
    monkeypatch.setattr(type(config.recipe), "name", "gan3000")
    path = save_checkpoint(tmp_path, config, state, keep=3)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match=r"can't be used: Unknown recipe 'gan3000'"):
        load_checkpoint(path)


def assert_only_the_old_one_is_left(folder, old, content):
    assert list(folder.iterdir()) == [old]
    assert old.read_bytes() == content
    load_checkpoint(old)


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, config, state, monkeypatch):
    old = save_checkpoint(tmp_path, config, state, keep=1)
    content = old.read_bytes()

    class FullDisk:
        """File on a disk with 1000 bytes left."""

        def __init__(self, *args):
            self.file = open(*args)  # noqa: SIM115
            self.left = 1000

        def __enter__(self):
            return self

        def __exit__(self, *exc):
            self.file.close()

        def __getattr__(self, name):
            return getattr(self.file, name)

        def write(self, part):
            if len(part) > self.left:
                self.file.write(part[: self.left])
                raise OSError(errno.ENOSPC, "No space left on device")
            self.left -= len(part)
            self.file.write(part)

    monkeypatch.setattr("fastgan.files.open", FullDisk, raising=False)
    state.nimg += 16
    with pytest.raises(
        CheckpointError, match=r"No space left on device.*'.*000000032.pt', is intact; make room"
    ):
        save_checkpoint(tmp_path, config, state, keep=1)
    assert_only_the_old_one_is_left(tmp_path, old, content)


def test_the_kernel_refusing_to_write_leaves_the_old_checkpoint(tmp_path, config, state):
    old = save_checkpoint(tmp_path, config, state, keep=1)
    content = old.read_bytes()
    state.nimg += 16
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(content) // 2, limits[1]))
    try:
        with pytest.raises(CheckpointError, match="File too large"):
            save_checkpoint(tmp_path, config, state, keep=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert_only_the_old_one_is_left(tmp_path, old, content)
    assert save_checkpoint(tmp_path, config, state, keep=1).name == "000000048.pt"


def test_a_first_checkpoint_that_fails_says_there_is_none(tmp_path, config, state):
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="there is no earlier one"):
        save_checkpoint(tmp_path / "file", config, state, keep=1)


def test_a_leftover_temporary_file_is_no_checkpoint(tmp_path, config, state):
    path = save_checkpoint(tmp_path, config, state, keep=3)
    shutil.copy(path, tmp_path / ".000009999.pt.tmp")
    shutil.copy(path, tmp_path / "best.pt")
    (tmp_path / "000000999.pt.damaged").touch()
    assert list_checkpoints(tmp_path) == [path]


def test_the_newest_intact_one_is_found_and_the_damaged_ones_named(tmp_path, config, state):
    assert load_newest(tmp_path) is None
    paths = []
    for nimg in (16, 160, 1600, 16_000):
        state.nimg = nimg
        paths.append(save_checkpoint(tmp_path, config, state, keep=9))
    newest = load_newest(tmp_path)
    assert (newest.path, newest.saved.state["nimg"], newest.damaged) == (paths[3], 16_000, {})
    # A file system that lost power may leave zeros.
    paths[3].write_bytes(bytes(1000))
    paths[2].write_bytes(paths[2].read_bytes()[:-5])
    newest = load_newest(tmp_path)
    assert (newest.path, newest.saved.state["nimg"]) == (paths[1], 160)
    assert list(newest.damaged) == [paths[3], paths[2]]
    assert set_aside(paths[3]).name == "000016000.pt.damaged"
    assert list(load_newest(tmp_path).damaged) == [paths[2]]
    for path in paths[:2]:
        path.write_bytes(b"")
    with pytest.raises(
        CheckpointError, match=r"No checkpoint in .* is intact.*1600\.pt' is truncated"
    ):
        load_newest(tmp_path)


def test_one_that_holds_too_much_is_no_reason_to_go_back(tmp_path, config, state, monkeypatch):
    save_checkpoint(tmp_path, config, state, keep=3)
    state.nimg += 16
    monkeypatch.setattr(TrainState, "state_dict", lambda self: {"networks": Evil(tmp_path / "ran")})
    save_checkpoint(tmp_path, config, state, keep=3)
    with pytest.raises(CheckpointError, match="was refused"):
        load_newest(tmp_path)


def test_torch_still_ends_its_archive_as_we_seal_it(config, state):
    assert module._ZIP_END_SIZE == 22
    buffer = module.io.BytesIO()
    torch.save({"x": torch.zeros(1)}, buffer)
    archive, seal = module._sealed(buffer)
    module._check_seal(module.Path("x"), bytes(archive) + seal)
