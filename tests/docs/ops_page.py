"""The part of docs/ops.md about each op: its signature, its docstring, its tolerances, its maths.

python -m tests.docs.ops_page writes it.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.document import write_part
from fastgan import ops
from tests import specs
from tests.specs import OpSpec

PAGE = Path(__file__).resolve().parents[2] / "docs" / "ops.md"
#: The ops in the order of the page, each with the functions that belong to it.
OPS: dict[str, tuple[str, ...]] = {
    "bias_act": (),
    "scale_bias_act": (),
    "adaptive_norm": ("adaptive_norm_with_stats",),
    "pixel_norm": (),
    "minibatch_stddev": (),
    "upfirdn2d": ("setup_filter", "upsample2d", "downsample2d", "filter2d"),
    "filtered_lrelu": ("design_lowpass",),
    "conv2d": ("conv_transpose2d", "set_winograd"),
    "conv2d_resample": (),
    "modulated_conv2d": ("set_fused_modulation",),
    "lerp_samples": (),
    "grad_norm_penalty": (),
    "spectral_norm": (),
    "grid_sample": (),
    "attention": (),
    "all_reduce_sum": (),
}
DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def all_specs() -> dict[str, OpSpec]:
    """Return every :class:`OpSpec` by its name."""
    found = {}
    for module in pkgutil.iter_modules(specs.__path__):
        values = vars(importlib.import_module(f"tests.specs.{module.name}")).values()
        found |= {value.name: value for value in values if isinstance(value, OpSpec)}
    return found


def signature(function: Callable[..., Any]) -> str:
    """Return the call without types, in lines of at most 100 columns."""
    parameters = inspect.signature(function).parameters.values()
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    call = f"{function.__name__}{inspect.Signature(plain)}".replace("'", '"')
    indent = " " * (len(function.__name__) + 1)
    return textwrap.fill(call, 100, subsequent_indent=indent, break_on_hyphens=False)


def description(function: Callable[..., Any]) -> str:
    """Return the docstring up to its arguments, as Markdown."""
    text = re.split(r"^(?:Args|Returns):", inspect.getdoc(function) or "", flags=re.MULTILINE)[0]
    text = re.sub(r":\w+:`(?:fastgan\.(?:ops\.)?)?([\w.]+)`", r"`\1`", text)
    return "\n\n".join(paragraphs(text.replace("``", "`")))


def paragraphs(text: str) -> Iterator[str]:
    """Yield paragraphs; an indented one after ``::`` becomes an example in Python."""
    for paragraph in text.strip().split("\n\n"):
        if paragraph == "::":
            continue
        if paragraph.startswith("    "):
            paragraph = f"```python\n{textwrap.dedent(paragraph)}\n```"
        yield paragraph


def section(name: str, spec: OpSpec | None) -> list[str]:
    function = getattr(ops, name)
    calls = [signature(getattr(ops, each)) for each in (name, *OPS[name])]
    folder = function.__module__.rpartition(".")[2]
    ending = f"[Maths](../fastgan/ops/{folder}/README.md)."
    if spec is not None:
        bounds = ", ".join(f"{spec.tolerance[d]:.2g} in {str(d)[6:]}" for d in DTYPES)
        bounds = bounds.replace("e-0", "e-")
        ending = f"Largest error: {bounds}. {ending}"
    text = ["```text", *calls, "```", "", description(function), "", textwrap.fill(ending, 100)]
    return [f"## {name}", "", *text, ""]


def lines() -> list[str]:
    known = all_specs()
    return [line for name in OPS for line in section(name, known.get(name))][:-1]


if __name__ == "__main__":
    write_part(PAGE, "ops", lines())
