"""`stylegan3-t`, `stylegan3-r`: alias-free generators (Karras et al. 2021).

A step is one update of each player. G maps z ~ N(0, I) to w, and Fourier features, which w turns
and moves, to an image (section 3). With s(t) = log(1 + exp(t)):

- D descends E[s(-D(x))] + E[s(D(G(z)))].
- G descends E[s(-D(G(z)))].
- D descends γ/2·E[‖∇D(x)‖²] every 16 steps (R1), in an update of its own, times 16.

D is StyleGAN2's and sees augmented images alone, as in `stylegan2-ada`. There are neither style
mixing nor a penalty of path lengths. Each update of D moves the mean of w and the mean squares of
G's features, which divide them (appendix B).

D's images of `stylegan3-r` are blurred at first, with taps 2^-(k/σ)² along both axes and a σ that
falls linearly to 0. Otherwise D learns high frequencies first, which G can't make yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from fastgan import ops
from fastgan.losses.penalties import Critic
from fastgan.networks.stylegan2 import RESOLUTIONS, StyleGAN2Discriminator
from fastgan.networks.stylegan3 import StyleGAN3Generator
from fastgan.recipes.errors import one_of
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.noise import Adversarial, Augmentation, NoiseToImage, Penalty
from fastgan.recipes.noise_batch import NoiseBatch
from fastgan.recipes.players import ABSENT, Batch, DrawRequest, Networks
from fastgan.recipes.presets import Preset, narrow
from fastgan.recipes.stabilizers import EqualizedSettings, Side
from fastgan.recipes.styles import ClampedHalfSettings, per_micro_batch

G_RESOLUTIONS = tuple(r for r in RESOLUTIONS if r >= 16)
EMA_IMAGES = 20_000
"""Half-life of the layers' mean squares, in images."""


@dataclass(frozen=True)
class BlurBatch(NoiseBatch):
    """Batch with the blur of the images that D sees.

    Attributes:
        blur: taps of the filter, in equal rows, float32 `[N, taps]`; None for no blur.
    """

    blur: Tensor = ABSENT


