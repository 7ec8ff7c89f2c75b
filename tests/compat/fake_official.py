"""Files with the structure of the official network pickles, written by the real pickle module.

The classes have the names, attributes and tensors of that format and no forward pass. The modules
``torch_utils.persistence`` and ``dnnlib.util`` exist only while a file is written.
"""

from __future__ import annotations

import contextlib
import math
import pickle
import sys
import types
from pathlib import Path

import torch
from torch import nn

CANARY = "official-canary"


class EasyDict(dict):
    """A dict with attributes, like `dnnlib.util.EasyDict`."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


EasyDict.__module__, EasyDict.__qualname__ = "dnnlib.util", "EasyDict"


def _reconstruct_persistent_obj(meta):
    raise AssertionError("the reader must not call this")


_reconstruct_persistent_obj.__module__ = "torch_utils.persistence"


@contextlib.contextmanager
def official_modules():
    """Make the modules of the pickled names importable, as for the writer of official files."""
    persistence, util = types.ModuleType("torch_utils.persistence"), types.ModuleType("dnnlib.util")
    persistence._reconstruct_persistent_obj, util.EasyDict = _reconstruct_persistent_obj, EasyDict
    modules = {
        "torch_utils": types.ModuleType("torch_utils"),
        "torch_utils.persistence": persistence,
        "dnnlib": types.ModuleType("dnnlib"),
        "dnnlib.util": util,
    }
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in before.items():
            sys.modules.pop(name) if module is None else sys.modules.update({name: module})


def dumps(value, protocol: int = 4) -> bytes:
    with official_modules():
        return pickle.dumps(value, protocol)


class Persistent(nn.Module):
    """A module that is pickled as metadata, with source code that leaves a canary when it is run.

    kwargs: constructor arguments in the file.
    """

    def __init__(self, kwargs: dict | None = None, **attributes) -> None:
        super().__init__()
        self._init_args, self._init_kwargs = (), EasyDict(kwargs or {})
        for name, value in attributes.items():
            setattr(self, name, value)

    def parameter(self, name: str, *shape: int) -> None:
        self.register_parameter(name, nn.Parameter(torch.randn(shape)))

    def __reduce__(self):
        meta = {
            "type": "class",
            "version": 6,
            "module_src": f"open({CANARY!r}, 'w').close()",
            "class_name": type(self).__name__,
            "state": self.__dict__,
        }
        return _reconstruct_persistent_obj, (meta,), None


def _filter() -> torch.Tensor:
    taps = torch.tensor([1.0, 3, 3, 1]) / 8
    return torch.outer(taps, taps)


class FullyConnectedLayer(Persistent):
    def __init__(self, inputs, outputs, *, lr=1.0, activation="linear") -> None:
        super().__init__(activation=activation, weight_gain=lr / math.sqrt(inputs), bias_gain=lr)
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr)
        self.bias = nn.Parameter(torch.randn(outputs) * 0.5 / lr)


class MappingNetwork(Persistent):
    def __init__(self, z_dim, c_dim, w_dim, num_ws, *, layers, lr, beta, kwargs=None) -> None:
        super().__init__(
            kwargs, z_dim=z_dim, c_dim=c_dim, w_dim=w_dim, num_ws=num_ws, num_layers=layers
        )
        self.w_avg_beta = beta
        if c_dim:
            self.embed = FullyConnectedLayer(c_dim, w_dim)
        for i in range(layers):
            inputs = w_dim if i else z_dim + (w_dim if c_dim else 0)
            self.add_module(f"fc{i}", FullyConnectedLayer(inputs, w_dim, lr=lr, activation="lrelu"))
        if beta is not None:
            self.register_buffer("w_avg", torch.randn(w_dim))


class SynthesisLayer(Persistent):
    def __init__(self, inputs, outputs, w_dim, r, up, clamp) -> None:
        super().__init__(resolution=r, up=up, activation="lrelu", conv_clamp=clamp, use_noise=True)
        self.affine = FullyConnectedLayer(w_dim, inputs)
        with torch.no_grad():
            self.affine.bias += 1
        self.parameter("weight", outputs, inputs, 3, 3)
        self.register_buffer("resample_filter", _filter())
        self.register_buffer("noise_const", torch.randn(r, r))
        self.noise_strength = nn.Parameter(torch.randn([]))
        self.parameter("bias", outputs)


class ToRGBLayer(Persistent):
    def __init__(self, inputs, channels, w_dim, clamp) -> None:
        super().__init__(conv_clamp=clamp)
        self.affine = FullyConnectedLayer(w_dim, inputs)
        self.parameter("weight", channels, inputs, 1, 1)
        self.parameter("bias", channels)


class SynthesisBlock(Persistent):
    def __init__(self, inputs, outputs, w_dim, r, channels, *, fp16, clamp) -> None:
        super().__init__(in_channels=inputs, resolution=r, architecture="skip", use_fp16=fp16)
        self.register_buffer("resample_filter", _filter())
        if not inputs:
            self.parameter("const", outputs, r, r)
        else:
            self.conv0 = SynthesisLayer(inputs, outputs, w_dim, r, 2, clamp)
        self.conv1 = SynthesisLayer(outputs, outputs, w_dim, r, 1, clamp)
        self.torgb = ToRGBLayer(outputs, channels, w_dim, clamp)


class SynthesisNetwork(Persistent):
    pass


class Generator(Persistent):
    """A StyleGAN2 generator.

    nested: True for StyleGAN2-ADA's arguments, in a dict for each part; False for StyleGAN3's.
    """

    def __init__(
        self,
        resolution=16,
        channels=3,
        *,
        z_dim=12,
        w_dim=16,
        c_dim=0,
        layers=2,
        lr=0.01,
        beta=0.995,
        base=256,
        most=24,
        fp16=0,
        clamp=None,
        nested=True,
    ) -> None:
        parts = {
            "channel_base": base,
            "channel_max": most,
            "num_fp16_res": fp16,
            "conv_clamp": clamp,
        }
        mapping = EasyDict(num_layers=layers, lr_multiplier=lr, w_avg_beta=beta)
        kwargs = {"z_dim": z_dim, "c_dim": c_dim, "w_dim": w_dim, "img_resolution": resolution}
        kwargs |= {"synthesis_kwargs": EasyDict(parts)} if nested else parts
        super().__init__({**kwargs, "img_channels": channels, "mapping_kwargs": mapping})
        self.synthesis = SynthesisNetwork(parts, w_dim=w_dim, img_resolution=resolution)
        blocks = [4 * 2**i for i in range(int(math.log2(resolution)) - 1)]
        before = 0
        for r in blocks:
            width = min(base // r, most)
            block = SynthesisBlock(
                before,
                width,
                w_dim,
                r,
                channels,
                fp16=r * 2**fp16 > resolution and r > 4,
                clamp=clamp,
            )
            self.synthesis.add_module(f"b{r}", block)
            before = width
        self.mapping = MappingNetwork(
            z_dim, c_dim, w_dim, 2 * len(blocks), layers=layers, lr=lr, beta=beta, kwargs=mapping
        )


class Conv2dLayer(Persistent):
    def __init__(
        self, inputs, outputs, k, *, bias=True, down=1, activation="lrelu", clamp=None
    ) -> None:
        super().__init__(activation=activation, down=down, conv_clamp=clamp)
        self.register_buffer("resample_filter", _filter())
        self.parameter("weight", outputs, inputs, k, k)
        if bias:
            self.parameter("bias", outputs)


class DiscriminatorBlock(Persistent):
    def __init__(self, inputs, middle, outputs, r, channels, *, fp16, clamp) -> None:
        super().__init__(in_channels=inputs, resolution=r, architecture="resnet", use_fp16=fp16)
        self.register_buffer("resample_filter", _filter())
        if not inputs:
            self.fromrgb = Conv2dLayer(channels, middle, 1, clamp=clamp)
        self.conv0 = Conv2dLayer(middle, middle, 3, clamp=clamp)
        self.conv1 = Conv2dLayer(middle, outputs, 3, down=2, clamp=clamp)
        self.skip = Conv2dLayer(middle, outputs, 1, bias=False, down=2, activation="linear")


class MinibatchStdLayer(Persistent):
    pass


class DiscriminatorEpilogue(Persistent):
    def __init__(self, channels, outputs, group, clamp) -> None:
        super().__init__(in_channels=channels, resolution=4, architecture="resnet")
        self.mbstd = MinibatchStdLayer(group_size=group, num_channels=1)
        self.conv = Conv2dLayer(channels + 1, channels, 3, clamp=clamp)
        self.fc = FullyConnectedLayer(channels * 16, channels, activation="lrelu")
        self.out = FullyConnectedLayer(channels, outputs)


class Discriminator(Persistent):
    def __init__(
        self,
        resolution=16,
        channels=3,
        *,
        c_dim=0,
        layers=2,
        lr=0.01,
        base=256,
        most=24,
        fp16=0,
        clamp=None,
        group=4,
    ) -> None:
        parts = {
            "channel_base": base,
            "channel_max": most,
            "num_fp16_res": fp16,
            "conv_clamp": clamp,
        }
        super().__init__(
            {"c_dim": c_dim, "img_resolution": resolution, **parts, "block_kwargs": EasyDict(),
             "epilogue_kwargs": EasyDict(mbstd_group_size=group)}
        )  # fmt: skip
        r = resolution
        while r > 4:
            inputs = 0 if r == resolution else min(base // r, most)
            sizes = min(base // r, most), min(base // (r // 2), most)
            block = DiscriminatorBlock(
                inputs, *sizes, r, channels, fp16=r * 2**fp16 > resolution, clamp=clamp
            )
            self.add_module(f"b{r}", block)
            r //= 2
        last = min(base // 4, most)
        if c_dim:
            self.mapping = MappingNetwork(0, c_dim, last, None, layers=layers, lr=lr, beta=None)
        self.b4 = DiscriminatorEpilogue(last, last if c_dim else 1, group, clamp)


class AugmentPipe(Persistent):
    def __init__(self) -> None:
        super().__init__({"xflip": 1})
        self.register_buffer("p", torch.ones([]))


def network_pickle(path: Path, *, protocol: int = 4, **networks) -> Path:
    """Write a network pickle of these modules and the other entries of such files."""
    import numpy as np

    extras = {
        "training_set_kwargs": EasyDict(
            class_name="training.dataset", size=np.int64(3), seen=np.arange(3.0)
        ),
        "augment_pipe": AugmentPipe(),
    }
    path.write_bytes(dumps({**networks, **extras}, protocol))
    return path


def forget(module: nn.Module, *names: str) -> nn.Module:
    """Remove attributes and arguments of these names from all modules of a network."""
    for part in module.modules():
        for name in names:
            part.__dict__.pop(name, None)
            part._init_kwargs.pop(name, None)
            for arguments in part._init_kwargs.values():
                if isinstance(arguments, dict):
                    arguments.pop(name, None)
    return module
