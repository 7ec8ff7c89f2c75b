"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path, *, plain: str | None = None) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which becomes `path` if the block ends without error.

    Each process has one of its own, so the last of several to finish wins.

    Args:
        plain: ending of a temporary name that doesn't hold `path`'s, for libraries that take ASCII
            alone and choose a format by the ending. None has a name that `is_temporary` knows.

    Raises:
        OSError: the file can't be renamed. An older one stays, and the temporary one is removed, as
            after any error.
    """
    own = f"{os.getpid()}.tmp"
    name = f".{path.name}.{own}" if plain is None else f".fastgan-{own}{plain}"
    temporary = path.with_name(name)
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def write_atomic(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Write `parts` to a file, of which a crash or a full disk never leaves a half.

    They go to the temporary file of `replacing`, which is synced to the disk and renamed.

    Raises:
        OSError: the file can't be written. An older one stays, and the temporary one is removed.
    """
    with replacing(path) as temporary, open(temporary, "wb") as file:
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def is_temporary(name: str, path: Path) -> bool:
    """Return True for the name of a temporary file of `replacing` for `path`."""
    return re.fullmatch(rf"\.{re.escape(path.name)}\.\d+\.tmp", name) is not None


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` survive a power cut, if the system offers that (POSIX)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
