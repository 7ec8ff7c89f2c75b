"""Penalties on gradients and on weights.

Scalars, unweighted: a recipe multiplies them by the paper's symbol. `discriminator` is called as
:class:`fastgan.networks.Discriminator` says, or a sequence of several, whose penalties are added up. ∇D(x) is the gradient
of the sum of a sample's logits, over all scales and patches, in all of its pixels and channels, provided that D doesn't mix
samples (batch norm does). The graph of images is not followed: the penalty's gradient reaches D's parameters and labels.

Random numbers are drawn outside. Gradients must be switched on. A penalty runs compiled together with its backward pass,
inside of one compiled function: see docs/losses.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from fastgan._torch_private import TRANSPOSED_CONVOLUTIONS
from fastgan.networks.protocol import DiscriminatorOutput, logits_of
from fastgan.ops import grad_norm_penalty, lerp_samples

Judge = Callable[..., Tensor | DiscriminatorOutput]


def _require_gradients() -> None:
    if not torch.is_grad_enabled():
        raise RuntimeError(
            "a gradient penalty has to differentiate and gradients are switched off; call it outside of torch.no_grad()"
        )


def _gradient(discriminator: Judge, images: Tensor, labels: Tensor | None) -> Tensor:
    """∇D(x) `[N, ...]`, in a graph of its own."""
    _require_gradients()
    images = images.detach().requires_grad_(True)
    output = discriminator(images) if labels is None else discriminator(images, labels)
    logits = logits_of(output)
    total = logits[0].sum() if len(logits) == 1 else torch.stack([t.sum() for t in logits]).sum()
    (gradient,) = torch.autograd.grad(total, images, create_graph=True)
    return gradient


def _each(discriminator: Judge | Sequence[Judge]) -> list[Judge]:
    return (
        list(discriminator)
        if isinstance(discriminator, (Sequence, nn.ModuleList))
        else [discriminator]
    )


def _mean_squared_norm(
    discriminator: Judge | Sequence[Judge],
    images: Tensor,
    labels: Tensor | None,
) -> Tensor:
    """E‖∇D(x)‖²."""
    gradients = [_gradient(d, images, labels) for d in _each(discriminator)]
    return torch.stack([grad_norm_penalty(g, squared=True).mean() for g in gradients]).sum()


def wgan_gp(
    discriminator: Judge | Sequence[Judge],
    real: Tensor,
    fake: Tensor,
    labels: Tensor | None = None,
    *,
    alpha: Tensor,
    center: float = 1.0,
) -> Tensor:
    """E[(‖∇D(x̂)‖ - center)²] at x̂ = α·real + (1 - α)·fake (Gulrajani et al. 2017, eq. 3; weight λ = 10).

    Args:
        discriminator: D or several of them.
        real, fake: images `[N, ...]` of the same shape.
        labels: D's condition, see :class:`fastgan.networks.Discriminator`; None for a D without.
        alpha: `[N]`, uniform in [0, 1], of the images' dtype: `torch.rand(N)`.
        center: the norm that D is drawn to.

    Returns:
        A scalar, of float32 for half types.

    Raises:
        RuntimeError: gradients are switched off.
        ValueError: shapes that don't fit.
    """
    images = lerp_samples(real.detach(), fake.detach(), alpha)
    gradients = [_gradient(d, images, labels) for d in _each(discriminator)]
    return torch.stack([grad_norm_penalty(g, center=center).mean() for g in gradients]).sum()


def zero_centered(
    discriminator: Judge | Sequence[Judge],
    real: Tensor,
    fake: Tensor,
    labels: Tensor | None = None,
    *,
    alpha: Tensor,
) -> Tensor:
    """E‖∇D(x̂)‖² at x̂ = α·real + (1 - α)·fake (Thanh-Tung et al. 2019, 0-GP; weight λ). Arguments as for `wgan_gp`."""
    images = lerp_samples(real.detach(), fake.detach(), alpha)
    return _mean_squared_norm(discriminator, images, labels)


def r1(
    discriminator: Judge | Sequence[Judge], real: Tensor, labels: Tensor | None = None
) -> Tensor:
    """½·E‖∇D(x)‖² on real images (Mescheder et al. 2018, eq. 9; weight γ).

    Args:
        discriminator: D or several of them.
        real: images `[N, ...]`.
        labels: D's condition, see :class:`fastgan.networks.Discriminator`; None for a D without.

    Returns:
        A scalar, of float32 for half types.

    Raises:
        RuntimeError: gradients are switched off.
    """
    return _mean_squared_norm(discriminator, real, labels) / 2


def r2(
    discriminator: Judge | Sequence[Judge], fake: Tensor, labels: Tensor | None = None
) -> Tensor:
    """½·E‖∇D(G(z))‖² on generated images (Mescheder et al. 2018, eq. 10; weight γ). Arguments as for `r1`."""
    return _mean_squared_norm(discriminator, fake, labels) / 2


def path_length(
    images: Tensor, latents: Tensor, noise: Tensor, mean: Tensor, *, decay: float = 0.99
) -> tuple[Tensor, Tensor]:
    """E[(‖J_wᵀy‖ - a)²], J_w being the Jacobian of G at w and a the running mean of the norms.

    Karras et al. 2020, section 3.2, eq. 4. J_wᵀy is the gradient of <G(w), y>, so no Jacobian is ever formed. Its weight is
    `path_length_weight(pixels)`, every 4th step, times 4.

    Args:
        images: G(w), `[N, ...]`, with its graph.
        latents: w, `[N, D]`, or `[N, layers, D]` where each layer gets its own: the squared norm is then the mean of the
            layers'. With its graph; the gradient reaches G's parameters and the mapping network's.
        noise: y, of the images' shape, standard normal.
        mean: a, a scalar tensor, 0 before the first step.
        decay: how much of `mean` is kept.

    Returns:
        The penalty, and the new running mean that it was computed with, without a graph; scalars both.

    Raises:
        RuntimeError: gradients are switched off.
        ValueError: noise of another shape, latents of another rank, or images that don't depend on the latents.
    """
    _require_gradients()
    if noise.shape != images.shape:
        raise ValueError(
            f"noise must have the shape of the images {list(images.shape)}, got {list(noise.shape)}"
        )
    if latents.ndim not in (2, 3):
        raise ValueError(f"latents must be [N, D] or [N, layers, D], got {list(latents.shape)}")
    if not (latents.requires_grad and images.requires_grad):
        raise ValueError(
            "images must be computed from latents that require gradients; pass both as G was called, not detached"
        )
    (gradient,) = torch.autograd.grad((images * noise).sum(), latents, create_graph=True)
    layers = latents.shape[1] if latents.ndim == 3 else 1
    lengths = (
        torch.linalg.vector_norm(gradient.flatten(1), dim=1) / layers**0.5
    )  # its gradient at 0 is 0
    mean = decay * mean.detach() + (1 - decay) * lengths.detach().mean()
    return (lengths - mean).square().mean(), mean


def path_length_weight(pixels: int) -> float:
    """Weight of `path_length` for images of so many pixels (height times width): 2 / pixels.

    Karras et al. 2020, appendix B, has γ = ln 2 / (r²·(ln r - ln 2)) at a resolution of r. A generator of that size takes
    styles in L = 2·log₂ r - 2 layers, so γ = 1 / (r²·(log₂ r - 1)) = 2 / (r²·L): γ divides the sum over the layers by their
    number. `path_length` has divided by it already, being a mean over layers, so that 2 / r² is left.

    Raises ValueError unless pixels is at least 1.
    """
    if pixels < 1:
        raise ValueError(f"pixels must be at least 1, got {pixels}")
    return 2 / pixels


def drift(real_logits: Tensor) -> Tensor:
    """E[D(x)²], which keeps a Wasserstein critic's logits near 0 (Karras et al. 2018, appendix A.1; weight 0.001)."""
    return real_logits.square().mean()


