"""The networks of one recipe, and what they can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

from fastgan.inference.capabilities import CAPABILITIES, capabilities_of
from fastgan.inference.errors import InferenceError
from fastgan.names import unknown
from fastgan.recipes import ImageSpec, Networks, Recipe
from fastgan.recipes.signature import Signature
from fastgan.training.config import RunConfig
from fastgan.training.run_settings import RunSettings

if TYPE_CHECKING:
    from fastgan.training import RunResult

MAX_SEED = 2**32 - 1
Self = TypeVar("Self", bound="Core")


class Core:
    """State of :class:`Trained`, which adds its uses part by part."""

    def __init__(
        self,
        recipe: Recipe,
        networks: Networks,
        *,
        image_spec: ImageSpec | None,
        origin: str,
        signatures: Mapping[str, Signature],
        averaged: Sequence[str] = (),
        config: RunConfig | None = None,
        result: RunResult | None = None,
        about: Mapping[str, Any] | None = None,
        more: Mapping[str, Callable[[], tuple[nn.Module, Signature]]] | None = None,
        title: Callable[[str, nn.Module], str] | None = None,
        owner: str | None = None,
    ) -> None:
        self.recipe = recipe
        self.networks: Networks = NamedNetworks(
            {name: network.eval().requires_grad_(False) for name, network in networks.items()},
            origin,
        )
        self.origin = origin
        self.config = config
        self.result = result
        self._image_spec = image_spec
        self._signatures = dict(signatures)
        self._averaged = frozenset(averaged)
        self._about = about
        self._more = dict(more or {})
        self._title = title
        self._owner = owner or f"Recipe {recipe.name!r}"

    def __repr__(self) -> str:
        return f"<fastgan.Trained: {self.origin}>"

    @property
    def image_spec(self) -> ImageSpec:
        """Shape, classes and inputs of the images that the networks were trained on.

        Raises:
            InferenceError: the images aren't square.
        """
        if self._image_spec is None:
            raise InferenceError(
                f"Only square images have an ImageSpec, but {self.origin} makes others: "
                f"see generator.synthesis.image_size."
            )
        return self._image_spec

    @property
    def _settings(self) -> RunSettings:
        """Settings of the run, or usual ones for networks without a run."""
        return RunSettings.of(self.recipe) if self.config is None else self.config.settings

    @property
    def _size(self) -> str:
        """Channels, height and width of an image, for a person."""
        if self._image_spec is not None:
            return "×".join(map(str, self._image_spec.shape))
        return "×".join(map(str, (self.generator.channels, *self.generator.synthesis.image_size)))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of their numbers; empty if they have none."""
        return () if self._image_spec is None else self._image_spec.class_names

    @property
    def measures(self) -> dict[str, float]:
        """Figures that the run ended with; empty unless :func:`fastgan.train` made this object."""
        return {} if self.result is None else dict(self.result.measures)

    @property
    def device(self) -> torch.device:
        """The device of the networks."""
        return next(p.device for network in self.networks.values() for p in network.parameters())

    @property
    def generator(self) -> Any:
        """The generator; of several, the one of the first direction.

        Raises:
            InferenceError: the file holds none.
        """
        name = next((n for n in self.networks if n.startswith("G")), "G")
        return self.networks[name]

    @property
    def discriminator(self) -> Any:
        """The discriminator; of several, the first one.

        Raises:
            InferenceError: the file holds none.
        """
        for names in (self.networks, self._more):
            for name in names:
                if name.startswith("D"):
                    return self._network(name)
        raise InferenceError(
            f"There is no discriminator in {self.origin}: load the run that it is of."
        )

    def can(self, capability: str) -> bool:
        """Tell whether the networks can be used in one way of :data:`fastgan.CAPABILITIES`.

        Raises:
            InferenceError: there is no such capability.
        """
        if capability not in CAPABILITIES:
            raise InferenceError(_unknown_capability(capability))
        return capability in self._capabilities

    @property
    def _capabilities(self) -> frozenset[str]:
        return capabilities_of(self.recipe, self.networks, self._image_spec)

    def to(self: Self, device: torch.device | str) -> Self:
        """Move all networks to a device, and return this object."""
        for network in self.networks.values():
            network.to(device)
        return self

    def _pair(self, name: str) -> tuple[nn.Module, Signature]:
        if name in self._more:
            network, signature = self._more[name]()
            self._more[name] = lambda: (network, signature)
            return network, signature
        signature = self._signatures[name]
        return self.networks[signature.network], signature

    def _network(self, name: str) -> nn.Module:
        return self.networks[name] if name in self.networks else self._pair(name)[0]


class NamedNetworks(dict[str, nn.Module]):
    """Networks by name; one that is missing is an error that says what there is."""

    def __init__(self, networks: Networks, origin: str) -> None:
        super().__init__(networks)
        self._origin = origin

    def __missing__(self, name: str) -> nn.Module:
        held = ", ".join(self) or "none"
        raise InferenceError(
            f"This needs the network {name}, but {self._origin} holds {held}: load the run instead."
        )


def check_numbers(**numbers: tuple[int | None, int]) -> None:
    """Raise InferenceError for a number that is no whole one from its least value on."""
    for name, (value, least) in numbers.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_SEED:
            raise InferenceError(f"`{name}` must be a whole number from {least} on, got {value!r}.")


def _unknown_capability(name: str) -> str:
    return unknown("capability", name, CAPABILITIES).replace("capabilitys", "capabilities")
