"""Networks by name: `create_network("stylegan2-generator", resolution=256)`."""

from __future__ import annotations

import difflib
import fnmatch
import importlib
import inspect
from typing import Any

from torch import nn

_NETWORKS = {
    "biggan-generator": "resnet:BigGANGenerator",
    "cyclegan-generator": "translation:CycleGANGenerator",
    "dcgan-discriminator": "dcgan:DCGANDiscriminator",
    "dcgan-generator": "dcgan:DCGANGenerator",
    "lightgan-discriminator": "lightgan:LightDiscriminator",
    "lightgan-generator": "lightgan:LightGenerator",
    "mlp-discriminator": "mlp:MLPDiscriminator",
    "mlp-generator": "mlp:MLPGenerator",
    "multiscale-discriminator": "translation:MultiScaleDiscriminator",
    "patch-discriminator": "translation:PatchDiscriminator",
    "progan-discriminator": "progan:ProGANDiscriminator",
    "progan-generator": "progan:ProGANGenerator",
    "r3gan-discriminator": "r3gan:R3GANDiscriminator",
    "r3gan-generator": "r3gan:R3GANGenerator",
    "resnet-discriminator": "resnet:ResNetDiscriminator",
    "resnet-generator": "resnet:ResNetGenerator",
    "rrdb-generator": "translation:RRDBNet",
    "spade-generator": "translation:SPADEGenerator",
    "srgan-discriminator": "translation:SRGANDiscriminator",
    "srresnet-generator": "translation:SRResNet",
    "stargan-discriminator": "translation:StarGANDiscriminator",
    "stargan-generator": "translation:StarGANGenerator",
    "stylegan-generator": "stylegan:StyleGANGenerator",
    "stylegan-synthesis": "stylegan:StyleGANSynthesis",
    "stylegan2-discriminator": "stylegan2:StyleGAN2Discriminator",
    "stylegan2-generator": "stylegan2:StyleGAN2Generator",
    "stylegan2-mapping": "stylegan2:MappingNetwork",
    "stylegan2-synthesis": "stylegan2:SynthesisNetwork",
    "stylegan3-generator": "stylegan3:StyleGAN3Generator",
    "stylegan3-synthesis": "stylegan3:StyleGAN3Synthesis",
    "text-discriminator": "translation:TextDiscriminator",
    "text-encoder": "translation:TextEncoder",
    "text-generator": "translation:TextGenerator",
    "unet-generator": "translation:UNetGenerator",
    "unit-generator": "translation:UNITGenerator",
}
"""Module and class of each network; a module is imported when one of its networks is created."""


def list_networks(pattern: str = "*") -> list[str]:
    """Return the names of all networks in alphabetical order.

    Args:
        pattern: names to keep, with the wildcards of :mod:`fnmatch`: ``"*-generator"``.
    """
    return fnmatch.filter(_NETWORKS, pattern)


def create_network(name: str, /, **arguments: Any) -> nn.Module:
    """Create a network by its name, with freshly initialised weights.

    ``create_network("stylegan2-generator", resolution=64)`` is
    ``fastgan.networks.stylegan2.StyleGAN2Generator(resolution=64)``.

    Args:
        name: one of :func:`list_networks`.
        arguments: those of the network's class, by name.

    Raises:
        ValueError: no network has this name, or an argument is out of range.
        TypeError: an argument is missing or unknown.
    """
    network = network_class(name)
    _check_arguments(name, network, arguments)
    try:
        return network(**arguments)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: {error}") from error


def network_class(name: str) -> type[nn.Module]:
    """Return the class of a network, importing the module of its family.

    Raises:
        ValueError: no network has this name.
    """
    if name not in _NETWORKS:
        near = difflib.get_close_matches(str(name).lower(), _NETWORKS, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "list_networks() has all names."
        raise ValueError(f"name must be the name of a network, got {name!r}; {hint}")
    module, _, attribute = _NETWORKS[name].partition(":")
    found: type[nn.Module] = getattr(
        importlib.import_module(f"fastgan.networks.{module}"), attribute
    )
    return found


def _check_arguments(name: str, network: type[nn.Module], arguments: dict[str, Any]) -> None:
    """Raise TypeError for an argument that the network's class doesn't have, or misses."""
    parameters = dict(inspect.signature(network).parameters)
    names = [name for name, p in parameters.items() if p.kind is not p.VAR_KEYWORD]
    # A class may hand further arguments on, and then checks their names itself.
    is_open = len(names) < len(parameters)
    parameters = {name: parameters[name] for name in names}
    for argument in arguments:
        if argument not in parameters and not is_open:
            near = difflib.get_close_matches(argument, parameters, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(parameters)}."
            raise TypeError(f"{name} takes no argument {argument}; {hint}")
    for parameter in parameters.values():
        if parameter.default is parameter.empty and parameter.name not in arguments:
            raise TypeError(f"{name} needs the argument {parameter.name}; pass it by name.")
