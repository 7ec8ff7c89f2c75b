"""Figures of recipes that translate: answers to their inputs, and distances from targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Generator, Tensor

from fastgan.diagnose.figures import Figures
from fastgan.recipes import Batch, Networks
from fastgan.recipes.translation import Translation

Inputs = Mapping[str, Tensor]

# Fewest pairs of real images with the same input, for their distance.
_LEAST_PAIRS = 8
_TINY = 1e-12


def answer_figures(recipe: Translation, networks: Networks, rows: Batch, seed: int) -> Figures:
    """Measure how outputs change with the input, and with the noise where there is any.

    - ``input_effect``: mean squared change of an output with an input of another row. It is
      divided by the mean squared distance of the real images of both rows, and 0 for outputs that
      ignore their input. Of several inputs or directions it is the least.
    - ``noise_effect``: mean squared change of an output with other noise. It is divided by the mean
      squared distance of real images with equal inputs, or of all if there are too few.

    A filled picture counts in its hole alone.

    Args:
        recipe: recipe of the networks.
        networks: networks in eval mode.
        rows: rows of data, on the networks' device.
        seed: seed of the noise.
    """

    def translated(inputs: Inputs, seed: int) -> Tensor:
        return recipe.translate(networks, inputs, generator=Generator().manual_seed(seed)).float()

    effects = []
    for inputs, real in _directions(recipe, rows):
        where = inputs["mask"] if recipe.fills else torch.ones_like(real[:, :1])
        output = translated(inputs, seed)
        usual = _apart(real, real.roll(1, 0), where)
        for name in inputs.keys() - {"mask"}:
            exchanged = translated({**inputs, name: inputs[name].roll(1, 0)}, seed)
            effects.append(_apart(output, exchanged, where) / max(usual, _TINY))
    found = {"input_effect": min(effects)}
    if hasattr(recipe, "z_dim"):
        inputs = recipe.source(rows)
        change = translated(inputs, seed) - translated(inputs, seed + 1)
        usual = _apart_with_equal_inputs(inputs, rows.real)
        found["noise_effect"] = float(change.square().mean()) / max(usual, _TINY)
    return found


def target_figures(
    recipe: Translation, networks: Networks, rows: Batch, output: Tensor, mean: Tensor
) -> Figures:
    """Measure the L1 distance of outputs from their targets; empty without targets.

    - ``l1``: that of the outputs, for colours in [-1, 1].
    - ``l1_of_mean``: that of the mean training image.
    - ``l1_of_input`` or so: that of the recipe's baseline view, if it is such an image.
    - ``l1_share``: that of the outputs, divided by the least of the others.

    A filled picture counts in its hole alone.

    Args:
        recipe: recipe of the networks.
        networks: networks in eval mode.
        rows: rows of data, whose real images are the targets.
        output: outputs of these rows.
        mean: mean training image ``[C, H, W]``.
    """
    if not recipe.paired:
        return {}
    where = recipe.source(rows)["mask"] if recipe.fills else torch.ones_like(rows.real[:, :1])

    def distance(images: Tensor) -> float:
        error = ((images - rows.real).abs() * where).sum()
        return float(error / (where.sum() * rows.real.shape[1]))

    usual = {"l1_of_mean": distance(mean.to(rows.real).expand_as(rows.real))}
    if recipe.baseline is not None:
        view = recipe.views(networks, rows, output)[recipe.baseline].float()
        if view.shape[1] in (1, rows.real.shape[1]):
            usual[f"l1_of_{recipe.baseline}"] = distance(view.expand_as(rows.real))
    l1 = distance(output)
    return {"l1": l1, **usual, "l1_share": l1 / max(min(usual.values()), _TINY)}


def _directions(recipe: Translation, rows: Batch) -> Iterator[tuple[Inputs, Tensor]]:
    """Yield inputs and real images like the outputs: of samples, and of the other direction."""
    inputs = recipe.source(rows)
    yield inputs, rows.real
    if len(recipe.directions) == 2:
        (other,) = inputs
        (name,) = set(recipe.directions.values()) - {other}
        yield {name: rows.real}, inputs[other]


def _apart(a: Tensor, b: Tensor, where: Tensor) -> float:
    """Return the mean squared difference of pixels where a mask is 1."""
    return float(((a - b).square() * where).sum() / (where.sum() * a.shape[1]))


def _apart_with_equal_inputs(inputs: Inputs, real: Tensor) -> float:
    """Return the mean squared distance of real images with equal inputs."""
    flat = torch.cat([value.flatten(1).double() for value in inputs.values()], 1)
    equal = (torch.cdist(flat, flat) == 0).triu(1)
    pairs = equal.nonzero()
    if len(pairs) < _LEAST_PAIRS:
        return float((real - real.roll(1, 0)).square().mean())
    return float((real[pairs[:, 0]] - real[pairs[:, 1]]).square().mean())
