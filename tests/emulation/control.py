"""The emulator inside an `_ops_emulated.so`: its options and what it has counted."""

import contextlib
import ctypes
from collections.abc import Iterator
from pathlib import Path

from fastgan.ops import _library

from .build import emulated_library

DEFAULT_MAX_SHARED = 48 * 1024


def load_emulated() -> Path:
    """Register the emulated CUDA kernels as the backend `emulated`; return their library."""
    library = emulated_library()
    _library.add_backend("emulated", "fastgan_emulated", ("cpu",), library)
    return library


class Stats(ctypes.Structure):
    """Counts since `reset_stats`; `shared_peak` in bytes, the most that a block had."""

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
    """Controls the emulator of the library at `path`, the one that `torch.ops.load_library` was given."""

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
        """Options for the launches inside the `with`; the defaults again after it.

        order: in which blocks and threads run: 0 forward, 1 reverse, from 2 on shuffled by this seed
        strict_exit: a thread that has returned while others wait in `__syncthreads` is an error
        strict_site: all threads of a block have to meet in the same `__syncthreads` of the source
        max_shared: bytes of shared memory that a block may have
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
