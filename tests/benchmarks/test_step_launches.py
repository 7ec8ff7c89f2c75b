"""Operators of StyleGAN2's step on a GPU, which its host must launch."""

from __future__ import annotations

import pytest

from benchmarks.step_launches import PARTS, average, count_step


@pytest.mark.parametrize("precision, bound", [("fp32", 1650), ("fp16", 1750)])
def test_a_step_launches_few_operators(precision, bound):
    """At 256×256; NVIDIA's code has 2,863, and 3,648 with four resolutions in half precision."""
    counted = count_step(precision=precision)
    assert set(counted.by_part) == set(PARTS) and counted.by_part.total() == counted.count
    assert bound / 2 < average(counted.by_part) <= bound
    names = {name for _, _, name in counted.by_source}
    assert {"fastgan::modulated_conv2d", "fastgan::scale_all"}.isdisjoint(names)
    assert {"fastgan::scale_bias_act", "aten::_foreach_mul.ScalarList"} <= names
    # Optimisers of two players, one of which has two updates in a step with all parts.
    assert sum(n for (_, _, name), n in counted.by_source.items() if "_fused_adam_" in name) == 4
