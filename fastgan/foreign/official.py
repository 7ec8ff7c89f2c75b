"""Reader of StyleGAN2 in network pickles of StyleGAN2-ADA's and StyleGAN3's PyTorch repositories.

A file is a dict of modules: ``G``, ``D``, ``G_ema`` and others. Sizes follow from the tensors.
Settings follow from the modules' attributes and constructor arguments. The layouts of the two
repositories differ in the place of arguments and in defaults, which no file states.
"""

from __future__ import annotations

import functools
import io
import re
import warnings
from collections.abc import Callable, Collection
from typing import Any

from torch import Tensor

from fastgan.foreign.errors import CompatError, Refusal, describe
from fastgan.foreign.pickle_values import Record, builders
from fastgan.foreign.pickles import Budget, read_pickle
from fastgan.foreign.weights import Weights, check_filter, flip_kernel, widths_as_base

MAX_ENTRIES = 10_000
"""Largest number of parameters, buffers and modules of one network together."""

_GROUPS = ("synthesis_kwargs", "mapping_kwargs", "epilogue_kwargs", "block_kwargs")


def read_official(content: bytes, path: str) -> dict[str, Callable[[], Weights]]:
    """Read the networks in an official pickle; nothing in it is run.

    Args:
        content: the pickle.
        path: name of the file in messages.

    Returns:
        Functions that return the weights of a network, by its name; they raise Refusal.

    Raises:
        CompatError: the file is damaged, or asks for a function or class that networks don't need.
    """
    budget = Budget(len(content))
    try:
        top = read_pickle(io.BytesIO(content), builders(budget), budget)
    except Refusal as refusal:
        raise CompatError(
            f"{path!r} was refused, and nothing in it was run: {refusal}."
        ) from refusal
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise CompatError(
            f"{path!r} is no network pickle, or is damaged or cut short: it can't be read to its "
            f"end."
        ) from error
    if type(top) is not dict:
        raise CompatError(f"{path!r} must hold a dict of G, D and G_ema, got no networks.")
    read = {"G": _generator, "G_ema": _generator, "D": _discriminator}
    return {
        name: functools.partial(read[name], top[name], path)
        for name in read
        if isinstance(top.get(name), Record)
    }


