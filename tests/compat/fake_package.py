"""A package laid out as StyleGAN code is: modules of ops, and networks that call them by module and name."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

NAME = "fake_utils"

#: What each module of ops defines. None of it may run once fastgan is installed.
THEIRS = {
    "bias_act": ["bias_act"],
    "upfirdn2d": ["setup_filter", "upfirdn2d", "filter2d", "upsample2d", "downsample2d"],
    "conv2d_resample": ["conv2d_resample"],
    "conv2d_gradfix": ["conv2d", "conv_transpose2d", "no_weight_gradients"],
    "fma": ["fma"],
    "grid_sample_gradfix": ["grid_sample"],
}

NETWORKS = '''
import torch
from fake_utils.ops import bias_act
from fake_utils.ops import conv2d_gradfix
from fake_utils.ops import conv2d_resample
from fake_utils.ops import fma
from fake_utils.ops import grid_sample_gradfix
from fake_utils.ops import upfirdn2d


def modulated_conv2d(x, weight, styles, noise, up, resample_filter):
    """The weights stay shared: styles scale the input, and the demodulation the output, where the noise is added too."""
    d = ((weight[None] * styles[:, None, :, None, None]).square().sum([2, 3, 4]) + 1e-8).rsqrt()
    x = x * styles[:, :, None, None]
    x = conv2d_resample.conv2d_resample(x=x, w=weight, f=resample_filter, up=up, padding=1, flip_weight=(up == 1))
    return fma.fma(x, d[:, :, None, None], noise)


class Generator(torch.nn.Module):
    def __init__(self):
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.register_buffer("resample_filter", upfirdn2d.setup_filter([1, 3, 3, 1]))
        self.const = torch.nn.Parameter(torch.randn(4, 4, 4, generator=draw, dtype=torch.float64))
        self.weight0 = torch.nn.Parameter(torch.randn(5, 4, 3, 3, generator=draw, dtype=torch.float64))
        self.weight1 = torch.nn.Parameter(torch.randn(5, 5, 3, 3, generator=draw, dtype=torch.float64))
        self.to_image = torch.nn.Parameter(torch.randn(3, 5, 1, 1, generator=draw, dtype=torch.float64))
        self.bias = torch.nn.Parameter(torch.randn(5, generator=draw, dtype=torch.float64))
        self.noise = torch.nn.Parameter(torch.randn(8, 8, generator=draw, dtype=torch.float64))
        self.act_gain = bias_act.activation_funcs["lrelu"].def_gain

    def forward(self, styles, grid):
        x = self.const[None].repeat(len(styles), 1, 1, 1)
        x = modulated_conv2d(x, self.weight0, styles[:, :4], self.noise[:1, :1], 1, self.resample_filter)
        x = bias_act.bias_act(x, self.bias, act="lrelu", gain=self.act_gain, clamp=256)
        x = modulated_conv2d(x, self.weight1, styles, self.noise, 2, self.resample_filter)
        x = bias_act.bias_act(x, self.bias, act="swish")
        image = conv2d_gradfix.conv2d(input=x, weight=self.to_image)
        image = upfirdn2d.downsample2d(upfirdn2d.upsample2d(image, self.resample_filter), self.resample_filter)
        return grid_sample_gradfix.grid_sample(image, grid)
'''


def write(folder: Path, *, without: tuple[str, ...] = (), failing: tuple[str, ...] = ()) -> None:
    ops = folder / NAME / "ops"
    ops.mkdir(parents=True)
    (folder / NAME / "__init__.py").touch()
    (ops / "__init__.py").touch()
    for module, names in THEIRS.items():
        if module in without:
            continue
        code = (
            "raise RuntimeError('made for another torch')\n"
            if module in failing
            else "enabled = False\n"
        )
        if module == "bias_act":
            code += "class Entry: def_alpha, def_gain = 0.2, 2**0.5\nactivation_funcs = {'lrelu': Entry}\n"
        if module == "upfirdn2d":
            code += "def _parse_padding(padding): return 'theirs'\n"
        code += "".join(
            f"def {name}(*args, **kwargs): raise AssertionError('theirs ran: {module}.{name}')\n"
            for name in names
        )
        (ops / f"{module}.py").write_text(code)
    (folder / NAME / "networks.py").write_text(NETWORKS)


def package() -> ModuleType:
    return importlib.import_module(f"{NAME}.ops")


def networks() -> ModuleType:
    return importlib.import_module(f"{NAME}.networks")


def forget() -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == NAME]:
        del sys.modules[name]
