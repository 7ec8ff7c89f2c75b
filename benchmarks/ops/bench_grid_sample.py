from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F

from benchmarks.harness import OpBenchmark
from benchmarks.measures import MEASURES, Call, Tensors
from benchmarks.sides import Side, SideUnavailable
from tests.specs.grid_sample import GRID_SAMPLE


def _prepare(measure: str, tensors: Tensors, options: Mapping[str, Any]) -> Call:
    call = MEASURES[measure](F.grid_sample, tensors, {"align_corners": False, **options})
    try:
        call()
    # Torch lacks half types on the CPU, and second derivatives before 2.12 or so.
    except RuntimeError as error:
        raise SideUnavailable(f"F.grid_sample: {str(error).strip().splitlines()[0]}") from error
    return call


class TestGridSample(OpBenchmark):
    spec = GRID_SAMPLE
    eager = "gather"  # the reference; torch has its own kernels
    others = (Side("torch", _prepare),)
