"""Calls on tiny tensors, which take the time of Python and of the dispatcher, in pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.e2e.stylegan2 import STEPS, Game, take
from benchmarks.measures import Results
from fastgan import ops
from fastgan.ops.upfirdn2d import setup_filter

SHAPE = (1, 4, 4, 4)


@dataclass(frozen=True)
class Pair:
    """Two calls whose times are compared.

    Args:
        name: what is timed, against what.
        ours: our call.
        other: the call to compare with.
        at_most: largest ratio of our time to the other's to aim for.
        tolerance: bound on the difference of their results; None where they compute different ones.
    """

    name: str
    ours: Callable[[], Results]
    other: Callable[[], Results]
    at_most: float
    tolerance: float | None = 1e-5


def tensors(*shapes: Sequence[int], leaves: bool = False, device: str = "cpu") -> list[Tensor]:
    """Return random tensors that need gradients; unless ``leaves``, results of an operation."""
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randn(shape, generator=generator).to(device) for shape in shapes]
    made = [t.requires_grad_() for t in drawn]
    return made if leaves else [t * 1.0 for t in made]


def forward(op: Callable[..., Tensor], *inputs: Tensor) -> Results:
    with torch.no_grad():
        return {"y": op(*inputs)}


def gradients(
    y: Tensor, inputs: Sequence[Tensor], direction: Tensor, **options: Any
) -> dict[str, Tensor | None]:
    found = torch.autograd.grad(y, inputs, direction, **options)
    return {str(i): gradient for i, gradient in enumerate(found)}


def forward_backward(op: Callable[..., Tensor], direction: Tensor, *inputs: Tensor) -> Results:
    y = op(*inputs)
    return {"y": y, **gradients(y, inputs, direction)}


def backward_with_graph(op: Callable[..., Tensor], direction: Tensor, *inputs: Tensor) -> Any:
    return partial(gradients, op(*inputs), inputs, direction, create_graph=True)


# ------------------------------------------------------------------------------------- ops


def bias_act_formula(x: Tensor, b: Tensor) -> Tensor:
    return F.leaky_relu(x + b[:, None, None], 0.2) * 2**0.5


def modulated_formula(x: Tensor, weight: Tensor, styles: Tensor, b: Tensor) -> Tensor:
    d = (styles.square() @ weight.square().sum((2, 3)).t() + 1e-8).rsqrt()
    y = F.conv2d(x * styles[:, :, None, None], weight, padding=1)
    return bias_act_formula(y * d[:, :, None, None], b)


def op_pairs(device: str = "cpu") -> list[Pair]:
    """Return the pairs of single ops."""
    on = partial(tensors, device=device)
    bias_act = partial(ops.bias_act, act="lrelu")
    x, b = on(SHAPE, (4,))
    leaf_x, leaf_b = on(SHAPE, (4,), leaves=True)
    dy, dy_up = on(SHAPE, (1, 4, 8, 8))
    dy, dy_up = dy.detach(), dy_up.detach()
    scale, noise, weight, styles = on((1, 4), (1, 1, 4, 4), (4, 4, 3, 3), (1, 4))
    f = setup_filter([1, 3, 3, 1]).to(device)

    def scale_bias_act(x: Tensor, scale: Tensor, noise: Tensor, b: Tensor) -> Tensor:
        return ops.scale_bias_act(x, scale, noise, b, act="lrelu")

    def modulated(x: Tensor, weight: Tensor, styles: Tensor, b: Tensor) -> Tensor:
        return ops.modulated_conv2d(x, weight, styles, bias=b, act="lrelu")

    def product(x: Tensor) -> Tensor:
        return x * 1.0

    both = partial(forward_backward, bias_act, dy)
    floor = partial(forward_backward, product, dy, x)
    return [
        Pair(
            "bias_act forward + backward, against the formula",
            partial(both, x, b), partial(forward_backward, bias_act_formula, dy, x, b), 1.3,
        ),
        Pair(
            "bias_act without gradients, against the formula",
            partial(forward, bias_act, x, b), partial(forward, bias_act_formula, x, b), 1.4,
        ),
        Pair(
            "bias_act backward with create_graph, against the formula",
            backward_with_graph(bias_act, dy, x, b),
            backward_with_graph(bias_act_formula, dy, x, b), 1.4,
        ),
        Pair(
            "bias_act of leaves, against other inputs",
            partial(both, leaf_x, leaf_b), partial(both, x, b), 1.2,
        ),
        Pair(
            "upsample2d forward + backward, against x * 1.0",
            partial(forward_backward, lambda x: ops.upsample2d(x, f), dy_up, x), floor, 3.0,
            tolerance=None,
        ),
        Pair(
            "scale_bias_act forward + backward, against x * 1.0",
            partial(forward_backward, scale_bias_act, dy, x, scale, noise, b), floor, 3.0,
            tolerance=None,
        ),
        Pair(
            "modulated_conv2d without gradients, against the formula",
            partial(forward, modulated, x, weight, styles, b),
            partial(forward, modulated_formula, x, weight, styles, b), 2.0,
        ),
    ]  # fmt: skip


# ------------------------------------------------------------------------------------ steps

#: Parts of a training step, and how often they run in one: R1 every 16th time, the path length
#: every fourth time.
PARTS = {"D step": 1.0, "G step": 1.0, "R1 step": 1 / 16, "path length step": 1 / 4}
OF_STEPS = 0.65


def step_pairs() -> dict[str, Pair]:
    """Return StyleGAN2's parts of a step with the layers of 256×256, narrow and with one image."""
    game = Game.of(256, batch=1, device=torch.device("cpu"), channel_base=512, channel_max=2)
    return {
        part: Pair(
            part, partial(part_of_step, part, game, None),
            partial(part_of_step, part, game, "reference"), OF_STEPS, tolerance=2e-2,
        )
        for part in PARTS
    }  # fmt: skip


def part_of_step(part: str, game: Game, backend: str | None) -> Results:
    with ops.use_backend(backend):
        return dict(take(part, STEPS[part], game))