def orthogonal(parameters: Iterable[Tensor], *, norms: bool = False) -> Tensor:
    """Σ ‖WᵀW ⊙ (1 - I)‖² over the weights, which draws filters apart (Brock et al. 2019, eq. 3; weight β = 1e-4).

    Args:
        parameters: weights `[out, ...]`; their `out` filters are the columns of W. Those of fewer than two dimensions are
            left out.
        norms: draw the filters' norms to 1 as well, ‖WᵀW - I‖² (eq. 2).

    Raises:
        ValueError: none of the parameters has two dimensions.
    """
    penalties = []
    for weight in parameters:
        if weight.ndim >= 2:
            rows = weight.flatten(1)
            if (
                len(rows) > rows.shape[1]
            ):  # WᵀW and WWᵀ have the same norm, and the other one is small
                lengths = rows.square().sum(1)
                norm = (rows.T @ rows).square().sum()
                penalty = (
                    norm - 2 * lengths.sum() + len(rows) if norms else norm - lengths.square().sum()
                )
            else:
                products = rows @ rows.T
                target = torch.ones_like(products.diagonal()) if norms else products.diagonal()
                penalty = (products - target.diag_embed()).square().sum()
            penalties.append(penalty)
    if not penalties:
        raise ValueError(
            "orthogonal got no parameter of two dimensions or more; pass the weights of a network's layers"
        )
    return torch.stack(penalties).sum()


def filters_of(network: nn.Module) -> list[Tensor]:
    """The weights of a network's layers for `orthogonal`, `[out, ...]` each, with their graph.

    All parameters of two dimensions or more but embeddings, which are tables; those of transposed convolutions, which
    torch keeps as `[in, out, ...]`, turned round.
    """
    tables, turned = (
        {
            id(p)
            for layer in network.modules()
            if isinstance(layer, kind)
            for p in layer.parameters()
        }
        for kind in (nn.Embedding, TRANSPOSED_CONVOLUTIONS)
    )
    weights = (p for p in network.parameters() if p.ndim >= 2 and id(p) not in tables)
    return [p.transpose(0, 1) if id(p) in turned else p for p in weights]


@torch.no_grad()
def clip_weights_(parameters: Iterable[Tensor], bound: float) -> None:
    """Clips every parameter to [-bound, bound] in place, after D's update (Arjovsky et al. 2017, algorithm 1; 0.01).

    Raises ValueError unless bound > 0.
    """
    if not bound > 0:
        raise ValueError(f"bound must be a positive number, got {bound}")
    for parameter in parameters:
        parameter.clamp_(-bound, bound)
