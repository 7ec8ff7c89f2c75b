"""Comparison of a file's outputs with the network's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fastgan.export.files import ExportError
from fastgan.export.forms import Form

TOLERANCE = 1e-4
Tensors = tuple[Tensor, ...]


def compare(form: Form, run: Callable[..., Any], *, dynamic_batch: bool, kind: str) -> float:
    """Return the largest difference between the network and ``run``, relative to its output.

    It is a share of the largest output, which counts as 1 if it is smaller. Both run on the form's
    example, from the same seed of torch's generators. With ``dynamic_batch`` they also run on twice
    as many samples and on the fewest. With open sizes they run on the smallest images.

    Raises:
        ExportError: the difference is above :data:`TOLERANCE`; it names ``kind``.
    """
    largest = 0.0
    for inputs in _cases(form, dynamic_batch):
        expected, got = (_seeded(function, inputs) for function in (form.module, run))
        shapes = [[list(x.shape) for x in outputs] for outputs in (expected, got)]
        if shapes[0] != shapes[1]:
            raise ExportError(
                f"The outputs of the {kind} file must be {_shown(shapes[0])}, the network's, got "
                f"{_shown(shapes[1])}: it was not kept."
            )
        for ours, theirs in zip(expected, got):
            scale = max(1.0, ours.abs().max().item())
            difference = (ours.double() - theirs.double()).abs().max().item() / scale
            # NaN fails too.
            if not difference <= TOLERANCE:
                raise ExportError(
                    f"The {kind} file differs from the network by {difference:.1e}, more than "
                    f"{TOLERANCE:.0e}: it was not kept."
                )
            largest = max(largest, difference)
    return largest


def _cases(form: Form, dynamic_batch: bool) -> list[Tensors]:
    example, signature = form.example, form.signature
    cases = [example]
    if dynamic_batch:
        cases.append(tuple(torch.cat([x, x.flip(0)]) for x in example))
        fewest = 1 if signature is None or signature.group == 1 else len(example[0])
        cases.append(tuple(x[:fewest] for x in example))
    if signature is not None and signature.sizes is not None:
        cases.append(signature.example(form.batch, (1, 1)))
    return cases


def outputs_of(result: Any) -> Tensors:
    """Return the outputs of a module or a file as a tuple of tensors."""
    return (result,) if isinstance(result, Tensor) else tuple(result)


@torch.no_grad()
def _seeded(function: Callable[..., Any], inputs: Tensors) -> Tensors:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return outputs_of(function(*inputs))


def _shown(shapes: list[list[int]]) -> str:
    return ", ".join(map(str, shapes))
