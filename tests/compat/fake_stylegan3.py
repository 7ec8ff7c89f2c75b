"""Generators with the structure of StyleGAN3's in official pickles; no forward pass.

They come from a network of fastgan, whose pictures a reader must restore.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from fastgan.networks.stylegan3 import StyleGAN3Generator
from fastgan.networks.stylegan3.synthesis import AliasFreeLayer
from tests.compat.fake_official import EasyDict, MappingNetwork, Persistent

SMALL = {
    "z_dim": 6, "w_dim": 5, "mapping_layers": 2, "channel_base": 96, "channel_max": 6,
    "num_layers": 5, "half_resolutions": 4, "magnitude_ema_beta": 0.99889,
}  # fmt: skip
ARGUMENTS = {
    "img_resolution": "resolution", "img_channels": "channels", "conv_kernel": "kernel_size",
    "use_radial_filters": "radial",
}  # fmt: skip
"""Their names of constructor's arguments that differ from ours."""


def network(**options) -> StyleGAN3Generator:
    """Return a small network of fastgan with moved buffers and biases."""
    torch.manual_seed(0)
    g = StyleGAN3Generator(**{"resolution": 16, **SMALL, **options})
    with torch.no_grad():
        for name, t in g.state_dict().items():
            if name.endswith(("bias", "magnitude_ema", "w_avg", "affine.weight")):
                t.add_(0.3 * torch.rand(t.shape))
    return g


class SynthesisInput(Persistent):
    pass


class SynthesisLayer(Persistent):
    pass


class SynthesisNetwork(Persistent):
    pass


class FullyConnectedLayer(Persistent):
    pass


def _copied(source: nn.Module, kind: type[Persistent], **attributes: Any) -> Persistent:
    """Return a fake module with the parameters, buffers and affine layer of a source."""
    made = kind({}, **attributes)
    for name, parameter in source.named_parameters(recurse=False):
        made.register_parameter(name, nn.Parameter(parameter.detach().clone()))
    for name, buffer in source.named_buffers(recurse=False):
        made.register_buffer(name, buffer.clone())
    affine: Any = source.affine
    made.affine = FullyConnectedLayer(
        {}, activation="linear", weight_gain=affine.scale, bias_gain=1.0
    )
    for name in ("weight", "bias"):
        made.affine.register_parameter(name, nn.Parameter(getattr(affine, name).detach().clone()))
    return made


def _layer(source: AliasFreeLayer) -> Persistent:
    plan = source.plan
    made = _copied(
        source, SynthesisLayer, is_torgb=plan.to_image, is_critically_sampled=plan.critical,
        use_fp16=np.bool_(plan.half), conv_clamp=source.clamp,
        magnitude_ema_beta=source.magnitude_ema_beta,
        in_size=np.broadcast_to(np.asarray(plan.in_size[::-1]), [2]),
        out_size=np.asarray(plan.out_size[::-1]), in_cutoff=np.float64(plan.in_cutoff),
        out_half_width=np.float64(plan.out_half_width), padding=list(plan.padding),
    )  # fmt: skip
    if source.act is not None:
        made.register_parameter("bias", nn.Parameter(source.act.bias.detach().clone()))
    made.register_buffer("up_filter", plan.up_filter())
    made.register_buffer("down_filter", plan.down_filter())
    return made


class Generator(Persistent):
    """A StyleGAN3 generator with the weights of one of fastgan."""

    def __init__(self, g: StyleGAN3Generator, stated: Mapping[str, Any] | None = None) -> None:
        config = g.config
        kwargs = {theirs: config[ours] for theirs, ours in ARGUMENTS.items()}
        names = (
            "z_dim", "w_dim", "c_dim", "channel_base", "channel_max", "num_layers",
            "magnitude_ema_beta",
        )  # fmt: skip
        kwargs |= {name: config[name] for name in names}
        kwargs["mapping_kwargs"] = EasyDict(num_layers=config["mapping_layers"])
        super().__init__({**kwargs, **(stated or {})}, num_ws=g.num_ws)
        self.synthesis = SynthesisNetwork(
            {}, num_ws=g.num_ws, num_layers=config["num_layers"], num_critical=2, margin_size=10,
            output_scale=config["output_scale"], num_fp16_res=config["half_resolutions"],
            layer_names=[],
        )  # fmt: skip
        self.synthesis.input = _copied(
            g.synthesis.input, SynthesisInput, channels=6, size=np.array([36, 36]),
            sampling_rate=np.float64(16), bandwidth=np.float64(2),
        )  # fmt: skip
        for layer in g.synthesis.layers():
            plan = layer.plan
            name = f"{plan.name}_{plan.out_size[0]}_{plan.out_channels}"
            self.synthesis.add_module(name, _layer(layer))
            self.synthesis.layer_names.append(name)
        self.mapping = MappingNetwork(
            config["z_dim"], config["c_dim"], config["w_dim"], g.num_ws,
            layers=config["mapping_layers"], lr=0.01, beta=0.998,
        )  # fmt: skip
        self.mapping.load_state_dict(g.mapping.state_dict())
