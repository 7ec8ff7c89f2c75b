"""Checkpoints: one file each, tensors and plain data only, checksummed, whole or not there at all.

A checkpoint is the zip archive that `torch.save` makes, sealed by a zip comment that ends in the SHA-256 of
all bytes before it. So `torch.load(path, weights_only=True)` and any zip tool open it, and a truncated,
damaged or foreign file is refused before a byte of it is unpickled.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import struct
from pathlib import Path
from typing import Any, NamedTuple

import torch

from fastgan.errors import FastganError
from fastgan.files import write_atomic
from fastgan.training.config import RunConfig
from fastgan.training.state import TrainState

SUFFIX = ".pt"
BEST = f"best{SUFFIX}"
_SEAL = b"fastgan checkpoint 1, SHA-256 of all before this: "
_DIGEST_SIZE = 64
_ZIP_START, _ZIP_END, _ZIP_END_SIZE = b"PK\3\4", b"PK\5\6", 22


class CheckpointError(FastganError):
    """A checkpoint can't be found, read or written; the message says why and what is left."""


class DamagedCheckpoint(CheckpointError):
    """A checkpoint isn't what was written: it ends early, was changed, or never was one. Another may be intact."""


class Checkpoint(NamedTuple):
    """config: which run it belongs to. state: for `TrainState.load_state_dict`."""

    config: RunConfig
    state: dict[str, Any]


class Found(NamedTuple):
    """A checkpoint and where it was. damaged: why newer ones were passed over, by their paths."""

    path: Path
    saved: Checkpoint
    damaged: dict[Path, DamagedCheckpoint]


def save_checkpoint(folder: Path, config: RunConfig, state: TrainState, *, keep: int) -> Path:
    """Writes `folder/NIMG.pt` and removes all but the newest `keep`. Returns its path.

    Raises CheckpointError if it can't be written (a full disk); the older ones stay then.
    """
    path = _write(folder / f"{state.nimg:09d}{SUFFIX}", config, state)
    remove_old(folder, keep=keep)
    return path


def remove_old(folder: Path, *, keep: int) -> None:
    """Removes all checkpoints in `folder` but the newest `keep`."""
    for old in list_checkpoints(folder)[:-keep]:
        old.unlink(missing_ok=True)


def save_best(folder: Path, config: RunConfig, state: TrainState) -> Path:
    """Writes `folder/best.pt`, which `save_checkpoint` neither counts nor removes. Raises CheckpointError."""
    return _write(folder / BEST, config, state)


def _write(path: Path, config: RunConfig, state: TrainState) -> Path:
    folder = path.parent
    buffer = io.BytesIO()
    torch.save({"config": config.to_plain(), "state": state.state_dict()}, buffer)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(path, _sealed(buffer))
    except OSError as error:
        older = list_checkpoints(folder)
        left = (
            f"the last one, {str(older[-1])!r}, is intact" if older else "there is no earlier one"
        )
        raise CheckpointError(
            f"The checkpoint {str(path)!r} can't be written ({error.strerror or error}), so training "
            f"stopped: {left}; make room and go on with --resume."
        ) from error
    return path


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint, its tensors on the CPU. Runs no code from the file.

    Raises DamagedCheckpoint if it's truncated, damaged or not ours; CheckpointError if it's missing, or holds
    more than that.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"The checkpoint {str(path)!r} can't be read: {error.strerror or error}."
        ) from error
    _check_seal(path, content)
    try:
        plain = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
        return Checkpoint(RunConfig.from_plain(plain["config"]), plain["state"])
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"The checkpoint {str(path)!r} was refused: it holds more than tensors and plain data, and "
            f"opening that could run code."
        ) from error
    except FastganError as error:
        raise CheckpointError(f"The checkpoint {str(path)!r} can't be used: {error}") from error
    except Exception as error:
        raise CheckpointError(
            f"The checkpoint {str(path)!r} can't be read although its checksum fits ({error!r})."
        ) from error


def restore(state: TrainState, saved: Checkpoint, path: Path) -> None:
    """Loads `saved`, read from `path`, into `state`. Raises CheckpointError if the two don't fit."""
    try:
        state.load_state_dict(saved.state)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(
            f"The checkpoint {str(path)!r} doesn't fit its own configuration ({reason}): "
            f"it was made by another version of fastgan."
        ) from error


def load_newest(folder: Path) -> Found | None:
    """The newest intact checkpoint in `folder`, None if there are none at all.

    Raises CheckpointError if there are some and all are damaged.
    """
    damaged: dict[Path, DamagedCheckpoint] = {}
    for path in reversed(list_checkpoints(folder)):
        try:
            return Found(path, load_checkpoint(path), damaged)
        except DamagedCheckpoint as error:
            damaged[path] = error
    if damaged:
        raise CheckpointError(
            f"No checkpoint in {str(folder)!r} is intact. {next(iter(damaged.values()))} Restore one from a copy, or "
            f"train anew in another folder."
        )
    return None


def set_aside(path: Path) -> Path:
    """Renames a damaged checkpoint, so that it's no longer taken for one. Returns its new path."""
    return path.rename(path.with_name(f"{path.name}.damaged"))


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in `folder`, the fewest images first."""
    return sorted(
        (p for p in folder.glob(f"*{SUFFIX}") if p.stem.isdecimal()),
        key=lambda path: int(path.stem),
    )


def is_checkpoint(path: Path) -> bool:
    """Tell by its last bytes whether a file is a checkpoint, intact or not."""
    size = len(_SEAL) + _DIGEST_SIZE
    try:
        with open(path, "rb") as file:
            file.seek(-size, os.SEEK_END)
            return file.read(len(_SEAL)) == _SEAL
    except OSError:  # missing, a folder, or shorter than a seal
        return False


def _sealed(buffer: io.BytesIO) -> tuple[memoryview, bytes]:
    archive = buffer.getbuffer()
    end = archive[-_ZIP_END_SIZE:]
    if bytes(end[:4]) != _ZIP_END or bytes(end[-2:]) != b"\0\0":
        raise AssertionError("torch.save no longer ends its archive with an empty zip comment")
    end[-2:] = struct.pack("<H", len(_SEAL) + _DIGEST_SIZE)
    digest = hashlib.sha256(archive)
    digest.update(_SEAL)
    return archive, _SEAL + digest.hexdigest().encode()


def _check_seal(path: Path, content: bytes) -> None:
    digest = content[-_DIGEST_SIZE:]
    if content[-_DIGEST_SIZE - len(_SEAL) : -_DIGEST_SIZE] == _SEAL:
        if hashlib.sha256(memoryview(content)[:-_DIGEST_SIZE]).hexdigest().encode() == digest:
            return
        problem = "is damaged: its checksum doesn't fit."
    elif _ends_early(content):
        problem = "is truncated: it ends before its checksum."
    else:
        raise DamagedCheckpoint(f"{str(path)!r} isn't a checkpoint of fastgan, and wasn't opened.")
    raise DamagedCheckpoint(f"The checkpoint {str(path)!r} {problem}")


def _ends_early(content: bytes) -> bool:
    """Whether a zip archive lacks its end, or the end promises a longer comment than there is."""
    end = content.rfind(_ZIP_END, max(0, len(content) - _ZIP_END_SIZE - 0xFFFF))
    if end < 0 or len(content) < end + _ZIP_END_SIZE:
        return not content or content.startswith(_ZIP_START)
    (comment,) = struct.unpack_from("<H", content, end + _ZIP_END_SIZE - 2)
    return len(content) < end + _ZIP_END_SIZE + int(comment)
