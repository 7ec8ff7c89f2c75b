"""Description of the images that networks are built for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from fastgan.data import ImageDataset, InputSpec, Reading
from fastgan.data.inputs import Levels


@dataclass(frozen=True)
class ImageSpec:
    """Square images, float32 in [-1, 1] when a network gets them.

    Attributes:
        channels: 1 to 4.
        resolution: height and width in pixels.
        num_classes: number of classes, 0 without labels.
        inputs: further data of each image by name, as in `ImageDataset.inputs`.
        class_names: one for each class, in the order of their numbers; empty without names.
        levels: values that become black and white in files of more than 8 bits, as in
            `ImageDataset.levels`.
    """

    channels: int
    resolution: int
    num_classes: int = 0
    inputs: Mapping[str, InputSpec] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    levels: Levels = field(default=(), compare=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an image: (C, H, W)."""
        return (self.channels, self.resolution, self.resolution)

    @classmethod
    def of(cls, dataset: ImageDataset) -> ImageSpec:
        """Describe the images of a data set."""
        return cls(
            dataset.channels,
            dataset.resolution,
            dataset.num_classes,
            dict(dataset.inputs),
            tuple(dataset.class_names),
            dataset.levels,
        )

    def reading(self, settings: Reading) -> Reading:
        """Return settings that read other files as those of these images were read."""
        of_inputs = (spec.levels for spec in self.inputs.values() if spec.kind == "image")
        return replace(settings, levels=self.levels, input_levels=next(of_inputs, ()))

    def to_plain(self) -> dict[str, Any]:
        """Return strings, numbers, lists and dicts only."""
        plain: dict[str, Any] = _lists(asdict(self))
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> ImageSpec:
        """Undo `to_plain`.

        Raises:
            TypeError: `plain` is something else.
        """
        inputs = {
            name: InputSpec(**{key: _tuples(value) for key, value in spec.items()})
            for name, spec in plain.get("inputs", {}).items()
        }
        of_names = {name: _tuples(plain.get(name, ())) for name in ("class_names", "levels")}
        return cls(**{**plain, "inputs": inputs, **of_names})


def _lists(plain: Any) -> Any:
    """Replace tuples by lists, at any depth."""
    if isinstance(plain, dict):
        return {name: _lists(value) for name, value in plain.items()}
    return [_lists(value) for value in plain] if isinstance(plain, (list, tuple)) else plain


def _tuples(plain: Any) -> Any:
    """Replace lists by tuples, at any depth."""
    return tuple(_tuples(value) for value in plain) if isinstance(plain, (list, tuple)) else plain
