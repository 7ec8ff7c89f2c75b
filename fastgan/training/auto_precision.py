"""Choice of the precision `auto`: the fastest one in which a recipe learns as well."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch

from fastgan._torch_private import has_amx
from fastgan.recipes import Recipe
from fastgan.recipes.base import Precision

LEARN_IN_BF16 = frozenset({"cgan", "dcgan", "lsgan", "r3gan", "stylegan2"})
"""Recipes that learn as well in bfloat16, over five seeds: `tests/learning/PRECISION.md`."""

LEAST_CAPABILITY: dict[str, tuple[int, int]] = {"fp16": (7, 0), "bf16": (8, 0), "tf32": (8, 0)}
"""First compute capability with fast products in a precision."""


class Choice(NamedTuple):
    """A precision, and the reason for it as a clause."""

    precision: Precision
    reason: str


def choose(recipe: Recipe | type[Recipe], device: torch.device) -> Choice:
    """Return what `auto` means for a recipe on a device of this machine."""
    if device.type == "cuda":
        return _on_cuda(recipe, torch.cuda.get_device_capability(device))
    if device.type != "cpu":
        return Choice("fp32", f"no other precision was tried on {device.type}")
    if recipe.name not in LEARN_IN_BF16:
        return Choice("fp32", "five seeds don't show yet that it learns as well in bf16")
    if not has_amx():
        return Choice("fp32", "this CPU has no AMX, without which bf16 is slower")
    return Choice("bf16", "this CPU has AMX, and five seeds learned as well as in fp32")


def resolve(recipe: Recipe, device: torch.device, saved: Recipe | None) -> tuple[Recipe, str]:
    """Return the recipe with a precision that isn't `auto`, and a line for a person.

    Args:
        recipe: recipe of the run.
        device: device that the run is trained on.
        saved: recipe of the run that is resumed, whose precision is kept; None for a new run.
    """
    precision, how = recipe.precision, ""
    if precision == "auto" and saved is not None:
        precision, how = saved.precision, ", as the run was started"
    elif precision == "auto":
        precision, reason = choose(recipe, device)
        how = f", chosen by auto: {reason}"
    line = f"Precision {precision}{how}."
    if precision == "fp16" and device.type == "cpu":
        line += " On a CPU fp16 is slower than fp32."
    return replace(recipe, precision=precision), line


def _on_cuda(recipe: Recipe | type[Recipe], capability: tuple[int, int]) -> Choice:
    half = getattr(recipe, "gpu_half", None) if getattr(recipe, "half_resolutions", 0) else None
    if half is not None and capability >= LEAST_CAPABILITY[half]:
        return Choice(half, "in the highest resolutions as in the paper, with TF32 elsewhere")
    if capability >= LEAST_CAPABILITY["tf32"]:
        return Choice("tf32", "this GPU multiplies TF32 several times faster than float32")
    return Choice(
        "fp32", f"a GPU of compute capability {capability[0]}.{capability[1]} has no TF32"
    )
