"""StyleGAN2 in plain PyTorch and float64, from the papers, which loaded networks must equal.

Every sample has its own weights, as in the paper. Tensors have the official names.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

Tensors = dict[str, Tensor]


def doubles(module) -> Tensors:
    return {name: t.detach().double() for name, t in module.state_dict().items()}


def lrelu(x: Tensor, gain: float = math.sqrt(2)) -> Tensor:
    return F.leaky_relu(x, 0.2) * gain


def clamped(x: Tensor, clamp: float | None, gain: float = 1.0) -> Tensor:
    return x if clamp is None else x.clamp(-clamp * gain, clamp * gain)


def linear(t: Tensors, name: str, x: Tensor, lr: float = 1.0) -> Tensor:
    weight = t[f"{name}.weight"]
    return F.linear(x, weight * lr / math.sqrt(weight.shape[1]), t[f"{name}.bias"] * lr)


def fir(x: Tensor, f: Tensor, pad: tuple[int, int], stride: int = 1) -> Tensor:
    """Convolve each channel with a symmetric filter, with `pad` zeros before and after."""
    channels = x.shape[1]
    return F.conv2d(
        F.pad(x, [*pad, *pad]), f.expand(channels, 1, *f.shape), stride=stride, groups=channels
    )


def normalized(x: Tensor) -> Tensor:
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


def mapped(t: Tensors, z: Tensor | None, c: Tensor | None, *, layers: int, lr: float) -> Tensor:
    parts = [] if z is None else [normalized(z)]
    if c is not None:
        parts.append(normalized(linear(t, "mapping.embed", c)))
    w = torch.cat(parts, 1)
    for i in range(layers):
        w = lrelu(linear(t, f"mapping.fc{i}", w, lr))
    return w


def modulated(
    x: Tensor, weight: Tensor, s: Tensor, *, up: bool = False, demodulate: bool = True
) -> Tensor:
    out = []
    for image, style in zip(x, s):
        w = weight * style[:, None, None]
        if demodulate:
            w = w * (w.square().sum((1, 2, 3), keepdim=True) + 1e-8).rsqrt()
        if up:
            out.append(F.conv_transpose2d(image[None], w.transpose(0, 1), stride=2))
        else:
            out.append(F.conv2d(image[None], w, padding=w.shape[2] // 2))
    return torch.cat(out)


def synthesis(t: Tensors, ws: Tensor, *, noise_mode: str, clamp: float | None) -> Tensor:
    def layer(x: Tensor, name: str, w: Tensor, up: bool = False) -> Tensor:
        x = modulated(x, t[f"{name}.weight"], linear(t, f"{name}.affine", w), up=up)
        if up:
            x = fir(x, 4 * t[f"{name}.resample_filter"], (1, 1))
        if noise_mode == "const":
            x = x + t[f"{name}.noise_const"] * t[f"{name}.noise_strength"]
        return clamped(lrelu(x + t[f"{name}.bias"][:, None, None]), clamp)

    x = t["synthesis.b4.const"].expand(len(ws), -1, -1, -1)
    image, index, r = None, 0, 4
    while f"synthesis.b{r}.conv1.weight" in t:
        if r > 4:
            x = layer(x, f"synthesis.b{r}.conv0", ws[:, index], up=True)
            index += 1
        x = layer(x, f"synthesis.b{r}.conv1", ws[:, index])
        index += 1
        name = f"synthesis.b{r}.torgb"
        s = linear(t, f"{name}.affine", ws[:, index]) / math.sqrt(x.shape[1])
        rgb = (
            modulated(x, t[f"{name}.weight"], s, demodulate=False)
            + t[f"{name}.bias"][:, None, None]
        )
        rgb = clamped(rgb, clamp)
        if image is not None:
            n, channels, h, width = image.shape
            spread = image.new_zeros(n, channels, 2 * h, 2 * width)
            spread[:, :, ::2, ::2] = image
            rgb = rgb + fir(spread, 4 * t[f"synthesis.b{r}.resample_filter"], (2, 1))
        image, r = rgb, 2 * r
    return image


def generate(
    t: Tensors,
    z: Tensor,
    c: Tensor | None = None,
    *,
    layers: int,
    lr: float = 0.01,
    psi: float = 1.0,
    cutoff: int | None = None,
    noise_mode: str = "const",
    clamp: float | None = None,
) -> Tensor:
    w = mapped(t, z, c, layers=layers, lr=lr)
    num_ws = 2 * sum(name.endswith("torgb.weight") for name in t)
    ws = w[:, None].repeat(1, num_ws, 1)
    if psi != 1:
        ws[:, :cutoff] = t["mapping.w_avg"].lerp(ws[:, :cutoff], psi)
    return synthesis(t, ws, noise_mode=noise_mode, clamp=clamp)


def discriminate(
    t: Tensors,
    images: Tensor,
    c: Tensor | None = None,
    *,
    layers: int = 0,
    lr: float = 0.01,
    group: int = 4,
    clamp: float | None = None,
) -> Tensor:
    def conv(
        x: Tensor, name: str, *, down: bool = False, act: float | None = math.sqrt(2)
    ) -> Tensor:
        w = t[f"{name}.weight"]
        k = w.shape[2]
        if down:
            x = fir(x, t[f"{name}.resample_filter"], (k // 2 + 1, k // 2 + 1))
        x = F.conv2d(
            x, w / math.sqrt(w[0].numel()), stride=2 if down else 1, padding=0 if down else k // 2
        )
        if act is None:
            return x
        return clamped(lrelu(x + t[f"{name}.bias"][:, None, None], act), clamp, act / math.sqrt(2))

    r = images.shape[-1]
    x = conv(images, f"b{r}.fromrgb")
    while r > 4:
        skip = conv(x, f"b{r}.skip", down=True, act=None) * math.sqrt(0.5)
        x = skip + conv(conv(x, f"b{r}.conv0"), f"b{r}.conv1", down=True, act=1.0)
        r //= 2
    n, channels, h, w = x.shape
    g = min(group, n)
    stddev = (x.reshape(g, -1, channels, h, w).var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
    x = torch.cat([x, stddev.repeat(g)[:, None, None, None].expand(n, 1, h, w)], 1)
    y = linear(t, "b4.out", lrelu(linear(t, "b4.fc", conv(x, "b4.conv").flatten(1))))
    if c is None:
        return y.squeeze(1)
    label = mapped(t, None, c, layers=layers, lr=lr)
    return (y * label).sum(1) / math.sqrt(label.shape[1])
