"""Schedule of sampling rates, cutoffs and sizes over the layers (Karras et al. 2021, section 3.2).

Frequencies are in cycles per image, and rates in samples per image along one axis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from fastgan import ops
from fastgan.networks.checks import check_at_least, check_choice

MIN_RESOLUTION, MAX_RESOLUTION = 16, 4096
Size = tuple[int, int]


@dataclass(frozen=True)
class LayerPlan:
    """Sizes, rates and filters of one synthesis layer.

    Attributes:
        index: number of the layer, from 0.
        in_channels, out_channels: channels of input and output.
        kernel_size: size of the convolution along both axes.
        in_size, out_size: (height, width) of the features, with margins.
        in_rate, out_rate: sampling rates.
        in_cutoff, out_cutoff: cutoffs of the filters, f_c.
        in_half_width, out_half_width: half widths of the filters' transition bands, f_h.
        up, down: factors around the activation.
        up_taps, down_taps: taps of the filters; 1 for none.
        radial: True if the filter of downsampling is radial, not separable.
        critical: True if the cutoff is half the rate at last, so that the layer keeps all detail.
        half: True if the layer computes in half precision under autocast.
        to_image: True for the last layer, which has neither filters nor demodulation.
    """

    index: int
    in_channels: int
    out_channels: int
    kernel_size: int
    in_size: Size
    out_size: Size
    in_rate: int
    out_rate: int
    in_cutoff: float
    out_cutoff: float
    in_half_width: float
    out_half_width: float
    up: int
    down: int
    up_taps: int
    down_taps: int
    radial: bool
    critical: bool
    half: bool
    to_image: bool

    @property
    def name(self) -> str:
        """Name of the layer, ``L{index}``."""
        return f"L{self.index}"

    @property
    def up_rate(self) -> int:
        """Sampling rate of the activation."""
        return self.in_rate * self.up

    @property
    def padding(self) -> tuple[int, int, int, int]:
        """Padding (left, right, top, bottom) between the convolution and the upsampling filter.

        The convolution before it pads by ``kernel_size - 1``.
        """
        sides = []
        for i in (1, 0):
            full = self.in_size[i] + self.kernel_size - 1
            total = (self.out_size[i] - 1) * self.down + 1 - full * self.up
            total += self.up_taps + self.down_taps - 2
            low = (total + self.up) // 2
            sides += [low, total - low]
        return sides[0], sides[1], sides[2], sides[3]

    def up_filter(self) -> Tensor | None:
        """Return the filter ``[up_taps]`` of upsampling; None for none."""
        if self.up_taps == 1:
            return None
        return ops.design_lowpass(
            self.up_taps, cutoff=self.in_cutoff, width=2 * self.in_half_width, fs=self.up_rate
        )

    def down_filter(self) -> Tensor | None:
        """Return the filter of downsampling, ``[down_taps]`` or radial; None for none."""
        if self.down_taps == 1:
            return None
        return ops.design_lowpass(
            self.down_taps, cutoff=self.out_cutoff, width=2 * self.out_half_width,
            fs=self.up_rate, radial=self.radial,
        )  # fmt: skip


@dataclass(frozen=True)
class Band:
    """Sampling rate and frequencies of one layer's output.

    Attributes:
        rate: sampling rate s, a power of two.
        cutoff: cutoff f_c.
        half_width: half width f_h of the transition band.
    """

    rate: int
    cutoff: float
    half_width: float


def plan_bands(
    resolution: int,
    *,
    num_layers: int = 14,
    num_critical: int = 2,
    first_cutoff: float = 2.0,
    first_stopband: float = 2**2.1,
    last_stopband_rel: float = 2**0.3,
) -> list[Band]:
    """Return the bands of the layers 0 to ``num_layers``; that of layer 0 is the input's, too.

    Cutoff and stopband grow geometrically up to the first critical layer. Rates are powers of two
    that hold twice the stopband.

    Args:
        resolution: sampling rate of the image.
        num_layers: number of layers before the last one, which makes the image.
        num_critical: layers among these whose cutoff is half the resolution.
        first_cutoff, first_stopband: frequencies of the input.
        last_stopband_rel: stopband of the last layers, as a multiple of their cutoff.

    Raises:
        ValueError: a number is out of range.
    """
    _check_range("resolution", resolution, MIN_RESOLUTION, MAX_RESOLUTION)
    check_at_least(1, num_layers=num_layers)
    _check_range("num_critical", num_critical, 0, num_layers - 1)
    if not 0.5 <= first_cutoff < first_stopband:
        raise ValueError(
            f"first_stopband must be above first_cutoff, which is at least 0.5, "
            f"got {first_stopband!r} and {first_cutoff!r}"
        )
    last_cutoff = resolution / 2
    if not 1 < last_stopband_rel < math.inf or first_cutoff > last_cutoff:
        raise ValueError(
            f"last_stopband_rel must be above 1, and first_cutoff at most {last_cutoff}, half the "
            f"resolution, got {last_stopband_rel!r} and {first_cutoff!r}"
        )
    bands = []
    for i in range(num_layers + 1):
        share = min(i / (num_layers - num_critical), 1)
        cutoff = first_cutoff * (last_cutoff / first_cutoff) ** share
        stopband = first_stopband * (last_cutoff * last_stopband_rel / first_stopband) ** share
        rate = int(2 ** math.ceil(math.log2(min(2 * stopband, resolution))))
        bands.append(Band(rate, cutoff, max(stopband, rate / 2) - cutoff))
    return bands


def plan_layers(
    resolution: int,
    channels: int,
    *,
    channel_base: int = 32768,
    channel_max: int = 512,
    num_layers: int = 14,
    num_critical: int = 2,
    first_cutoff: float = 2.0,
    first_stopband: float = 2**2.1,
    last_stopband_rel: float = 2**0.3,
    margin: int = 10,
    kernel_size: int = 3,
    radial: bool = False,
    filter_size: int = 6,
    lrelu_upsampling: int = 2,
    half_resolutions: int = 0,
    base: Size | None = None,
) -> tuple[Size, list[LayerPlan]]:
    """Return the size of the input features, with margins, and the plan of each layer.

    Args:
        resolution: sampling rate of the image, 16 to 4096. A power of two fills the frame; of
            another one the margins hold more than is seen.
        channels: channels of the image.
        channel_base, channel_max: features at cutoff f are ``channel_base / 2 / f``, rounded, and
            at most ``channel_max``.
        num_layers, num_critical, first_cutoff, first_stopband, last_stopband_rel: as in
            :func:`plan_bands`.
        margin: samples beyond the frame on every side, except in the last two layers.
        kernel_size: size of the convolutions; the last one is 1×1.
        radial: use radial filters for downsampling, except in critical layers (configuration R).
        filter_size: taps per unit of a factor.
        lrelu_upsampling: factor of the activation's rate over that of input and output.
        half_resolutions: number of the highest rates that compute in half precision.
        base: (height, width) of the input features without margins; None for a square image. An
            axis that is as long as the first rate, 16, gives ``resolution`` pixels.

    Raises:
        ValueError: an argument is out of range.
    """
    check_choice("channels", channels, (1, 2, 3, 4))
    check_at_least(1, channel_base=channel_base, channel_max=channel_max)
    check_at_least(0, half_resolutions=half_resolutions)
    check_choice("kernel_size", kernel_size, (1, 3, 5, 7))
    # Bounds on memory, since files of others have these numbers.
    _check_range("margin", margin, 0, 256)
    _check_range("filter_size", filter_size, 2, 16)
    check_choice("lrelu_upsampling", lrelu_upsampling, (1, 2, 4, 8))
    bands = plan_bands(
        resolution, num_layers=num_layers, num_critical=num_critical, first_cutoff=first_cutoff,
        first_stopband=first_stopband, last_stopband_rel=last_stopband_rel,
    )  # fmt: skip
    first = bands[0].rate
    height, width = base = _checked_base(base, first, resolution)
    framed = height + 2 * margin, width + 2 * margin
    sizes, features = [], []
    for i, band in enumerate(bands):
        inside = resolution if i >= num_layers - 1 else band.rate
        around = 0 if i >= num_layers - 1 else 2 * margin
        sizes.append((inside * height // first + around, inside * width // first + around))
        features.append(round(min(channel_base / 2 / band.cutoff, channel_max)))
    check_at_least(1, **{"channel_base / resolution": min(features)})
    features[-1] = channels
    layers = []
    for i, after in enumerate(bands):
        before = bands[max(i - 1, 0)]
        last = i == num_layers
        critical = i >= num_layers - num_critical
        activation = max(before.rate, after.rate) * (1 if last else lrelu_upsampling)
        up, down = activation // before.rate, activation // after.rate
        layers.append(
            LayerPlan(
                index=i,
                in_channels=features[max(i - 1, 0)],
                out_channels=features[i],
                kernel_size=1 if last else kernel_size,
                in_size=sizes[i - 1] if i else framed,
                out_size=sizes[i],
                in_rate=before.rate,
                out_rate=after.rate,
                in_cutoff=before.cutoff,
                out_cutoff=after.cutoff,
                in_half_width=before.half_width,
                out_half_width=after.half_width,
                up=up,
                down=down,
                up_taps=1 if up == 1 or last else filter_size * up,
                down_taps=1 if down == 1 or last else filter_size * down,
                radial=radial and not critical,
                critical=critical,
                half=after.rate * 2**half_resolutions > resolution,
                to_image=last,
            )
        )
    return framed, layers


def _check_range(name: str, value: object, least: int, most: int) -> None:
    """Raise ValueError unless a setting is a whole number in this range."""
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} must be a whole number from {least} to {most}, got {value!r}")


def _checked_base(base: Size | None, first: int, resolution: int) -> Size:
    if base is None:
        return first, first
    whole = len(base) == 2 and all(type(n) is int and n >= 1 for n in base)
    if not whole or any(resolution * n % first for n in base):
        raise ValueError(
            f"base must be two whole numbers of at least 1, (height, width), which times "
            f"{resolution} / {first} are whole, got {base!r}"
        )
    return base[0], base[1]
