"""Small networks that use every op of the library.

Activations but the last are curved, so no second derivative is zero.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastgan import ops


def parameter(*shape: int) -> nn.Parameter:
    """Return a parameter whose fan-in keeps the variance; vectors are N(0, 1/4)."""
    return nn.Parameter(
        torch.randn(shape) * (torch.Size(shape[1:]).numel() ** -0.5 if shape[1:] else 0.5)
    )


class Discriminator(nn.Module):
    """Images ``[N, 3, 8, 8]`` and labels ``[N, 4]`` or None → logits ``[N, 1]``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        c = channels
        self.first, self.first_bias = parameter(c, 3, 1, 1), parameter(c)
        self.plain, self.plain_bias = parameter(c, c, 3, 3), parameter(c)
        self.modulated, self.modulated_bias = parameter(c, c, 3, 3), parameter(c)
        self.styles, self.scales = parameter(4, c), parameter(4, c)
        self.scaled_bias = parameter(c)
        self.down, self.down_bias = parameter(c, c, 3, 3), parameter(c)
        self.last = parameter(1, c * 16)
        self.register_buffer("filter", ops.setup_filter([1, 3, 3, 1]))
        self.register_buffer("u", torch.randn(2, c))
        self.register_buffer("v", torch.randn(2, c * 9))
        with torch.no_grad():
            _, _, us, vs = ops.spectral_norm(*self.normalised(), n_power_iterations=3)
        self.u, self.v = torch.stack(us), torch.stack(vs)

    def normalised(self) -> tuple[list[Tensor], ...]:
        """Return the weights under spectral normalisation and their singular vectors."""
        return [self.plain, self.down], list(self.u), list(self.v)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        c = torch.ones(len(x), 4, dtype=x.dtype) / 2 if labels is None else labels
        f = self.filter.float()
        (plain, down), *_ = ops.spectral_norm(*self.normalised(), n_power_iterations=0)
        h = ops.conv2d(x, self.first, self.first_bias, act="swish")
        h = ops.bias_act(ops.conv2d(h, plain, padding=1), self.plain_bias, act="softplus")
        h = ops.modulated_conv2d(
            h, self.modulated, 1 + c @ self.styles, bias=self.modulated_bias, act="tanh"
        )
        h = ops.scale_bias_act(h, 1 + c @ self.scales, x[:, :1], self.scaled_bias, act="elu")
        h = ops.filter2d(h, f)
        h = ops.conv2d_resample(h, down, f, down=2, padding=1)
        h = ops.bias_act(h, self.down_bias, act="lrelu")
        return h.flatten(1) @ self.last.T


class Generator(nn.Module):
    """Styles w ``[N, 2, 4]`` → images ``[N, 3, 8, 8]``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        c = channels
        self.constant = parameter(c, 4, 4)
        self.up, self.up_bias, self.up_styles = parameter(c, c, 3, 3), parameter(c), parameter(4, c)
        self.last, self.last_bias, self.last_styles = (
            parameter(3, c, 1, 1),
            parameter(3),
            parameter(4, c),
        )
        self.register_buffer("filter", ops.setup_filter([1, 3, 3, 1]))

    def forward(self, w: Tensor) -> Tensor:
        h = self.constant.expand(len(w), -1, -1, -1)
        h = ops.modulated_conv2d(
            h, self.up, 1 + w[:, 0] @ self.up_styles, bias=self.up_bias, act="swish",
            up=2, resample_filter=self.filter.float(),
        )  # fmt: skip
        return ops.modulated_conv2d(
            h, self.last, 1 + w[:, 1] @ self.last_styles, bias=self.last_bias, demodulate=False
        )
