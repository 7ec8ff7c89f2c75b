"""G's step of a foreign StyleGAN2 on our ops, by the names of StyleGAN's, and on plain PyTorch."""

from __future__ import annotations

import copy
import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from benchmarks.e2e.steps import in_units
from benchmarks.harness import (
    Run,
    check_results,
    extra_info,
    largest_error,
    repeat_in,
    shortened,
)
from benchmarks.measures import Results
from benchmarks.results import Comparison
from benchmarks.timing import Interleaved, rounds_for
from fastgan import ops
from fastgan.compat.stylegan_ops import bias_act, conv2d_resample, fma, upfirdn2d

BATCH, RESOLUTION, BASE, MOST, WIDTH = 8, 64, 8192, 256, 512
MAPPING = 8
FILTER = upfirdn2d.setup_filter([1, 3, 3, 1])
# Relative to a gradient's largest value: if rounding tips an activation's slope, a pixel's share of
# a bias changes.
TOLERANCE = 2e-2


def channels(resolution: int) -> int:
    return min(BASE // resolution, MOST)


def normal(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape))


class Linear(nn.Module):
    """A linear layer whose weights are scaled at runtime."""

    def __init__(self, fan_in: int, fan_out: int, *, act: str = "linear", bias: float = 0) -> None:
        super().__init__()
        self.weight, self.act = normal(fan_out, fan_in), act
        self.bias = nn.Parameter(torch.full((fan_out,), float(bias)))

    def forward(self, x: Tensor) -> Tensor:
        y = x @ (self.weight / math.sqrt(x.shape[1])).t()
        return bias_act.bias_act(y, self.bias, act=self.act)


class Conv(nn.Module):
    """A convolution, filtered and reduced by `down`."""

    def __init__(self, fan_in: int, fan_out: int, size: int, **how: Any) -> None:
        super().__init__()
        self.weight, self.bias = (
            normal(fan_out, fan_in, size, size),
            nn.Parameter(0.1 * normal(fan_out)),
        )
        self.down, self.act = how.get("down", 1), how.get("act", "lrelu")

    def forward(self, x: Tensor, gain: float = 1) -> Tensor:
        weight = self.weight / math.sqrt(self.weight[0].numel())
        padding = self.weight.shape[-1] // 2
        y = conv2d_resample.conv2d_resample(x, weight, FILTER, down=self.down, padding=padding)
        scale = gain * bias_act.activation_funcs[self.act].def_gain
        return bias_act.bias_act(y, self.bias, act=self.act, gain=scale)


class Modulated(nn.Module):
    """A modulated convolution: styles scale the image, and demodulation scales the result."""

    def __init__(self, fan_in: int, fan_out: int, size: int, up: int = 1) -> None:
        super().__init__()
        self.affine = Linear(WIDTH, fan_in, bias=1)
        self.weight, self.bias = (
            normal(fan_out, fan_in, size, size),
            nn.Parameter(0.1 * normal(fan_out)),
        )
        self.strength = nn.Parameter(torch.tensor(0.1))
        self.up, self.image = up, size == 1

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None = None) -> Tensor:
        style, weight = self.affine(w), self.weight
        if self.image:
            style = style / math.sqrt(weight[0].numel())
        x = x * style[:, :, None, None]
        padding = weight.shape[-1] // 2
        y = conv2d_resample.conv2d_resample(
            x, weight, FILTER, up=self.up, padding=padding, flip_weight=self.up == 1
        )
        if self.image:
            return bias_act.bias_act(y, self.bias)
        norms = (weight.square().sum((2, 3)) @ style.square().t()).t()
        assert noise is not None
        y = fma.fma(y, (norms + 1e-8).rsqrt()[:, :, None, None], noise * self.strength)
        return bias_act.bias_act(y, self.bias, act="lrelu")


