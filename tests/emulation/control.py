"""Control of the emulator in an `_ops_emulated.so`: its options and its counts."""

import contextlib
import ctypes
from collections.abc import Iterator
from pathlib import Path

from fastgan.ops._define import add_backend

from .build import emulated_library

DEFAULT_MAX_SHARED = 48 * 1024


def load_emulated() -> Path:
    """Register the emulated CUDA kernels as the backend `emulated`; return their library."""
    library = emulated_library()
    add_backend("emulated", "fastgan_emulated", ("cpu",), library)
    return library


class Stats(ctypes.Structure):
    """Counts since `reset_stats`; `shared_peak` is the most bytes of shared memory in a block."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            "launches",
            "blocks",
            "threads",
            "switches",
            "barriers",
            "warp_operations",
            "shared_peak",
        )
    )


class Emulator:
    """Controls of the emulator in the library at `path`; torch must have loaded it."""

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))
        self._library.fastgan_emulation_set_options.argtypes = (
            *(ctypes.c_int, ctypes.c_int, ctypes.c_int),
            ctypes.c_uint64,
        )
        self._library.fastgan_emulation_get_stats.restype = Stats

    @contextlib.contextmanager
    def options(
        self,
        *,
        order: int = 0,
        strict_exit: bool = True,
        strict_site: bool = True,
        max_shared: int = DEFAULT_MAX_SHARED,
    ) -> Iterator[None]:
        """Set options for the launches inside the `with`; the defaults return after it.

        Args:
            order: order of blocks and threads: 0 forward, 1 reverse, others seeds of a random one.
            strict_exit: report threads that have returned while others wait in `__syncthreads`.
            strict_site: report threads of a block in different `__syncthreads` of the source.
            max_shared: largest shared memory of a block in bytes.
        """
        self._library.fastgan_emulation_set_options(order, strict_exit, strict_site, max_shared)
        try:
            yield
        finally:
            self._library.fastgan_emulation_default_options()

    def stats(self) -> Stats:
        return self._library.fastgan_emulation_get_stats()

    def reset_stats(self) -> None:
        self._library.fastgan_emulation_reset_stats()
