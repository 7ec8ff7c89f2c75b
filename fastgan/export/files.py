"""Files that get their name when they are written and checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from fastgan.errors import FastganError
from fastgan.files import replacing, sync_folder
from fastgan.names import plain_folder
from fastgan.recipes.signature import Signature


class ExportError(FastganError):
    """A network can't be exported, or a file is wrong; the message says why and what to do."""


class Written(NamedTuple):
    """A file that was written.

    Attributes:
        path: the file.
        difference: largest difference of its outputs from the network's, see
            :func:`fastgan.export.check.compare`.
        needs: programs that open it, for a person.
        signature: inputs and outputs of a graph, if they are known.
    """

    path: Path
    difference: float
    needs: str
    signature: Signature | None = None


@contextmanager
def new_file(path: str | Path, suffix: str) -> Iterator[Path]:
    """Yield a temporary path, which becomes ``path`` when the block ends without an error.

    After an error the temporary file is removed.

    Raises:
        ExportError: ``path`` doesn't end in ``suffix``, by which programs choose a reader.
    """
    path = Path(path)
    if path.suffix.lower() != suffix:
        raise ExportError(f"path must end in {suffix}, got {str(path)!r}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    # torch's and ONNX's writers take plain paths alone.
    with (
        plain_folder(path.parent) as folder,
        replacing(folder / path.name, plain=suffix) as temporary,
    ):
        yield temporary
    sync_folder(path.parent)
