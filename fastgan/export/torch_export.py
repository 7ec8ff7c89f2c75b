"""Graphs of torch.export in a file: ``torch.export.load`` opens it."""

from __future__ import annotations

from pathlib import Path

import torch

from fastgan.export.check import compare
from fastgan.export.files import Written, new_file
from fastgan.export.forms import Form
from fastgan.export.metadata import metadata_of
from fastgan.export.trace import has_own_ops, trace


def to_torch_export(
    form: Form, path: str | Path, *, dynamic_batch: bool = True, portable: bool = False
) -> Written:
    """Write the graph of a form, which ``torch.export.load(path).module()`` runs.

    Args:
        form: its example has N of at least 2 with ``dynamic_batch``; a call may then have any N.
        path: ends in ``.pt2``; a file that exists is replaced.
        portable: plain PyTorch, so that loading needs no fastgan. Otherwise the graph calls
            fastgan's ops, which are faster; ``import fastgan.ops`` before loading it.

    Raises:
        ExportError: the module can't be captured, or the file gives other outputs.
        OSError: the file can't be written.
    """
    with new_file(path, ".pt2") as temporary:
        program = trace(form, dynamic_batch=dynamic_batch, portable=portable)
        with open(temporary, "wb") as file:
            torch.export.save(
                program, file, extra_files=metadata_of(form, dynamic_batch=dynamic_batch)
            )
        with open(temporary, "rb") as file:
            run = torch.export.load(file).module()
        difference = compare(form, run, dynamic_batch=dynamic_batch, kind="torch-export")
    needs = (
        "torch and fastgan ('import fastgan.ops' first)" if has_own_ops(program) else "torch alone"
    )
    return Written(Path(path), difference, needs, form.signature)