class Generator(nn.Module):
    """Mapping, and blocks with skips to the image."""

    def __init__(self) -> None:
        super().__init__()
        self.mapping = nn.Sequential(*(Linear(WIDTH, WIDTH, act="lrelu") for _ in range(MAPPING)))
        self.const = normal(channels(4), 4, 4)
        self.layers, self.images = nn.ModuleList(), nn.ModuleList()
        for level in range(2, int(math.log2(RESOLUTION)) + 1):
            before, now = channels(2 ** max(level - 1, 2)), channels(2**level)
            if level > 2:
                self.layers.append(Modulated(before, now, 3, up=2))
            self.layers.append(Modulated(now, now, 3))
            self.images.append(Modulated(now, 3, 1))
        for index, layer in enumerate(self.layers):
            side = 2 ** (2 + (index + 1) // 2)
            layer.register_buffer("noise", torch.randn(side, side))

    def forward(self, z: Tensor) -> Tensor:
        w = self.mapping(z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt())
        x = self.const.repeat(len(z), 1, 1, 1)
        image = None
        for index, layer in enumerate(self.layers):
            x = layer(x, w, layer.noise)
            if index % 2 == 0:
                new = self.images[index // 2](x, w)
                image = new if image is None else upfirdn2d.upsample2d(image, FILTER) + new
        assert image is not None
        return image


class Discriminator(nn.Module):
    """Residual blocks down to 4×4, and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.from_image = Conv(3, channels(RESOLUTION), 1)
        self.blocks = nn.ModuleList()
        for level in range(int(math.log2(RESOLUTION)), 2, -1):
            now, after = channels(2**level), channels(2 ** (level - 1))
            convs = (
                Conv(now, now, 3),
                Conv(now, after, 3, down=2),
                Conv(now, after, 1, down=2, act="linear"),
            )
            self.blocks.append(nn.ModuleList(convs))
        self.last = Conv(channels(4), channels(4), 3)
        self.out = nn.Sequential(
            Linear(16 * channels(4), channels(4), act="lrelu"), Linear(channels(4), 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.from_image(x)
        for first, second, skip in self.blocks:
            x = second(first(x), math.sqrt(0.5)) + skip(x, math.sqrt(0.5))
        logits: Tensor = self.out(self.last(x).flatten(1))
        return logits


class Steps:
    """G's steps, with the gradients of the same parameters in each: Adam updates copies."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.g, self.d = Generator(), Discriminator().requires_grad_(False)
        self.z = torch.randn(BATCH, WIDTH)
        self._use(torch.float32)

    def _use(self, dtype: torch.dtype) -> None:
        self.g, self.d, self.z = self.g.to(dtype), self.d.to(dtype), self.z.to(dtype)
        self.copies = [p.detach().clone().requires_grad_() for p in self.g.parameters()]
        self.adam = torch.optim.Adam(self.copies, lr=2e-3, betas=(0.0, 0.99))

    def exact(self) -> Results:
        """Return the gradients in float64 on plain PyTorch."""
        other = copy.deepcopy(self)
        other._use(torch.float64)
        return other("reference")

    def __call__(self, backend: str) -> Results:
        with ops.use_backend(backend):
            loss = softplus(-self.d(self.g(self.z))).mean()
            named = dict(self.g.named_parameters())
            gradients = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
            for p, gradient in zip(self.copies, gradients, strict=True):
                p.grad = gradient
            self.adam.step()
        found = zip(named.items(), gradients, strict=True)
        return {name: torch.zeros_like(p) if g is None else g for (name, p), g in found}


def test_g_step(benchmark: Any, run: Run) -> None:
    if run.device.type != "cpu" or run.dtype != torch.float32:
        pytest.skip("the step is timed on a CPU in float32")
    steps = Steps()
    calls = {"cpu": partial(steps, "cpu"), "eager": partial(steps, "reference")}
    exact, errors = steps.exact(), {}
    for name, call in calls.items():
        found, expected = in_units(call(), exact), in_units(exact, exact)
        check_results(found, expected, TOLERANCE, what=f"the foreign step on {name}")
        errors[name] = largest_error(found, expected)
    settings = shortened(run, 1)
    interleaved = Interleaved(calls, run.clock)
    rounds = rounds_for(
        interleaved.warm_up(), budget=settings.budget, least=min(settings.least_rounds, 7)
    )
    repeat_in(benchmark)(interleaved.round, rounds)
    timings = interleaved.timings()
    comparison = Comparison(
        op="foreign_step",
        case=f"{RESOLUTION}×{RESOLUTION}",
        measure="G step",
        shape=[BATCH, 3, RESOLUTION, RESOLUTION],
        dtype="float32",
        tensor_bytes=BATCH * 3 * RESOLUTION**2 * 4,
        floor=timings["eager"].median,
        timings=timings,
        errors=errors,
        notes=["the floor is the step of the same code on plain PyTorch, with Adam"],
    )
    benchmark.extra_info.update(extra_info(comparison))
    run.results.name_sides(calls)
    run.results.comparisons.append(comparison)
