"""Registration of scale_bias_act and its derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from fastgan.ops._activations import CURVED, slope_needs_input
from fastgan.ops._family import Arguments, define_family
from fastgan.ops._layout import image_like
from fastgan.ops.scale_bias_act import reference


def _saved(
    needs: Sequence[bool], y: Tensor, x: Tensor, scale: Tensor | None, noise: Tensor | None,
    b: Tensor | None, act: str, alpha: float, gain: float, clamp: float | None,
) -> Any:  # fmt: skip
    sloped = slope_needs_input(act, clamp)
    return (
        x if sloped or needs[1] else None, scale,
        noise if sloped or needs[2] else None, b if sloped else None,
    )  # fmt: skip


def _needed(wanted: Sequence[bool], directions: Any, settings: Any) -> tuple[bool, ...]:
    """The slope of a curved activation depends on v; of others, only products with scale count."""
    need_ddy, need_dx, need_dscale, need_dnoise, need_db = wanted
    bends = settings[0] in CURVED
    turns = bends or directions[1] is not None
    return need_ddy, need_dx and turns, need_dscale, need_dnoise and bends, need_db and bends


def _image(given: Arguments) -> Tensor:
    """Return an empty result like the first argument, which is an image."""
    return image_like(next(iter(given.values())))


define_family(
    "scale_bias_act(Tensor x, Tensor? scale, Tensor? noise, Tensor? b, str act, float alpha, float "
    "gain, float? clamp) -> Tensor y",
    reference,
    "fastgan.ops.scale_bias_act",
    saved="Tensor? x, Tensor? scale, Tensor? noise, Tensor? b",
    save=_saved,
    flags=("dscale dnoise db", "dx dscale dnoise db"),
    needed=_needed,
    like={
        "y": _image,
        "x": _image,
        "scale": lambda given: given.dy.new_empty(given.dy.shape[:2]),
        "noise": lambda given: given.dy.new_empty(given.noise.shape),
        "b": lambda given: given.dy.new_empty(given.dy.shape[1]),
    },
)
