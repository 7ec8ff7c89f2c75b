"""Checkpoint files: tensors and plain data only, checksummed, complete or not there at all.

A checkpoint is the zip archive that ``torch.save`` makes, sealed by a zip comment. The comment ends
in the SHA-256 of all bytes before it. So ``torch.load(path, weights_only=True)`` and any zip tool
open the file. A truncated, damaged or foreign file is refused before a byte of it is unpickled.
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
    """A file ends early, was changed, or isn't a checkpoint. Another checkpoint may be intact."""


class Checkpoint(NamedTuple):
    """Content of a checkpoint.

    Attributes:
        config: configuration of the run that it belongs to.
        state: state for ``TrainState.load_state_dict``.
    """

    config: RunConfig
    state: dict[str, Any]


class CheckpointFile(NamedTuple):
    """Checkpoint together with its file.

    Attributes:
        path: file of the checkpoint.
        saved: content of the checkpoint.
        damaged: errors of newer checkpoints that were passed over, by path.
    """

    path: Path
    saved: Checkpoint
    damaged: dict[Path, DamagedCheckpoint]


def save_checkpoint(folder: Path, config: RunConfig, state: TrainState, *, keep: int) -> Path:
    """Write ``folder/NIMG.pt``, remove all but the newest ``keep``, and return its path.

    Raises:
        CheckpointError: it can't be written, for example to a full disk. The older ones stay.
    """
    path = _write(folder / f"{state.nimg:09d}{SUFFIX}", config, state)
    remove_old(folder, keep=keep)
    return path


def remove_old(folder: Path, *, keep: int) -> None:
    """Remove all checkpoints in ``folder`` but the newest ``keep``."""
    for old in list_checkpoints(folder)[:-keep]:
        old.unlink(missing_ok=True)


def save_best(folder: Path, config: RunConfig, state: TrainState) -> Path:
    """Write ``folder/best.pt``, which ``save_checkpoint`` neither counts nor removes.

    Raises:
        CheckpointError: it can't be written.
    """
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
            f"The checkpoint {str(path)!r} can't be written ({error.strerror or error}), so "
            f"training stopped: {left}; make room and go on with `resume`."
        ) from error
    return path


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint with its tensors on the CPU. No code in the file is run.

    Raises:
        DamagedCheckpoint: the file is truncated, damaged or not a checkpoint of fastgan.
        CheckpointError: the file is missing, can't be used, or holds more than tensors and plain
            data.
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
            f"The checkpoint {str(path)!r} was refused: it holds more than tensors and plain data, "
            f"and opening it could run code."
        ) from error
    except FastganError as error:
        raise CheckpointError(f"The checkpoint {str(path)!r} can't be used: {error}") from error
    except Exception as error:
        raise CheckpointError(
            f"The checkpoint {str(path)!r} can't be read although its checksum fits ({error!r})."
        ) from error


def restore(state: TrainState, saved: Checkpoint, path: Path) -> None:
    """Load ``saved``, read from ``path``, into ``state``.

    Raises:
        CheckpointError: the two don't fit.
    """
    try:
        state.load_state_dict(saved.state)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(
            f"The checkpoint {str(path)!r} doesn't fit its own configuration ({reason}): "
            f"it was made by another version of fastgan."
        ) from error


def load_newest(folder: Path) -> CheckpointFile | None:
    """Return the newest intact checkpoint in ``folder``, None if it has no checkpoints.

    Raises:
        CheckpointError: there are checkpoints, and all are damaged.
    """
    damaged: dict[Path, DamagedCheckpoint] = {}
    for path in reversed(list_checkpoints(folder)):
        try:
            return CheckpointFile(path, load_checkpoint(path), damaged)
        except DamagedCheckpoint as error:
            damaged[path] = error
    if damaged:
        raise CheckpointError(
            f"No checkpoint in {str(folder)!r} is intact. {next(iter(damaged.values()))} "
            f"Restore one from a copy, or train anew in another folder."
        )
    return None


def set_aside(path: Path) -> Path:
    """Rename a damaged checkpoint, so that it no longer counts as one, and return its new path."""
    return path.rename(path.with_name(f"{path.name}.damaged"))


def list_checkpoints(folder: Path) -> list[Path]:
    """List the checkpoints in ``folder`` by images shown, fewest first."""
    return sorted(
        (p for p in folder.glob(f"*{SUFFIX}") if p.stem.isdecimal()),
        key=lambda path: int(path.stem),
    )


def is_checkpoint(path: Path) -> bool:
    """Return True if a file ends like a checkpoint, intact or not."""
    size = len(_SEAL) + _DIGEST_SIZE
    try:
        with open(path, "rb") as file:
            file.seek(-size, os.SEEK_END)
            return file.read(len(_SEAL)) == _SEAL
    except OSError:
        # The file is missing, a folder, or shorter than a seal.
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
    """Return True if a zip archive lacks its end, or its end promises a longer comment."""
    end = content.rfind(_ZIP_END, max(0, len(content) - _ZIP_END_SIZE - 0xFFFF))
    if end < 0 or len(content) < end + _ZIP_END_SIZE:
        return not content or content.startswith(_ZIP_START)
    (comment,) = struct.unpack_from("<H", content, end + _ZIP_END_SIZE - 2)
    return len(content) < end + _ZIP_END_SIZE + int(comment)