class _Module:
    """Tensors and submodules of a record by dotted name, with access to their settings."""

    def __init__(self, record: Record, path: str) -> None:
        self.path, self.tensors, self.records = path, {}, {}
        todo, entries = [("", record)], 0
        while todo:
            prefix, module = todo.pop()
            self.records[prefix.rstrip(".")] = module
            for part in ("_parameters", "_buffers", "_modules"):
                for name, value in _dict(module.state.get(part)).items():
                    entries += 1
                    if entries > MAX_ENTRIES or len(name) > 64:
                        raise Refusal(
                            "it has more, or longer named, tensors and modules than any network"
                        )
                    if part == "_modules" and isinstance(value, Record):
                        todo.append((f"{prefix}{name}.", value))
                    elif part != "_modules" and isinstance(value, Tensor):
                        self.tensors[prefix + name] = value
                    elif value is not None:
                        raise Refusal(
                            f"its {describe(prefix + name)} is {describe(value)}, no tensor or "
                            f"module"
                        )

    tensors: dict[str, Tensor]
    records: dict[str, Record]

    def shape(self, name: str, ndim: int) -> list[int]:
        if name not in self.tensors or self.tensors[name].ndim != ndim:
            raise Refusal(
                f"it has no tensor {name!r} of {ndim} dimensions, so it is no StyleGAN2 of a known "
                f"layout"
            )
        return list(self.tensors[name].shape)

    def setting(self, names: tuple[str, ...], modules: tuple[str, ...], default: Any) -> Any:
        """Find the first of ``names`` among attributes and arguments of modules, then the network.

        Args:
            names: names of the setting.
            modules: modules to search first.
            default: value to use, with a warning, if there is no such setting.
        """
        places: list[dict[str, Any]] = []
        for module in modules:
            if module in self.records:
                places.append(self.records[module].state)
                places += _arguments(self.records[module])
        places += _arguments(self.records[""])
        for place in places:
            for name in names:
                if name in place:
                    return _number(place[name], name)
        warnings.warn(
            f"{self.path!r} doesn't state {names[-1]}: {default!r} is used.", stacklevel=2
        )
        return default

    def blocks(self, prefix: str) -> list[int]:
        """Return the resolutions of the blocks, lowest first."""
        matches = [re.fullmatch(rf"{re.escape(prefix)}b(\d{{1,4}})", name) for name in self.records]
        resolutions = sorted(int(match[1]) for match in matches if match)
        if len(resolutions) < 2 or resolutions != [4 * 2**i for i in range(len(resolutions))]:
            raise Refusal(
                "it has no blocks b4, b8 and so on, so it is no StyleGAN2 of a known layout"
            )
        return resolutions

    def mapping(self) -> tuple[int, int, int, float]:
        """Return input features without the label, length of labels, layers and learning rate."""
        layers = sum(1 for name in self.tensors if re.fullmatch(r"mapping\.fc\d+\.weight", name))
        features = self.shape("mapping.fc0.weight", 2)[1]
        c_dim = 0
        if "mapping.embed.weight" in self.tensors:
            embedded, c_dim = self.shape("mapping.embed.weight", 2)
            features -= embedded
        rate = self.setting(("bias_gain", "lr_multiplier"), ("mapping.fc0", "mapping"), 0.01)
        return features, c_dim, layers, rate

    def precision(self, prefix: str, blocks: list[int], layer: str) -> tuple[int, float | None]:
        """Return ``num_fp16_res`` and ``conv_clamp`` of the blocks above 4.

        ``layer`` is the layer of a block that has the clamp.
        """
        modules = [f"{prefix}b{r}" for r in blocks[1:]]
        stated = [self.records[module].state.get("use_fp16") for module in modules]
        flags = [flag for flag in stated if type(flag) is bool]
        if len(flags) == len(stated):
            number = sum(flags)
            if flags != sorted(flags):
                raise Refusal("its blocks of half precision aren't the highest ones")
        else:
            number = self.setting(("num_fp16_res",), (prefix.rstrip("."),), 0)
        clamp = self.setting(
            ("conv_clamp",), (f"{modules[-1]}.{layer}", modules[-1], prefix.rstrip(".")), None
        )
        for name, record in self.records.items():
            if not name.endswith(".skip") and record.state.get("conv_clamp", clamp) != clamp:
                raise Refusal(
                    f"its layer {describe(name)} has another conv_clamp than {clamp}, that of the "
                    f"others"
                )
        return number, clamp

    def widths(self, widths: dict[int, int], module: str) -> dict[str, int]:
        places = _arguments(self.records.get(module, self.records[""])) + _arguments(
            self.records[""]
        )
        stated = [
            next((place[name] for place in places if name in place), None) for name in _WIDTHS
        ]
        return dict(zip(_WIDTHS, widths_as_base(widths, (stated[0], stated[1]))))

    def renamed(self, upsampling: Collection[str] = ()) -> dict[str, Tensor]:
        """Return the tensors by fastgan's names, without the filters, which are fixed.

        Args:
            upsampling: names of weights of upsampling layers, which are flipped.
        """
        tensors = {}
        for name, tensor in self.tensors.items():
            if name.endswith("resample_filter"):
                check_filter(tensor, name)
                continue
            name = name.replace(".noise_const", ".noise.const").replace(
                ".noise_strength", ".noise.strength"
            )
            tensors[name] = flip_kernel(tensor) if name in upsampling else tensor
        return tensors

    def architecture(self, name: str, prefix: str, blocks: list[int]) -> bool:
        """Return True if no block states another architecture than ``name``."""
        return all(
            self.records[f"{prefix}b{r}"].state.get("architecture", name) == name for r in blocks
        )

    def check_activations(self) -> None:
        for name, record in self.records.items():
            kind = record.state.get("activation")
            linear = name.endswith((".affine", ".skip", ".embed", "b4.out"))
            if kind not in (None, "linear" if linear else "lrelu"):
                raise Refusal(
                    f"its layer {describe(name)} has the activation {describe(kind)}, which "
                    f"fastgan's doesn't have"
                )


