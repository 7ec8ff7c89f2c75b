"""Perceptual path length of linear generators and of circles, where it is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fastgan.latent import perceptual_path_length


def squared(a: Tensor, b: Tensor) -> Tensor:
    return (a.double() - b.double()).square().sum(dim=(1, 2, 3))


def as_images(latents: Tensor) -> Tensor:
    return latents[:, :, None, None]


def pairs(count: int = 70, dim: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, count, dim, generator=generator)
    return a, b, torch.rand(count, generator=generator)


def test_straight_lines_have_the_speed_of_their_ends() -> None:
    a, b, t = pairs()
    length = perceptual_path_length(as_images, a, b, t, distance=squared)
    assert length == pytest.approx((b - a).square().sum(1).mean().item(), rel=1e-3)
    assert perceptual_path_length(as_images, a, a, t, distance=squared) == 0


def test_great_circles_have_the_speed_of_their_angle() -> None:
    a, b, t = pairs()
    a, b = (x / x.norm(dim=1, keepdim=True) for x in (a, b))
    angle = (a * b).sum(1).clamp(-1, 1).acos()
    length = perceptual_path_length(as_images, a, b, t, distance=squared, space="z")
    assert length == pytest.approx(angle.square().mean().item(), rel=1e-3)


def test_labels_go_with_their_latents_and_large_images_are_reduced() -> None:
    a, b, t = pairs(dim=1)
    labels = torch.arange(len(a))
    seen: list[Tensor] = []

    def generate(latents: Tensor, classes: Tensor) -> Tensor:
        seen.append(classes)
        return as_images(latents * classes[:, None]).expand(-1, -1, 258, 258)

    length = perceptual_path_length(generate, a, b, t, labels, distance=squared)
    expected = ((b - a) * labels[:, None]).square().sum(1).mean().item()
    assert length == pytest.approx(129 * 129 * expected, rel=1e-2)
    assert torch.equal(torch.cat(seen[::2]), labels) and torch.equal(torch.cat(seen[1::2]), labels)


def test_refused() -> None:
    a, b, t = pairs(3)
    for bad in [(a, b[:2], t), (a, b, t[:2]), (a[:0], b[:0], t[:0]), (a[0], b[0], t)]:
        with pytest.raises(ValueError, match=r"a and b must be \[N, \.\.\., dim\] and t \[N\]"):
            perceptual_path_length(as_images, *bad, distance=squared)
    with pytest.raises(ValueError, match="epsilon must be positive, got 0"):
        perceptual_path_length(as_images, a, b, t, distance=squared, epsilon=0)
