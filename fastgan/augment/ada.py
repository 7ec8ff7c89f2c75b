"""Adaptive discriminator augmentation (Karras et al. 2020b)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
import torch.distributed as dist
from torch import Generator, Tensor

from fastgan import ops
from fastgan.augment.base import Augment, check_images, columns, product
from fastgan.augment.color import apply_color, color_matrix
from fastgan.augment.corruptions import add_noise, cutout
from fastgan.augment.filtering import apply_filter, band_gains, band_matrices
from fastgan.augment.geometry import blit, blit_matrix, geometry_matrix, warp
from fastgan.augment.settings import PRESETS, TRANSFORMATIONS, Strengths
from fastgan.augment.wavelets import symlet
from fastgan.ops._checks import under_autocast

# Columns of the random numbers, equal for every pipe: gates switch transformations on, the others
# say how they are applied.
GATES = (
    "flip", "rotate90", "integer_translation",
    "scale", "rotation_before", "anisotropic_scale", "rotation_after", "fractional_translation",
    "brightness", "contrast", "luma_flip", "hue", "saturation",
    "filter0", "filter1", "filter2", "filter3", "noise", "cutout",
)  # fmt: skip
UNIFORM = (
    "flip", "rotate90", "integer_x", "integer_y", "rotation_before", "rotation_after",
    "luma_flip", "hue", "cutout_x", "cutout_y",
)  # fmt: skip
NORMAL = (
    "scale", "anisotropic_scale", "fractional_x", "fractional_y",
    "brightness", "contrast", "saturation",
    "filter0", "filter1", "filter2", "filter3", "noise",
)  # fmt: skip


class ADA(Augment):
    """Pipe of 18 transformations with an adaptive probability ``p`` (Karras et al. 2020b).

    Each transformation is applied with probability ``p``, which :meth:`adjust` steers by how much D
    overfits. Below a p of about 0.8 the pipe does not leak: its effect on a distribution of images
    is invertible, so G cannot match augmented images with wrong ones. At p = 0 images stay
    bit-identical.

    Args:
        resolution: size of the images, a number or ``(height, width)``; at least 4.
        channels: 1 (grey), 3 (RGB), or 2 or 4 with an alpha channel, which colour and noise ignore.
        categories: a name in ``PRESETS``, or names of categories: blit, geom, color, filter, noise,
            cutout. The paper trains with ``"bgc"``.
        multipliers: factors of ``p`` from 0 to 1, by names in ``TRANSFORMATIONS``; 1 for other
            names.
        strengths: strength of each transformation; None for the paper's.
        p: initial probability.
        target: value of r_t that ``p`` is steered to.
        kimg: thousands of images in which ``p`` can move from 0 to 1.

    Attributes:
        p: buffer, float32 ``[]``, in the state dict. Set it by ``ada.p.fill_(value)``.
        signs: buffer, float32 ``[2]``, in the state dict: sum and count of the signs that
            :meth:`observe` added since ``p`` last moved.

    Raises:
        ValueError: an argument is out of range, or a name is unknown.
    """

    constant_buffers: ClassVar[tuple[str, ...]] = (
        "multipliers",
        "rotates",
        "taps",
        "bands_x",
        "bands_y",
    )
    """Buffers that training never changes."""
    p: Tensor
    signs: Tensor
    multipliers: Tensor
    rotates: Tensor
    taps: Tensor
    bands_x: Tensor
    bands_y: Tensor

    def __init__(
        self,
        resolution: int | tuple[int, int],
        channels: int = 3,
        *,
        categories: str | Sequence[str] = "bgc",
        multipliers: Mapping[str, float] | None = None,
        strengths: Strengths | None = None,
        p: float = 0.0,
        target: float = 0.6,
        kimg: float = 500.0,
    ) -> None:
        super().__init__()
        height, width = (resolution, resolution) if isinstance(resolution, int) else resolution
        if min(height, width) < 4:
            raise ValueError(
                f"resolution must be at least 4, a number or (height, width), got {resolution!r}"
            )
        if channels not in (1, 2, 3, 4):
            raise ValueError(f"channels must be 1, 2, 3 or 4, got {channels!r}")
        for name, value in (("p", p), ("target", target)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be from 0 to 1, got {value!r}")
        if not kimg > 0:
            raise ValueError(f"kimg must be above 0, got {kimg!r}")
        self.size = (height, width)
        self.channels, self.target, self.kimg = channels, float(target), float(kimg)
        self.categories = _categories(categories)
        self.strengths = strengths or Strengths()
        self.register_buffer("p", torch.tensor(float(p)))
        self.register_buffer("signs", torch.zeros(2))
        # Settings, which the state dict does not hold.
        self.register_buffer(
            "multipliers", torch.tensor(_multipliers(multipliers or {})), persistent=False
        )
        rotates = torch.tensor([name.startswith("rotation_") for name in GATES])
        self.register_buffer("rotates", rotates, persistent=False)
        if "geom" in self.categories:
            self.register_buffer(
                "taps", ops.setup_filter(torch.from_numpy(symlet(6))), persistent=False
            )
        if "filter" in self.categories:
            self.register_buffer("bands_x", band_matrices(width), persistent=False)
            self.register_buffer("bands_y", band_matrices(height), persistent=False)

    def draw(self, count: int, generator: Generator) -> dict[str, Tensor]:
        rows = {
            "gate": torch.rand(count, len(GATES), generator=generator),
            "uniform": torch.rand(count, len(UNIFORM), generator=generator),
            "normal": torch.randn(count, len(NORMAL), generator=generator),
        }
        if "noise" in self.categories:
            rows["noise"] = torch.randn(count, self.channels, *self.size, generator=generator)
        return rows

    def forward(self, images: Tensor, rows: Mapping[str, Tensor]) -> Tensor:
        check_images(images, rows)
        expected = (self.channels, *self.size)
        if tuple(images.shape[1:]) != expected:
            raise ValueError(
                f"images must have shape [N, {', '.join(map(str, expected))}] for this ADA, "
                f"got {list(images.shape)}"
            )
        if not under_autocast(images):
            return self._augmented(images, rows)
        with torch.autocast(images.device.type, enabled=False):
            return self._augmented(images, rows)

    def _augmented(self, images: Tensor, rows: Mapping[str, Tensor]) -> Tensor:
        wide = images if images.dtype == torch.float64 else images.float()
        on = columns(rows["gate"] < self.probabilities(), GATES)
        u = columns(rows["uniform"].to(wide.dtype), UNIFORM)
        z = columns(rows["normal"].to(wide.dtype), NORMAL)
        wide = self._transform(wide, on, u, z)
        if "color" in self.categories:
            wide = apply_color(wide, color_matrix(on, u, z, self.strengths))
        if "filter" in self.categories:
            gains = band_gains(on, z, self.strengths)
            wide = apply_filter(
                wide, gains, self.bands_x.to(wide.dtype), self.bands_y.to(wide.dtype)
            )
        if "noise" in self.categories:
            std = torch.where(on["noise"], z["noise"].abs() * self.strengths.noise, 0.0)
            wide = add_noise(wide, rows["noise"].to(wide.dtype), std)
        if "cutout" in self.categories:
            side = torch.where(on["cutout"], self.strengths.cutout, torch.zeros_like(u["cutout_x"]))
            wide = cutout(wide, u["cutout_x"], u["cutout_y"], side)
        return wide.to(images.dtype)

    def _transform(
        self,
        images: Tensor,
        on: Mapping[str, Tensor],
        u: Mapping[str, Tensor],
        z: Mapping[str, Tensor],
    ) -> Tensor:
        """Apply blitting and geometry by one map of positions.

        An image with blitting alone is copied pixel by pixel, without resampling.
        """
        matrix, copied = None, images
        if "blit" in self.categories:
            matrix = blit_matrix(on, u, self.size, self.strengths)
            copied = blit(images, matrix)
        if "geom" not in self.categories:
            return copied
        further = geometry_matrix(on, u, z, self.size, self.strengths)
        resampled = (
            (further != torch.eye(3, dtype=further.dtype, device=further.device)).flatten(1).any(1)
        )
        warped = warp(images, further if matrix is None else product(matrix, further), self.taps)
        return torch.where(resampled[:, None, None, None], warped, copied)

    def probabilities(self) -> Tensor:
        """Return the probability of each gate, float32 ``[19]``.

        The two rotations share a probability: neither is applied with probability 1 - p.
        """
        chances = self.p * self.multipliers
        return torch.where(self.rotates, 1 - (1 - chances).sqrt(), chances)

    @torch.no_grad()
    def observe(self, logits: Tensor) -> None:
        """Add the signs of D's logits of augmented real images.

        Logits have any shape. Nothing waits for the device.

        The mean of the signs is r_t = E[sign(D(x))]: 0 where D cannot tell real from generated
        images, 1 where D has memorised the data.
        """
        signs = logits.detach().float().sign()
        self.signs += torch.stack([signs.sum(), torch.full_like(signs.sum(), signs.numel())])

    @torch.no_grad()
    def adjust(self, images: int) -> None:
        """Move ``p`` towards the target once ``images`` real images were observed.

        The step is (images observed) / (1000·kimg), up where r_t is above ``target`` and down below
        it. Call it after updates of D; earlier calls do nothing. The paper waits for four batches.

        Args:
            images: images of all processes to wait for. With several processes ``signs`` must hold
                their mean over processes, which the trainer ensures.

        Raises:
            ValueError: ``images`` is below 1.
        """
        if images < 1:
            raise ValueError(f"images must be at least 1, got {images!r}")
        world = dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
        total, count = self.signs.unbind()
        due = count * world >= images
        step = (total / count - self.target).sign() * (count * world / (1000 * self.kimg))
        self.p.copy_(torch.where(due, (self.p + step).clamp(0, 1), self.p))
        self.signs.mul_(~due)

    def extra_repr(self) -> str:
        return (
            f"{self.size}, {self.channels}, categories={self.categories}, "
            f"target={self.target}, kimg={self.kimg}"
        )


def _categories(names: str | Sequence[str]) -> tuple[str, ...]:
    """Return the categories of a preset or of names, in the order of the pipe."""
    if isinstance(names, str):
        if names not in PRESETS:
            raise ValueError(f"categories must be one of {', '.join(PRESETS)}, got {names!r}")
        return PRESETS[names]
    unknown = [name for name in names if name not in TRANSFORMATIONS]
    if unknown or not names:
        raise ValueError(
            f"categories must be some of {', '.join(TRANSFORMATIONS)}, got {unknown or names!r}"
        )
    return tuple(category for category in TRANSFORMATIONS if category in names)


def _multipliers(factors: Mapping[str, float]) -> list[float]:
    """Return a factor of p for each gate."""
    known = [name for names in TRANSFORMATIONS.values() for name in names]
    for name, factor in factors.items():
        if name not in known:
            raise ValueError(f"names of multipliers must be among {', '.join(known)}, got {name!r}")
        if not 0 <= factor <= 1:
            raise ValueError(f"multipliers must be from 0 to 1, got {factor!r} for {name!r}")
    return [
        float(factors.get("rotation" if gate.startswith("rotation_") else gate, 1.0))
        for gate in GATES
    ]
