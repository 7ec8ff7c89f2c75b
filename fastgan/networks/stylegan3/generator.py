"""Generator of StyleGAN3: a mapping network and alias-free synthesis (Karras et al. 2021)."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from fastgan.networks.checks import check_at_least
from fastgan.networks.stylegan2 import MappingNetwork
from fastgan.networks.stylegan3.schedule import Size
from fastgan.networks.stylegan3.synthesis import StyleGAN3Synthesis


class StyleGAN3Generator(nn.Module):
    """Map z ``[N, z_dim]`` to images ``[N, channels, H, W]``, around [-1, 1].

    Details move with the content: the image follows a translation of its Fourier features, and in
    configuration R a rotation, too. The defaults are configuration T. Configuration R has
    ``kernel_size=1``, ``radial=True``, and twice T's ``channel_base`` and ``channel_max``.

    Args:
        resolution: sampling rate of the image, 16 to 4096. Of a number that is no power of two, the
            layers compute the next power, and the image is the centre.
        channels: channels of the images, 1 to 4.
        z_dim, w_dim: lengths of the latent vectors.
        c_dim: number of classes, or length of other labels; 0 for none.
        mapping_layers, mapping_lr_multiplier, w_avg_beta: ``num_layers``, ``lr_multiplier`` and
            ``w_avg_beta`` of :class:`fastgan.networks.stylegan2.MappingNetwork`.
        channel_base, channel_max, num_layers, num_critical, first_cutoff, first_stopband: as in
            :func:`fastgan.networks.stylegan3.plan_layers`.
        last_stopband_rel, margin, kernel_size, radial, filter_size, lrelu_upsampling: as there.
        base: as there. With ``base=(8, 16)`` images are half as high as ``resolution``, which stays
            their width.
        half_resolutions: number of the highest rates that compute in half precision under autocast,
            in its dtype. The rest computes in that of the parameters.
        conv_clamp: bound of the layers' outputs; 256 keeps float16 from overflowing. None for none.
        magnitude_ema_beta: share that an update of the layers' ``magnitude_ema`` keeps.
        output_scale: factor of the last layer's output.

    Raises:
        ValueError: an argument is out of range.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset(
        {"truncate", "interpolate", "project", "transform"}
    )
    """Ways to steer it, names of ``fastgan.CAPABILITIES``."""

    def __init__(
        self,
        resolution: int = 256,
        channels: int = 3,
        *,
        z_dim: int = 512,
        w_dim: int = 512,
        c_dim: int = 0,
        mapping_layers: int = 2,
        mapping_lr_multiplier: float = 0.01,
        w_avg_beta: float | None = 0.998,
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
        base: Size | None = None,
        half_resolutions: int = 0,
        conv_clamp: float | None = 256.0,
        magnitude_ema_beta: float = 0.999,
        output_scale: float = 0.25,
    ) -> None:
        super().__init__()
        check_at_least(1, z_dim=z_dim)
        base = (base[0], base[1]) if base is not None and len(base) == 2 else base
        synthesis: dict[str, Any] = {
            "channel_base": channel_base, "channel_max": channel_max, "num_layers": num_layers,
            "num_critical": num_critical, "first_cutoff": first_cutoff,
            "first_stopband": first_stopband, "last_stopband_rel": last_stopband_rel,
            "margin": margin, "kernel_size": kernel_size, "radial": radial,
            "filter_size": filter_size, "lrelu_upsampling": lrelu_upsampling, "base": base,
            "half_resolutions": half_resolutions, "conv_clamp": conv_clamp,
            "magnitude_ema_beta": magnitude_ema_beta, "output_scale": output_scale,
        }  # fmt: skip
        self.config: dict[str, Any] = {
            "resolution": resolution, "channels": channels, "z_dim": z_dim, "w_dim": w_dim,
            "c_dim": c_dim, "mapping_layers": mapping_layers,
            "mapping_lr_multiplier": mapping_lr_multiplier, "w_avg_beta": w_avg_beta, **synthesis,
        }  # fmt: skip
        self.resolution, self.channels = resolution, channels
        self.z_dim, self.w_dim, self.c_dim = z_dim, w_dim, c_dim
        self.synthesis = StyleGAN3Synthesis(resolution, channels, w_dim, **synthesis)
        self.num_ws = self.synthesis.num_ws
        self.mapping = MappingNetwork(
            z_dim, c_dim, w_dim, num_ws=self.num_ws, num_layers=mapping_layers,
            lr_multiplier=mapping_lr_multiplier, w_avg_beta=w_avg_beta,
        )  # fmt: skip

    def forward(
        self,
        z: Tensor,
        labels: Tensor | None = None,
        *,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
        transform: Tensor | None = None,
        update_emas: bool = False,
        noise_mode: str = "none",
    ) -> Tensor:
        """Return ``synthesis(mapping(z, labels))``; the arguments are those of the two.

        ``update_emas`` updates ``w_avg``, too.
        """
        ws = self.mapping(
            z,
            labels,
            truncation_psi=truncation_psi,
            truncation_cutoff=truncation_cutoff,
            update_w_avg=update_emas,
        )
        images: Tensor = self.synthesis(
            ws,
            transform=transform,
            update_emas=update_emas,
            noise_mode=noise_mode,
        )
        return images
