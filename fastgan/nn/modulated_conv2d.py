from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fastgan import ops
from fastgan.nn.equalized import EqualLinear, _check_odd, _options
from fastgan.nn.noise import NoiseInjection
from fastgan.nn.resample import Taps, _Filtered
from fastgan.nn.scaling import scaled_before
from fastgan.ops._activations import activation_options
from fastgan.ops._checks import as_dtype, check_at_least, check_input


class ModulatedConv2d(_Filtered):
    """Style-modulated convolution with noise, bias and activation (Karras et al. 2020).

    It is a layer of StyleGAN2's generator: :func:`fastgan.ops.modulated_conv2d` with parameters of
    an equalised learning rate. The styles are an affine function of ``w`` that starts around 1.

    Args:
        in_channels, out_channels: sizes of the channel dimension.
        kernel_size: size along both axes; odd, so that height and width are kept.
        style_dim: length of ``w``.
        bias: add a learned bias, which starts at zero.
        act, alpha, gain, clamp: as in :func:`fastgan.ops.bias_act`.
        up, down: factors as in :func:`fastgan.ops.conv2d_resample`.
        demodulate: scale each output channel to unit variance; False for the layer to the image.
        resample_filter: taps of the filter, normalised to sum 1; None for no filter.
        noise: add noise by a :class:`NoiseInjection`.
        resolution: size of the constant noise, as in :class:`NoiseInjection`.

    Shape:
        x ``[N, in_channels, H, W]`` and w ``[N, style_dim]`` →
        ``[N, out_channels, H·up // down, W·up // down]``, in the dtype of x.
        Parameters and ``w`` may have another dtype.

    Raises:
        ValueError: an argument is out of range, or an input has another shape.
    """

    bias: nn.Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        style_dim: int,
        *,
        bias: bool = True,
        act: str = "lrelu",
        alpha: float | None = None,
        gain: float | None = None,
        clamp: float | None = None,
        up: int = 1,
        down: int = 1,
        demodulate: bool = True,
        resample_filter: Taps | None = (1, 3, 3, 1),
        noise: bool = True,
        resolution: int | None = None,
    ) -> None:
        # A single tap of 1 is the identity.
        super().__init__((1,) if resample_filter is None else resample_filter)
        _check_odd(kernel_size)
        check_at_least(
            1,
            in_channels=in_channels,
            out_channels=out_channels,
            style_dim=style_dim,
            up=up,
            down=down,
        )
        activation_options(act, alpha, gain, clamp)
        self.act, self.alpha, self.gain, self.clamp = act, alpha, gain, clamp
        self.up, self.down, self.demodulate = up, down, demodulate
        self.affine = EqualLinear(style_dim, in_channels, bias_init=1.0)
        # Demodulation cancels any scale of the weights.
        self.scale = 1.0 if demodulate else 1 / math.sqrt(in_channels * kernel_size**2)
        self.factors = {"bias": 1.0}
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.register_parameter("bias", nn.Parameter(torch.zeros(out_channels)) if bias else None)
        self.noise = NoiseInjection(resolution) if noise else None

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | str | None = None) -> Tensor:
        """Return the convolved image.

        Args:
            x: image ``[N, in_channels, H, W]``.
            w: style vectors ``[N, style_dim]``.
            noise: None for fresh noise, ``"const"`` or a tensor as in :meth:`NoiseInjection.noise`;
                ``"none"`` for none.
        """
        check_input(x)
        style_dim = self.affine.weight.shape[1]
        if x.ndim != 4 or not isinstance(w, Tensor) or tuple(w.shape) != (x.shape[0], style_dim):
            given = list(w.shape) if isinstance(w, Tensor) else f"a {type(w).__name__}"
            raise ValueError(
                f"x must have shape [N, C, H, W] and w [N, {style_dim}], "
                f"got {list(x.shape)} and {given}"
            )
        added = None
        if isinstance(noise, str) and noise == "none":
            pass
        elif self.noise is not None:
            size = [length * self.up // self.down for length in x.shape[2:]]
            added = self.noise.noise((x.shape[0], 1, *size), noise)
        elif noise is not None:
            raise ValueError(
                "noise must be None for a layer without noise; create the layer with noise=True"
            )
        # Half images take float32 factors, which the op brings into their range.
        # The scale multiplies the styles, which are fewer than the weights.
        dtype = torch.promote_types(x.dtype, torch.float32)
        styles, scaled = self.affine(w), scaled_before(self)
        if self.scale != 1:
            styles = styles * self.scale
        return ops.modulated_conv2d(
            x, as_dtype(self.weight, dtype), as_dtype(styles, dtype),
            noise=added, bias=self.bias if scaled is None else scaled.get("bias"),
            act=self.act, alpha=self.alpha, gain=self.gain, clamp=self.clamp,
            demodulate=self.demodulate, up=self.up, down=self.down, resample_filter=self.filter,
        )  # fmt: skip

    def extra_repr(self) -> str:
        out_channels, in_channels, kernel_size, _ = self.weight.shape
        sizes = f"{in_channels}, {out_channels}, {kernel_size}, {self.affine.weight.shape[1]}"
        return f"{sizes}, bias={self.bias is not None}, {_options(self)}"
