"""Graphs of torch.export in a file: ``torch.export.load`` opens it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from fastgan.export.check import compare
from fastgan.export.files import Written, new_file
from fastgan.export.trace import has_own_ops, trace


def to_torch_export(
    module: nn.Module,
    example: tuple[Tensor, ...],
    path: str | Path,
    *,
    dynamic_batch: bool = True,
    portable: bool = False,
) -> Written:
    """Writes the graph of ``module(*example)``, which ``torch.export.load(path).module()`` runs.

    Args:
        module: in eval mode; it returns one tensor.
        example: tensors ``[N, …]``; with ``dynamic_batch`` N is at least 2 here and anything later.
        path: ends in ``.pt2``; a file that exists is replaced.
        portable: plain PyTorch, so that loading needs no fastgan. Otherwise the graph calls fastgan's ops, which are faster,
            and ``import fastgan.ops`` comes before loading.

    Raises:
        ExportError: the module can't be captured, or the file gives other outputs.
        OSError: the file can't be written.
    """
    with new_file(path, ".pt2") as temporary:
        program = trace(module, example, dynamic_batch=dynamic_batch, portable=portable)
        torch.export.save(program, temporary)
        run = torch.export.load(temporary).module()
        difference = compare(module, run, example, dynamic_batch=dynamic_batch, kind="torch-export")
    needs = "torch and fastgan ('import fastgan.ops' first)" if has_own_ops(program) else "torch alone"
    return Written(Path(path), difference, needs)
