"""Synthesis network of StyleGAN3: Fourier features, and layers that keep them alias-free."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from fastgan import ops
from fastgan.networks.checks import check_at_least, check_shape
from fastgan.networks.half import cast_by_hand
from fastgan.networks.stylegan3.schedule import LayerPlan, Size, plan_bands, plan_layers
from fastgan.nn import EqualLinear, FilteredLReLU, FourierInput
from fastgan.nn.scaling import scaled_together
from fastgan.ops._checks import as_dtype


class AliasFreeLayer(nn.Module):
    """Modulated convolution and filtered activation, or, as the last layer, convolution to image.

    ``magnitude_ema`` is a moving average of the input's mean square. The input is divided by its
    root, which keeps the variance without a norm of the features at hand.

    Args:
        plan: sizes, rates and filters.
        w_dim: length of w.
        clamp: bound of the output; None for none.
        magnitude_ema_beta: share of the average that an update keeps.
    """

    magnitude_ema: Tensor

    def __init__(
        self, plan: LayerPlan, w_dim: int, *, clamp: float | None, magnitude_ema_beta: float
    ) -> None:
        super().__init__()
        self.plan, self.clamp, self.magnitude_ema_beta = plan, clamp, magnitude_ema_beta
        k = plan.kernel_size
        self.affine = EqualLinear(w_dim, plan.in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(plan.out_channels, plan.in_channels, k, k))
        self.register_buffer("magnitude_ema", torch.ones(()))
        self.act: FilteredLReLU | None = None
        if plan.to_image:
            self.bias = nn.Parameter(torch.zeros(plan.out_channels))
        else:
            self.act = FilteredLReLU(
                plan.out_channels, up_filter=plan.up_filter(), down_filter=plan.down_filter(),
                up=plan.up, down=plan.down, padding=plan.padding, clamp=clamp,
            )  # fmt: skip

    def forward(self, x: Tensor, w: Tensor, *, update_ema: bool = False) -> Tensor:
        """Return features, or the image, in the dtype of x.

        Args:
            x: features ``[N, in_channels, H, W]``.
            w: style vectors ``[N, w_dim]``.
            update_ema: move ``magnitude_ema`` towards this batch's mean square first.
        """
        if update_ema:
            with torch.no_grad():
                mean = x.detach().to(self.magnitude_ema.dtype).square().mean()
                self.magnitude_ema.copy_(mean.lerp(self.magnitude_ema, self.magnitude_ema_beta))
        # Half images take float32 factors, which the op brings into their range.
        dtype = torch.promote_types(x.dtype, torch.float32)
        styles = self.affine(w)
        if self.act is None:
            styles = styles / math.sqrt(self.plan.in_channels)
        y = ops.modulated_conv2d(
            x, as_dtype(self.weight, dtype), as_dtype(styles, dtype),
            bias=self.bias if self.act is None else None,
            clamp=self.clamp if self.act is None else None,
            demodulate=self.act is not None, padding=self.plan.kernel_size - 1,
            input_gain=self.magnitude_ema.to(dtype).rsqrt(),
        )  # fmt: skip
        return y if self.act is None else self.act(y)

    def extra_repr(self) -> str:
        plan = self.plan
        return (
            f"{plan.in_channels}, {plan.out_channels}, {plan.kernel_size}, "
            f"size={plan.in_size}→{plan.out_size}, rate={plan.in_rate}→{plan.out_rate}"
        )


class StyleGAN3Synthesis(nn.Module):
    """Map w ``[N, num_ws, w_dim]`` to images ``[N, channels, H, W]``.

    ``input`` makes Fourier features of the first w. Layers ``L0``, ``L1``, … follow, and the last
    one makes the image. The arguments are those of :class:`StyleGAN3Generator`.
    """

    def __init__(
        self,
        resolution: int,
        channels: int,
        w_dim: int,
        *,
        half_resolutions: int = 0,
        conv_clamp: float | None = 256.0,
        magnitude_ema_beta: float = 0.999,
        output_scale: float = 0.25,
        **schedule: Any,
    ) -> None:
        super().__init__()
        check_at_least(1, w_dim=w_dim)
        if conv_clamp is not None and not conv_clamp > 0:
            raise ValueError(f"conv_clamp must be None or a number above 0, got {conv_clamp!r}")
        if not 0 <= magnitude_ema_beta <= 1:
            raise ValueError(f"magnitude_ema_beta must be from 0 to 1, got {magnitude_ema_beta!r}")
        if not 0 < output_scale < math.inf:
            raise ValueError(f"output_scale must be a number above 0, got {output_scale!r}")
        size, plans = plan_layers(
            resolution, channels, half_resolutions=half_resolutions, **schedule
        )
        bands = {name: schedule[name] for name in _BANDS if name in schedule}
        band = plan_bands(resolution, **bands)[0]
        self.w_dim, self.output_scale = w_dim, output_scale
        self.image_size: Size = plans[-1].out_size
        self.num_ws = len(plans) + 1
        self.input = FourierInput(
            w_dim, plans[0].in_channels, size, sampling_rate=band.rate, bandwidth=band.cutoff
        )
        for plan in plans:
            layer = AliasFreeLayer(
                plan, w_dim, clamp=conv_clamp, magnitude_ema_beta=magnitude_ema_beta
            )
            self.add_module(plan.name, layer)
        self.names = [plan.name for plan in plans]

    def layers(self) -> list[AliasFreeLayer]:
        """Return the layers in the order of their calls."""
        return [getattr(self, name) for name in self.names]

    def forward(
        self,
        ws: Tensor,
        *,
        transform: Tensor | None = None,
        update_emas: bool = False,
        noise_mode: str = "none",
    ) -> Tensor:
        """Return images ``[N, channels, H, W]`` in the dtype of ``ws``.

        Values lie around [-1, 1] and are not clipped. Under autocast the layers for half precision
        compute in its dtype.

        Args:
            ws: ``[N, num_ws, w_dim]``.
            transform: as in :meth:`fastgan.layers.FourierInput.forward`.
            update_emas: update the layers' ``magnitude_ema``.
            noise_mode: ignored, since there is no noise; StyleGAN2's networks take it.

        Raises:
            ValueError: ``ws`` or ``transform`` has another shape.
        """
        check_shape("ws", ws, self.num_ws, self.w_dim)
        return cast_by_hand(self._images, ws, transform, update_emas)

    def _images(
        self, ws: Tensor, transform: Tensor | None, update_emas: bool, half: torch.dtype
    ) -> Tensor:
        """Return the images; layers for half precision compute in the dtype ``half``."""
        w = ws.unbind(1)
        layers = self.layers()
        with scaled_together([self.input.affine, *(layer.affine for layer in layers)]):
            x = self.input(w[0], transform)
            for layer, own in zip(layers, w[1:]):
                dtype = half if layer.plan.half else ws.dtype
                x = layer(x.to(dtype), own, update_ema=update_emas)
        return x.to(ws.dtype) * self.output_scale


_BANDS = ("num_layers", "num_critical", "first_cutoff", "first_stopband", "last_stopband_rel")
