from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fastgan import ops
from fastgan.testing import evaluate, first_mismatch
from fastgan.testing.adaptive_norm import ADAPTIVE_NORM
from fastgan.testing.layouts import channels_last
from tests.ops.contract import OpContract


class TestContract(OpContract):
    spec = ADAPTIVE_NORM


LAYOUTS = pytest.mark.parametrize("layout", [torch.clone, channels_last], ids=["rows", "channels_last"])


def image(*shape: int, device: object = "cpu") -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)
