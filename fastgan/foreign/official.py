"""Reader of network pickles of StyleGAN2-ADA's and StyleGAN3's PyTorch repositories.

A file is a dict of modules: ``G``, ``D``, ``G_ema`` and others. Sizes follow from the tensors.
Settings follow from the modules' attributes and constructor arguments. The layouts of the two
repositories differ in the place of arguments and in defaults, which no file states.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable, Collection

from torch import Tensor

from fastgan.foreign.errors import CompatError, Refusal, describe
from fastgan.foreign.module_records import ModuleRecords, arguments
from fastgan.foreign.official_stylegan3 import read_stylegan3
from fastgan.foreign.pickle_values import Record, builders
from fastgan.foreign.pickles import Budget, read_pickle
from fastgan.foreign.weights import Weights, check_filter, flip_kernel, widths_as_base


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


class _StyleGAN2(ModuleRecords):
    """Records of a network of StyleGAN2."""

    def blocks(self, prefix: str) -> list[int]:
        """Return the resolutions of the blocks, lowest first."""
        matches = [re.fullmatch(rf"{re.escape(prefix)}b(\d{{1,4}})", name) for name in self.records]
        resolutions = sorted(int(match[1]) for match in matches if match)
        if len(resolutions) < 2 or resolutions != [4 * 2**i for i in range(len(resolutions))]:
            raise Refusal(
                "it has no blocks b4, b8 and so on, so it is no StyleGAN2 of a known layout"
            )
        return resolutions

    def precision(self, prefix: str, blocks: list[int], layer: str) -> tuple[int, float | None]:
        """Return ``half_resolutions`` and ``conv_clamp`` of the blocks above 4.

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
        places = arguments(self.records.get(module, self.records[""])) + arguments(self.records[""])
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
    g = _StyleGAN2(record, path)
    # Both kinds have the same class name.
    if "synthesis.input" in g.records:
        return read_stylegan3(g)
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
        "half_resolutions": number,
        "conv_clamp": clamp,
        "base": tuple(g.shape("synthesis.b4.const", 3)[1:]),
    }
    return Weights(
        "StyleGAN2Generator", config, g.renamed({f"synthesis.b{r}.conv0.weight" for r in blocks})
    )


def _discriminator(record: Record, path: str) -> Weights:
    d = _StyleGAN2(record, path)
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
        "half_resolutions": number,
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
