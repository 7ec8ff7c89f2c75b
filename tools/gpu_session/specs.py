"""All :class:`OpSpec` of the tests, and their arguments on a device."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import torch
from torch import Tensor

from tests import specs
from tests.specs import OpSpec, Sample


def all_specs() -> list[OpSpec]:
    """Return the specs of all modules of ``tests.specs``, ordered by name."""
    found: dict[str, OpSpec] = {}
    for module in pkgutil.iter_modules(specs.__path__, "tests.specs."):
        names = vars(importlib.import_module(module.name)).values()
        found |= {spec.name: spec for spec in names if isinstance(spec, OpSpec)}
    return [found[name] for name in sorted(found)]


def spec_of(name: str) -> OpSpec:
    """Return a spec by its op's name."""
    return next(spec for spec in all_specs() if spec.name == name)


def on_device(options: Any, device: str) -> dict[str, Any]:
    """Return options with their tensors, filters say, on the device."""
    return {
        name: value.to(device) if isinstance(value, Tensor) else value
        for name, value in dict(options).items()
    }


def smoke_samples(spec: OpSpec) -> list[Sample]:
    """Return two samples of a spec that aren't large or empty, from its beginning and middle."""
    usual = [sample for sample in spec.samples if not sample.large]
    found = [next(filter(_has_values, usual[start:])) for start in (0, len(usual) // 2)]
    return found if found[0] is not found[1] else found[:1]


def _has_values(sample: Sample) -> bool:
    tensors = sample.tensors(torch.float32, torch.device("cpu"))
    return all(t is None or t.numel() > 0 for t in tensors)