_WIDTHS = ("channel_base", "channel_max")


def _generator(record: Record, path: str) -> Weights:
    g = _Module(record, path)
    if "synthesis.input" in g.records or any(
        re.match(r"synthesis\.L\d", name) for name in g.records
    ):
        raise Refusal(
            "it is a StyleGAN3 (alias-free) generator, and fastgan reads StyleGAN2's so far"
        )
    blocks = g.blocks("synthesis.")
    if not g.architecture("skip", "synthesis.", blocks) or any(
        f"synthesis.b{r}.torgb.weight" not in g.tensors for r in blocks
    ):
        raise Refusal("its generator isn't of the architecture 'skip', which is fastgan's")
    g.check_activations()
    widths = {r: g.shape(f"synthesis.b{r}.conv1.weight", 4)[0] for r in blocks}
    z_dim, c_dim, layers, rate = g.mapping()
    number, clamp = g.precision("synthesis.", blocks, "conv1")
    config = {
        "resolution": blocks[-1],
        "channels": g.shape(f"synthesis.b{blocks[-1]}.torgb.weight", 4)[0],
        "z_dim": z_dim,
        "w_dim": g.shape("synthesis.b4.conv1.affine.weight", 2)[1],
        "c_dim": c_dim,
        "mapping_layers": layers,
        "mapping_lr_multiplier": rate,
        "w_avg_beta": g.setting(("w_avg_beta",), ("mapping",), 0.998),
        **g.widths(widths, "synthesis"),
        "num_fp16_res": number,
        "conv_clamp": clamp,
        "base": tuple(g.shape("synthesis.b4.const", 3)[1:]),
    }
    return Weights(
        "StyleGAN2Generator", config, g.renamed({f"synthesis.b{r}.conv0.weight" for r in blocks})
    )


def _discriminator(record: Record, path: str) -> Weights:
    d = _Module(record, path)
    blocks = d.blocks("")
    if not d.architecture("resnet", "", blocks) or any(
        f"b{r}.skip.weight" not in d.tensors for r in blocks[1:]
    ):
        raise Refusal("its discriminator isn't of the architecture 'resnet', which is fastgan's")
    d.check_activations()
    top = blocks[-1]
    widths = {r: d.shape(f"b{r}.conv0.weight", 4)[0] for r in blocks[1:]}
    widths[4] = d.shape("b4.conv.weight", 4)[0]
    number, clamp = d.precision("", blocks, "conv1")
    config = {
        "resolution": top,
        "channels": d.shape(f"b{top}.fromrgb.weight", 4)[1],
        **d.widths(widths, ""),
        "group_size": d.setting(("group_size", "mbstd_group_size"), ("b4.mbstd", "b4"), 4),
        "num_fp16_res": number,
        "conv_clamp": clamp,
    }
    if "mapping.fc0.weight" in d.tensors:
        _, c_dim, layers, rate = d.mapping()
        config |= {
            "c_dim": c_dim,
            "cmap_dim": d.shape("b4.out.weight", 2)[0],
            "mapping_layers": layers,
            "mapping_lr_multiplier": rate,
        }
    return Weights("StyleGAN2Discriminator", config, d.renamed())


def _arguments(record: Record) -> list[dict[str, Any]]:
    """Return the constructor arguments of a module and the groups for its parts, at most 8."""
    groups = [_dict(record.state.get("_init_kwargs"))]
    for arguments in groups:
        groups += [arguments[group] for group in _GROUPS if type(arguments.get(group)) is dict][
            : 8 - len(groups)
        ]
    return groups


def _dict(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}


def _number(value: Any, name: str) -> int | float | None:
    if value is not None and (type(value) not in (int, float) or not -1e9 < value < 1e9):
        raise Refusal(f"its {name} is {describe(value)}, no number that fits")
    number: int | float | None = value
    return number
