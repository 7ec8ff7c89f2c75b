"""Choice of trained weights for each network of a run, with an account for a person."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor, nn

from fastgan.errors import FastganError
from fastgan.recipes import ImageSpec, Recipe
from fastgan.training.config import Beginning
from fastgan.training.initial_weights import Plan, StateDict
from fastgan.training.transfer.blueprint import Blueprint, input_channels
from fastgan.training.transfer.convert import LabelsAndColours, convert, owner_of, same_labels
from fastgan.training.transfer.source import Source, TransferError

NAMED = 3
"""Tensors that a line of news names."""
# The vectors of a spectral norm.
_NORM = ".parametrizations.weight.0."


@dataclass
class Fit:
    """Tensors that a network takes of the source.

    Attributes:
        loaded: tensors by name.
        converted: names of those among them that were converted.
        fresh: names that the source lacks.
        differ: names with the source's shape and the network's.
        unused: names of the source that have no place in the network.
    """

    loaded: dict[str, Tensor] = field(default_factory=dict)
    converted: list[str] = field(default_factory=list)
    fresh: list[str] = field(default_factory=list)
    differ: list[tuple[str, list[int], list[int]]] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """True if no tensor starts fresh."""
        return not self.fresh and not self.differ

    @property
    def has_weights(self) -> bool:
        """True if a matrix or more fits; numbers and vectors may fit by chance."""
        return any(tensor.ndim > 1 for tensor in self.loaded.values())


def make_plan(source: Source, recipe: Recipe, images: ImageSpec) -> tuple[Recipe, Plan]:
    """Decide which trained weights a run of a recipe takes.

    Returns:
        The recipe, with settings that follow from the weights, and the plan.

    Raises:
        TransferError: no weight fits, or one isn't finite.
    """
    chosen = recipe.begin_with(source.networks(), images)
    recipe = replace(recipe, **chosen)
    here = Blueprint.of(recipe, images)
    there = _for_the_source(here, source)
    mapping = LabelsAndColours(
        (source.images.channels, images.channels),
        (input_channels(there.images), input_channels(images)),
        same_labels(there.labels, here.labels),
        len(there.labels),
    )
    change = _change(there, here)
    live: dict[str, StateDict] = {}
    averages: dict[str, StateDict] = {}
    whole, news = [], [f"Begins with {source.title}."]
    for name, network in here.networks.items():
        if name not in source.networks():
            news.append(
                f"  {name} starts fresh: the source has {', '.join(source.networks())} only."
            )
            continue
        own_class, its_class = type(network).__name__, source.classes.get(name)
        if its_class is not None and its_class != own_class:
            news.append(
                f"  {name} starts fresh: it is a {own_class}, that of the source a {its_class}."
            )
            continue
        fit = _fit(name, source.networks()[name], here, there, mapping)
        if not fit.has_weights and name not in recipe.carried:
            differ = f": {_differences(fit)}" if fit.differ else ""
            news.append(
                f"  {name} starts fresh: no weight of the source's {name} has its shape{differ}."
            )
            continue
        live[name] = fit.loaded
        news += (
            _lines(name, fit, change)
            if name not in recipe.carried
            else [f"  {name} is carried along."]
        )
        if name in recipe.averages:
            average = source.averages.get(name, source.networks()[name])
            averages[name] = _fit(name, average, here, there, mapping).loaded
            whole += [name] if fit.whole else []
    _check(source, recipe, here, live, averages)
    news += [f"  `{name}` is {value}." for name, value in chosen.items()]
    if source.conditional and not here.labels and images.num_classes > 1:
        news.append(
            f"  The source knows {source.images.num_classes} classes, and the data has "
            f"{images.num_classes}: `conditional` would keep them."
        )
    beginning = Beginning(source.path, source.file, source.sha256, source.title, tuple(whole))
    return recipe, Plan(beginning, live, averages, news)


def _for_the_source(here: Blueprint, source: Source) -> Blueprint:
    """Return the run's networks for the source's colours and labels.

    The result is ``here`` itself where they can't be built for these.
    """
    recipe, spec = here.recipe, source.images
    inputs = spec.inputs if spec.inputs.keys() == here.images.inputs.keys() else here.images.inputs
    images = replace(
        here.images,
        channels=spec.channels,
        num_classes=spec.num_classes,
        class_names=spec.class_names,
        inputs=inputs,
    )
    try:
        if any(f.name == "conditional" for f in fields(recipe)):
            recipe = replace(recipe, conditional=source.conditional)  # type: ignore[call-arg]
        if recipe == here.recipe and images == here.images:
            return here
        return Blueprint.of(recipe, images)
    except (FastganError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError):
        return here


def _fit(
    name: str, tensors: StateDict, here: Blueprint, there: Blueprint, mapping: LabelsAndColours
) -> Fit:
    network, other = here.networks[name], there.networks[name]
    expected, known = network.state_dict(), other.state_dict()
    renamed = _aligned(network, tensors, expected)
    fit = Fit(unused=[key for key in tensors if key not in set(renamed.values())])
    for key, shape in ((key, list(tensor.shape)) for key, tensor in expected.items()):
        if key not in renamed:
            fit.fresh.append(key)
            continue
        tensor = tensors[renamed[key]]
        same = tensor.shape == expected[key].shape
        own: Tensor | None = tensor if same else None
        if key in known and tensor.shape == known[key].shape and _NORM not in key:
            axes = (there.axes[name][key], here.axes[name][key])
            own = convert(tensor, (owner_of(other, key), owner_of(network, key)), axes, mapping)
        if own is None or own.shape != expected[key].shape:
            fit.differ.append((key, list(tensor.shape), shape))
            continue
        fit.loaded[key] = own
        if own is not tensor:
            fit.converted.append(key)
    return _without_stale_norms(fit)


def _aligned(network: nn.Module, tensors: StateDict, expected: StateDict) -> dict[str, str]:
    """Map each of the network's names to the source's.

    Lists that count from the image's end are matched from there.
    """
    names = {key: key for key in tensors}
    for path, module in network.named_modules():
        for part in getattr(type(module), "counted_from_end", ()):
            prefix = f"{path}.{part}." if path else f"{part}."
            last = [_last(prefix, keys) for keys in (tensors, expected)]
            if None in last or last[0] == last[1]:
                continue
            shift = last[1] - last[0]  # type: ignore[operator]
            moved = {}
            for key, own in names.items():
                number, _, rest = key.removeprefix(prefix).partition(".")
                if key.startswith(prefix) and number.isdecimal():
                    key = f"{prefix}{int(number) + shift}.{rest}"
                moved[key] = own
            names = moved
    return {key: own for key, own in names.items() if key in expected}


def _last(prefix: str, keys: StateDict) -> int | None:
    numbers = [re.match(re.escape(prefix) + r"(\d+)\.", key) for key in keys]
    return max((int(match[1]) for match in numbers if match), default=None)


def _without_stale_norms(fit: Fit) -> Fit:
    """Drop vectors of a spectral norm whose weight was converted; they start fresh."""
    for key in list(fit.loaded):
        if _NORM in key:
            weight = key.split(_NORM)[0] + ".parametrizations.weight.original"
            if weight in fit.converted or weight not in fit.loaded:
                del fit.loaded[key]
    fit.differ = [each for each in fit.differ if _NORM not in each[0]]
    fit.fresh = [key for key in fit.fresh if _NORM not in key]
    return fit


def _lines(name: str, fit: Fit, change: str) -> list[str]:
    total = len(fit.loaded) + len(fit.fresh) + len(fit.differ)
    kept = f"all {total}" if fit.whole else f"{len(fit.loaded)} of {total}"
    lines = [f"  {name}: {kept} tensors are loaded."]
    if fit.converted:
        lines.append(f"    {len(fit.converted)} converted{change}: {_some(fit.converted)}.")
    if fit.fresh:
        lines.append(
            f"    {len(fit.fresh)} start fresh, as the source has none: {_some(fit.fresh)}."
        )
    if fit.differ:
        lines.append(f"    {len(fit.differ)} start fresh, as shapes differ: {_differences(fit)}.")
    if fit.unused:
        lines.append(f"    {len(fit.unused)} of the source have no place: {_some(fit.unused)}.")
    return lines


def _differences(fit: Fit) -> str:
    return _some([f"{key} {before} there, {now} here" for key, before, now in fit.differ], "; ")


def _change(there: Blueprint, here: Blueprint) -> str:
    """Describe changes of colours and labels in words; empty for none."""
    kinds = {1: "grey", 2: "grey with alpha", 3: "colour", 4: "colour with alpha"}
    changes = []
    if there.images.channels != here.images.channels:
        changes.append(f"from {kinds[there.images.channels]} to {kinds[here.images.channels]}")
    before, now = there.labels, here.labels
    if before != now:
        changes.append(f"from {len(before) or 'no'} to {len(now) or 'no'} labels")
    return f" ({', '.join(changes)})" if changes else ""


def _some(names: Sequence[str], separator: str = ", ") -> str:
    more = len(names) - NAMED
    return separator.join(names[:NAMED]) + (f"{separator}and {more} more" if more > 0 else "")


def _check(
    source: Source,
    recipe: Recipe,
    here: Blueprint,
    live: Mapping[str, StateDict],
    averages: Mapping[str, StateDict],
) -> None:
    if not live.keys() - set(recipe.carried):
        has = ", ".join(
            f"{name} ({source.classes.get(name, 'unknown')})" for name in source.networks()
        )
        wants = ", ".join(
            f"{name} ({type(network).__name__})" for name, network in here.networks.items()
        )
        raise TransferError(
            f"No weight fits: `init_from` {source.path!r} is {source.title}, with {has}; recipe "
            f"{recipe.name!r} trains {wants}: give it weights of such networks, or train the "
            f"source's recipe."
        )
    for name, tensors in [*live.items(), *averages.items()]:
        for key, tensor in tensors.items():
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                raise TransferError(
                    f"{name} in {source.path!r} has numbers that aren't finite, in {key}: "
                    f"take weights from before that."
                )
