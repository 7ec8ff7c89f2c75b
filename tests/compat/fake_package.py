"""A package like StyleGAN's code: modules of ops, and networks that call them by name."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

NAME = "fake_utils"

THEIRS = {
    "bias_act": ["bias_act"],
    "upfirdn2d": ["setup_filter", "upfirdn2d", "filter2d", "upsample2d", "downsample2d"],
    "conv2d_resample": ["conv2d_resample"],
    "conv2d_gradfix": ["conv2d", "conv_transpose2d", "no_weight_gradients"],
    "filtered_lrelu": ["filtered_lrelu"],
    "fma": ["fma"],
    "grid_sample_gradfix": ["grid_sample"],
}
"""Functions of each module of ops. None may run once fastgan is installed."""

NETWORKS = '''
import torch
from fake_utils.ops import bias_act
from fake_utils.ops import conv2d_gradfix
from fake_utils.ops import conv2d_resample
from fake_utils.ops import fma
from fake_utils.ops import grid_sample_gradfix
from fake_utils.ops import upfirdn2d


def modulated_conv2d(x, weight, styles, noise, up, resample_filter):
    """Scale the input by styles and the output by demodulation, with shared weights; add noise."""
    d = ((weight[None] * styles[:, None, :, None, None]).square().sum([2, 3, 4]) + 1e-8).rsqrt()
    x = x * styles[:, :, None, None]
    x = conv2d_resample.conv2d_resample(
        x=x, w=weight, f=resample_filter, up=up, padding=1, flip_weight=(up == 1)
    )
    return fma.fma(x, d[:, :, None, None], noise)


class Generator(torch.nn.Module):
    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("resample_filter", upfirdn2d.setup_filter([1, 3, 3, 1]))

        def parameter(*shape):
            values = torch.randn(*shape, generator=generator, dtype=torch.float64)
            return torch.nn.Parameter(values)

        self.const = parameter(4, 4, 4)
        self.weight0 = parameter(5, 4, 3, 3)
        self.weight1 = parameter(5, 5, 3, 3)
        self.to_image = parameter(3, 5, 1, 1)
        self.bias = parameter(5)
        self.noise = parameter(8, 8)
        self.act_gain = bias_act.activation_funcs["lrelu"].def_gain

    def forward(self, styles, grid):
        f = self.resample_filter
        x = self.const[None].repeat(len(styles), 1, 1, 1)
        x = modulated_conv2d(x, self.weight0, styles[:, :4], self.noise[:1, :1], 1, f)
        x = bias_act.bias_act(x, self.bias, act="lrelu", gain=self.act_gain, clamp=256)
        x = modulated_conv2d(x, self.weight1, styles, self.noise, 2, f)
        x = bias_act.bias_act(x, self.bias, act="swish")
        image = conv2d_gradfix.conv2d(input=x, weight=self.to_image)
        image = upfirdn2d.downsample2d(upfirdn2d.upsample2d(image, f), f)
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
            code += "class Entry: def_alpha, def_gain = 0.2, 2**0.5\n"
            code += "activation_funcs = {'lrelu': Entry}\n"
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
