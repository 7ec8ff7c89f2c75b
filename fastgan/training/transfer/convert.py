"""Conversion of tensors to other colours and labels; the same function where that is possible.

A dimension of a tensor is a layer's output or its input. Colours are converted as pictures are:
grey is the luma of colours, and colours repeat the grey. So a generator draws the same pictures, in
grey or in colour. A discriminator sees its images converted to those that it knows.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fastgan._torch_private import CONVOLUTIONS, TRANSPOSED_CONVOLUTIONS
from fastgan.nn import EqualConv2d, EqualLinear, ModulatedConv2d
from fastgan.training.transfer.blueprint import Axis

# ITU-R BT.601, as in Pillow.
LUMA = (0.299, 0.587, 0.114)


class LabelsAndColours:
    """Mapping from a source's images and labels to those of a run.

    Args:
        channels: channels of the images of source and run.
        inputs: channels of the input images of source and run, 0 for none.
        labels: for each label of the run the source's index of the same label, None for a new one.
        before: number of labels of the source.
    """

    def __init__(
        self,
        channels: tuple[int, int],
        inputs: tuple[int, int],
        labels: Sequence[int | None],
        before: int,
    ) -> None:
        self.channels, self.inputs = channels, inputs
        self.labels, self.before = list(labels), before

    def keeps(self, before: Axis, now: Axis) -> bool:
        """Return True if a dimension needs no conversion."""
        return (
            before == now
            and (not now.colours or self.channels[0] == self.channels[1])
            and (not now.inputs or self.inputs[0] == self.inputs[1])
            and (not now.labels or self.labels == list(range(self.before)))
        )


def same_labels(before: Sequence[str], now: Sequence[str]) -> list[int | None]:
    """Find each label of ``now`` among those ``before``.

    Labels match by name, or by number if the two have no name in common.
    """
    places = {name: i for i, name in enumerate(before)}
    if not places.keys() & set(now):
        return [i if i < len(before) else None for i in range(len(now))]
    return [places.get(name) for name in now]


def colour_matrix(before: int, now: int) -> Tensor:
    """Return the float32 matrix ``[now, before]`` that converts channels of a picture.

    1 channel is grey and 3 are colours; 2 and 4 have alpha as well.
    """
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
    """Return the layer that a tensor of a state dict belongs to, parametrised or not."""
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
    """Convert a tensor of the source for the run's layer; return None if that can't be.

    Args:
        tensor: tensor of the source.
        layers: its layers in the source's network and in the run's.
        axes: meaning of its dimensions in the source's network and in the run's.
        mapping: mapping of labels and colours.
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
        # The scale of an equalised layer follows from its number of inputs.
        if before_layer.scale != layer.scale:
            tensor = tensor * (before_layer.scale / layer.scale)
    return tensor.contiguous()


def _is_input(layer: nn.Module, ndim: int, dim: int) -> bool:
    if ndim < 2:
        return False
    return dim == 0 if isinstance(layer, TRANSPOSED_CONVOLUTIONS) and dim < 2 else dim > 0


def _along(
    x: Tensor, before: Axis, now: Axis, mapping: LabelsAndColours, *, is_input: bool, grouped: bool
) -> Tensor | None:
    """Convert the first dimension of a tensor; return None if that can't be."""
    one = Axis(rest=1)
    if not is_input and before == one and now == Axis(labels=1):
        # One output for all labels becomes one for each.
        return x.expand(len(mapping.labels), *x.shape[1:])
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
    if any(part is None for part in parts):
        return None
    return torch.cat(parts)  # type: ignore[arg-type]


def _coloured(
    x: Tensor, times: int, channels: tuple[int, int], *, is_input: bool, grouped: bool
) -> Tensor:
    """Convert the channels of ``times`` pictures.

    They lie one picture after the other if ``grouped``, else one channel after the other.
    """
    before, now = channels
    if not times or before == now:
        return x
    matrix = (colour_matrix(now, before).T if is_input else colour_matrix(before, now)).to(x)
    shape = (times, before) if grouped else (before, times)
    parts = torch.tensordot(matrix, x.unflatten(0, shape), ([1], [1 if grouped else 0]))
    return (parts.movedim(0, 1) if grouped else parts).flatten(0, 1)


def _resized(x: Tensor, size: int) -> Tensor:
    """Keep the first inputs; new inputs get zeros."""
    return torch.cat([x[:size], x.new_zeros(max(size - len(x), 0), *x.shape[1:])])


def _labelled(
    x: Tensor, before: int, now: int, mapping: LabelsAndColours, *, new_are_zero: bool
) -> Tensor | None:
    """Return an entry for each label: the source's, or for a new one their mean.

    ``new_are_zero`` takes zeros for new labels, as beside other inputs.
    """
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