@dataclass(frozen=True, kw_only=True)
class StyleGAN3T(ClampedHalfSettings, EqualizedSettings, NoiseToImage):
    """Karras 2021, configuration T: details follow translations of G's Fourier features."""

    name: ClassVar[str] = "stylegan3-t"
    summary: ClassVar[str] = "Karras 2021: alias-free G, whose details follow translations"
    batch_type: ClassVar[type[Batch]] = BlurBatch
    default_images: ClassVar[int] = 25_000_000
    configuration: ClassVar[Mapping[str, Any]] = {"kernel_size": 3, "radial": False}
    """Arguments of G."""
    moves: ClassVar[bool] = True
    """G takes a transform of its input, which moves the image."""
    g_width: ClassVar[int] = 1
    """Factor of G's channels over D's."""

    batch: int = 32
    z_dim: int = 512
    lr: float = 2.5e-3
    d_lr: float | None = 2e-3
    betas: tuple[float, float] = (0.0, 0.99)
    ema_kimg: float = 10.0
    loss: Adversarial = "non-saturating"
    augment: Augmentation = "ada"
    penalty: Penalty = "r1"
    penalty_weight: float | None = None
    """Weight of the penalty, λ or γ; None is 32 at 1024×1024, and proportional to the pixels."""
    penalty_every: int = 16
    w_dim: int = 512
    """Length of the style vector w."""
    channel_base: int = 32768
    """Channels times resolution, in D; stylegan3-r has twice as many in G."""
    channel_max: int = 512
    """Most channels of a layer, in D; stylegan3-r has twice as many in G."""
    num_layers: int = 14
    """Layers of G before the one that makes the image."""
    margin: int = 10
    """Samples around the frame in G's layers; fewer are faster, but details move less well."""
    mapping_layers: int = 2
    """Layers of the mapping network."""
    w_avg_beta: float = 0.998
    """Decay per step of the mean of w, the centre of truncation."""
    group_size: int = 4
    """Images per group of minibatch stddev; 1 compares none."""
    blur_sigma: float = 0.0
    """Blur of D's images at the start: the distance in pixels at which it is a half; 0 for none."""
    blur_fade_kimg: float | None = None
    """Thousands of images over which the blur ends; None is 200 at a batch of 32, or in ratio."""

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        return _small(resolution, 90_000)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(1, "w_dim", "channel_max", "mapping_layers", "group_size")
        self._require_at_least(3, "num_layers")
        self._require_whole_groups(self.group_size)
        self._require("w_avg_beta", 0 <= self.w_avg_beta <= 1, "at least 0 and at most 1")
        self._require_at_least(0, "margin", "blur_sigma")
        fade = self.blur_fade_kimg
        self._require("blur_fade_kimg", fade is None or 0 < fade < float("inf"), "above 0")

    def check_images(self, images: ImageSpec) -> None:
        super().check_images(images)
        self._require_resolution(images, images.resolution in G_RESOLUTIONS, one_of(G_RESOLUTIONS))
        self._require(
            "channel_base",
            self.channel_base >= images.resolution,
            f"at least the resolution, {images.resolution}",
        )

    def begin_with(
        self, networks: Mapping[str, Mapping[str, Tensor]], images: ImageSpec
    ) -> dict[str, Any]:
        """Leave the blur out, since a trained D knows the high frequencies."""
        return {"blur_sigma": 0.0} if self.blur_sigma else {}

    def build_networks(self, images: ImageSpec) -> dict[str, nn.Module]:
        c_dim = self.classes(images)
        return {
            "G": StyleGAN3Generator(
                images.resolution, images.channels, z_dim=self.z_dim, w_dim=self.w_dim,
                c_dim=c_dim, mapping_layers=self.mapping_layers,
                w_avg_beta=per_micro_batch(self.w_avg_beta, self.accumulate),
                channel_base=self.g_width * self.channel_base,
                channel_max=self.g_width * self.channel_max, num_layers=self.num_layers,
                margin=self.margin, half_resolutions=self.half_resolutions,
                conv_clamp=self.conv_clamp,
                magnitude_ema_beta=0.5 ** (self.batch / self.accumulate / EMA_IMAGES),
                **self.configuration,
            ),
            "D": StyleGAN2Discriminator(
                images.resolution, images.channels, c_dim=c_dim,
                channel_base=self.channel_base, channel_max=self.channel_max,
                group_size=self.group_size, half_resolutions=self.half_resolutions,
                conv_clamp=self.conv_clamp,
            ),
            **self.extras(images),
        }  # fmt: skip

    def draw_noise(self, request: DrawRequest) -> dict[str, Tensor]:
        """Draw z, and set the taps of the blur."""
        rows = super().draw_noise(request)
        taps = blur_taps(self.sigma(request.nimg), most=self.blur_sigma)
        return rows if taps is None else {**rows, "blur": taps.expand(request.count, -1)}

    def sigma(self, nimg: int) -> float:
        """Return σ of the blur after `nimg` images."""
        fade = self.blur_fade_kimg or self.batch * 200 / 32
        return self.blur_sigma * max(1 - nimg / (1000 * fade), 0.0)

    def generate(self, networks: Networks, batch: NoiseBatch) -> Tensor:
        # Only D's phase updates the averages: every step has one, and it needs no gradient of G.
        images: Tensor = cast(StyleGAN3Generator, networks["G"])(
            batch.noise, *self.labels(batch), update_emas=not torch.is_grad_enabled()
        )
        return images

    def critic(self, networks: Networks, batch: NoiseBatch, side: Side) -> Critic:
        critic = super().critic(networks, batch, side)
        blur = cast(BlurBatch, batch).blur
        return critic if blur is None else lambda images: critic(ops.filter2d(images, blur[0]))

    def default_penalty_weight(self, images: Tensor) -> float:
        return 32.0 * images.shape[2] * images.shape[3] / 1024**2


@dataclass(frozen=True, kw_only=True)
class StyleGAN3R(StyleGAN3T):
    """Karras 2021, configuration R: 1×1 convolutions and radial filters, for rotations, too."""

    name: ClassVar[str] = "stylegan3-r"
    summary: ClassVar[str] = "Karras 2021: alias-free G, for translations and rotations"
    configuration: ClassVar[Mapping[str, Any]] = {"kernel_size": 1, "radial": True}
    g_width: ClassVar[int] = 2

    blur_sigma: float = 10.0

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        return _small(resolution, 100_000, blur_sigma=0.0)


def blur_taps(sigma: float, *, most: float) -> Tensor | None:
    """Return the taps `2^-(k/σ)²` for k from -⌊3σ⌋ to ⌊3σ⌋, with sum 1; None for a single one.

    Args:
        sigma: σ.
        most: largest σ of the run. The taps are as many as it has, so that their shape stays; the
            outer ones are 0.
    """
    radius = int(3 * sigma)
    if radius == 0:
        return None
    side = int(3 * most)
    k = torch.arange(-side, side + 1)
    taps = torch.where(k.abs() <= radius, torch.exp2(-((k / sigma) ** 2)), torch.zeros(()))
    return taps / taps.sum()


def _small(resolution: int, total_images: int, **more: Any) -> Preset:
    settings = {
        **narrow(resolution),
        "z_dim": 64,
        "w_dim": 64,
        "num_layers": 6,
        "margin": 4,
        "batch": 16,
        "augment": "none",
        "group_size": 16,
        "penalty_weight": 2.0 * max(1.0, resolution / 32),
        "penalty_every": 1,
        "lr": 3e-3,
        "d_lr": 3e-3,
        **more,
    }
    # Alias-free layers are slow on a CPU.
    return Preset(total_images, settings, resolution=16)
