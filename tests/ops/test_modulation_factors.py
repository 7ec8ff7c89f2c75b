from __future__ import annotations

from tests.ops.contract import OpContract
from tests.specs.modulation_factors import MODULATION_FACTORS


class TestContract(OpContract):
    spec = MODULATION_FACTORS
