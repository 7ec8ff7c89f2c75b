"""Claims on folders, so that several processes can share the trials of a sweep."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastgan.sweeps.errors import SweepError

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""Errors of file systems without locks, such as some network drives."""


@contextmanager
def claim(folder: Path) -> Iterator[bool]:
    """Make a folder and hold it; yield False if another process holds it.

    The system ends a claim with its process, however that ends. Where it offers none (Windows),
    every claim succeeds.

    Raises:
        SweepError: the file system has no locks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:
        yield True
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = True
        except BlockingIOError:
            held = False
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            raise SweepError(
                f"The file system of {str(folder)!r} has no locks, by which processes share a "
                f"sweep: choose an `out` folder on another one, such as a local disk."
            ) from error
        yield held
    finally:
        os.close(descriptor)
