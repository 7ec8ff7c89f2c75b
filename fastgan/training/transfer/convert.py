"""Tensors for other colours and labels: the same function where that is possible.

A dimension of a tensor is a layer's output or its input. Colours are converted as pictures are: grey is the luma of
colours, and colours are the grey repeated. So a generator draws the same pictures, in grey or in colour, and a
discriminator sees its images converted to those that it knows.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fastgan._torch_private import CONVOLUTIONS, TRANSPOSED_CONVOLUTIONS
from fastgan.nn import EqualConv2d, EqualLinear, ModulatedConv2d
from fastgan.training.transfer.blueprint import Axis

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow has it


class LabelsAndColours:
    """How a source's images and labels become those of a run.

    channels, inputs: numbers of channels (source, run) of images and of input images.
    labels: for each label of the run the source's with the same meaning, None for a new one.
    before: number of labels of the source.
    """

    def __init__(
        self,
        channels: tuple[int, int],
        inputs: tuple[int, int],
        labels: Sequence[int | None],
        before: int,
    ) -> None:
        self.channels, self.inputs, self.labels, self.before = (
            channels,
            inputs,
            list(labels),
            before,
        )

    def keeps(self, before: Axis, now: Axis) -> bool:
        """Whether a dimension stays as it is."""
        return (
            before == now
            and (not now.colours or self.channels[0] == self.channels[1])
            and (not now.inputs or self.inputs[0] == self.inputs[1])
            and (not now.labels or self.labels == list(range(self.before)))
        )


def same_labels(before: Sequence[str], now: Sequence[str]) -> list[int | None]:
    """Find each label of `now` among those `before`: by its name, or by its number where no name is in both."""
    places = {name: i for i, name in enumerate(before)}
    if not places.keys() & set(now):
        return [i if i < len(before) else None for i in range(len(now))]
    return [places.get(name) for name in now]


def colour_matrix(before: int, now: int) -> Tensor:
    """Return float32 `[now, before]`, which makes channels of one kind of picture of another's; 2 and 4 have alpha."""
    grey, colours = {1: 1, 2: 1, 3: 3, 4: 3}[before], {1: 1, 2: 1, 3: 3, 4: 3}[now]
    matrix = torch.zeros(now, before)
    if grey == colours:
        matrix[:colours, :grey] = torch.eye(colours)
    else:
        matrix[:colours, :grey] = torch.tensor([LUMA]) if colours == 1 else torch.ones(3, 1)
    if before % 2 == now % 2 == 0:
        matrix[-1, -1] = 1
    return matrix


def owner_of(network: nn.Module, key: str) -> nn.Module:
    """The layer that a tensor of a state dict belongs to, that of a parametrised weight too."""
    path = (
        key.split(".parametrizations.")[0]
        if ".parametrizations." in key
        else key.rpartition(".")[0]
    )
    return network.get_submodule(path)


def convert(
    tensor: Tensor,
    layers: tuple[nn.Module, nn.Module],
    axes: tuple[tuple[Axis, ...], tuple[Axis, ...]],
    mapping: LabelsAndColours,
) -> Tensor | None:
    """Return a tensor of the source as the run's layer takes it, None where it can't be.

    layers, axes: of the source, and of the run.
    """
    for dim, (before, now) in enumerate(zip(*axes)):
        if mapping.keeps(before, now):
            continue
        is_input = _is_input(layers[1], tensor.ndim, dim)
        grouped = is_input and isinstance(layers[1], (*CONVOLUTIONS, EqualConv2d, ModulatedConv2d))
        changed = _along(
            tensor.movedim(dim, 0), before, now, mapping, is_input=is_input, grouped=grouped
        )
        if changed is None:
            return None
        tensor = changed.movedim(0, dim)
    before_layer, layer = layers
    if tensor.ndim > 1 and isinstance(layer, EqualLinear | EqualConv2d):
        assert isinstance(before_layer, EqualLinear | EqualConv2d)
        if (
            before_layer.scale != layer.scale
        ):  # of the number of inputs, which tells how weights are scaled
            tensor = tensor * (before_layer.scale / layer.scale)
    return tensor.contiguous()


def _is_input(layer: nn.Module, ndim: int, dim: int) -> bool:
    if ndim < 2:
        return False
    return dim == 0 if isinstance(layer, TRANSPOSED_CONVOLUTIONS) and dim < 2 else dim > 0


def _along(
    x: Tensor, before: Axis, now: Axis, mapping: LabelsAndColours, *, is_input: bool, grouped: bool
) -> Tensor | None:
    """The tensor with another first dimension."""
    one = Axis(rest=1)
    if not is_input and before == one and now == Axis(labels=1):
        return x.expand(len(mapping.labels), *x.shape[1:])  # what holds for all holds for each
    if not is_input and before == Axis(labels=1) and now == one:
        return x.mean(0, keepdim=True)
    if (before.colours, before.inputs) != (now.colours, now.inputs):
        return None
    sizes = [
        before.colours * mapping.channels[0],
        before.inputs * mapping.inputs[0],
        before.rest,
        before.labels * mapping.before,
    ]
    if sum(sizes) != len(x):
        return None
    colours, inputs, rest, labels = x.split(sizes)
    joined = is_input and (now.rest or now.colours or now.inputs)
    parts = [
        _coloured(colours, before.colours, mapping.channels, is_input=is_input, grouped=grouped),
        _coloured(inputs, before.inputs, mapping.inputs, is_input=is_input, grouped=grouped),
        _resized(rest, now.rest) if is_input else rest if len(rest) == now.rest else None,
        _labelled(labels, before.labels, now.labels, mapping, new_are_zero=bool(joined)),
    ]
    return None if any(part is None for part in parts) else torch.cat(parts)  # type: ignore[arg-type]


def _coloured(
    x: Tensor, times: int, channels: tuple[int, int], *, is_input: bool, grouped: bool
) -> Tensor:
    """`times` pictures' channels, one picture after the other if `grouped`, else one channel after the other."""
    before, now = channels
    if not times or before == now:
        return x
    matrix = (colour_matrix(now, before).T if is_input else colour_matrix(before, now)).to(x)
    shape = (times, before) if grouped else (before, times)
    parts = torch.tensordot(matrix, x.unflatten(0, shape), ([1], [1 if grouped else 0]))
    return (parts.movedim(0, 1) if grouped else parts).flatten(0, 1)


def _resized(x: Tensor, size: int) -> Tensor:
    """The first inputs; inputs that are new count for nothing at first."""
    return torch.cat([x[:size], x.new_zeros(max(size - len(x), 0), *x.shape[1:])])


def _labelled(
    x: Tensor, before: int, now: int, mapping: LabelsAndColours, *, new_are_zero: bool
) -> Tensor | None:
    """An entry for each label: the source's, and for a new one their mean, or zero beside other inputs."""
    if not before or not now:
        return (
            x.new_zeros(now * len(mapping.labels), *x.shape[1:])
            if new_are_zero or not now
            else None
        )
    if before != now:
        return None
    rows = x.unflatten(0, (now, mapping.before))
    new = torch.zeros_like(rows[:, 0]) if new_are_zero else rows.mean(1)
    return torch.stack([new if i is None else rows[:, i] for i in mapping.labels], 1).flatten(0, 1)
