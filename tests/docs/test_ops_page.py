"""docs/ops.md says of each op what its docstring and its OpSpec say."""

from __future__ import annotations

from benchmarks.document import replace_part
from fastgan import ops
from tests.docs.ops_page import OPS, PAGE, all_specs, description, lines, signature


def test_the_page_is_up_to_date():
    text = PAGE.read_text("utf-8")
    assert replace_part(text, "ops", lines()) == text, "run python -m tests.docs.ops_page"


def test_every_op_is_on_the_page():
    shown = {name for op, others in OPS.items() for name in (op, *others)}
    assert shown == {n for n in ops.__all__ if n.islower()} - {"backends", "use_backend"}
    # They are parts of conv2d and of modulated_conv2d.
    assert set(all_specs()) - {"grouped_conv2d", "modulation_factors", "upfirdn2d_act"} <= set(OPS)


def test_grouped_convolutions_are_as_exact_as_others():
    known = all_specs()
    assert known["grouped_conv2d"].tolerance == known["conv2d"].tolerance


def test_a_docstring_becomes_markdown():
    def op(x: int, *, mode: str = "a") -> None:
        """Return ``x``, as :func:`fastgan.ops.bias_act`.

        ::

            y = op(x)

            z = op(y)

        The layer is :class:`fastgan.layers.BiasAct`.

        Args:
            x: a number.
        """

    assert signature(op) == 'op(x, *, mode="a")'
    assert description(op).splitlines() == [
        "Return `x`, as `bias_act`.",
        "",
        "```python",
        "y = op(x)",
        "```",
        "",
        "```python",
        "z = op(y)",
        "```",
        "",
        "The layer is `layers.BiasAct`.",
    ]
