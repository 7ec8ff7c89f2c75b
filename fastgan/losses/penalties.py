"""Penalties on gradients and on weights.

Penalties are unweighted scalars: multiply them by the paper's weight. ``discriminator`` is called
as :class:`fastgan.networks.Discriminator` says; a sequence of several has its penalties added.
∇D(x) is the gradient of the sum of a sample's logits, over all scales and patches. Its norm is
over all pixels and channels. D must not mix samples, as batch norm does. Graphs of images are not
followed: the penalty's gradient reaches D's parameters and labels.

Random numbers are arguments. Gradients must be enabled. A penalty compiles together with its
backward pass, inside one compiled function: see docs/losses.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from fastgan._torch_private import TRANSPOSED_CONVOLUTIONS
from fastgan.networks.protocol import DiscriminatorOutput, logits_of
from fastgan.ops import grad_norm_penalty, lerp_samples

Critic = Callable[..., Tensor | DiscriminatorOutput]


def _require_gradients() -> None:
    """Raise RuntimeError where gradients are disabled."""
    if not torch.is_grad_enabled():
        raise RuntimeError(
            "gradients must be enabled for a gradient penalty, but they are disabled; "
            "call it outside torch.no_grad()"
        )


def _gradient(discriminator: Critic, images: Tensor, labels: Tensor | None) -> Tensor:
    """Return ∇D(x) ``[N, ...]``, with a graph."""
    _require_gradients()
    images = images.detach().requires_grad_(True)
    output = discriminator(images) if labels is None else discriminator(images, labels)
    logits = logits_of(output)
    total = logits[0].sum() if len(logits) == 1 else torch.stack([t.sum() for t in logits]).sum()
    (gradient,) = torch.autograd.grad(total, images, create_graph=True)
    return gradient


def _each(discriminator: Critic | Sequence[Critic]) -> list[Critic]:
    """Return the discriminators as a list."""
    return (
        list(discriminator)
        if isinstance(discriminator, (Sequence, nn.ModuleList))
        else [discriminator]
    )


def _mean_squared_norm(
    discriminator: Critic | Sequence[Critic],
    images: Tensor,
    labels: Tensor | None,
) -> Tensor:
    """Return E‖∇D(x)‖², summed over discriminators."""
    gradients = [_gradient(d, images, labels) for d in _each(discriminator)]
    return torch.stack([grad_norm_penalty(g, squared=True).mean() for g in gradients]).sum()


def _mean_distance_of_norm(
    discriminator: Critic | Sequence[Critic],
    images: Tensor,
    labels: Tensor | None,
    center: float,
) -> Tensor:
    """Return E[(‖∇D(x)‖ - center)²], summed over discriminators."""
    gradients = [_gradient(d, images, labels) for d in _each(discriminator)]
    return torch.stack([grad_norm_penalty(g, center=center).mean() for g in gradients]).sum()


def wgan_gp(
    discriminator: Critic | Sequence[Critic],
    real: Tensor,
    fake: Tensor,
    labels: Tensor | None = None,
    *,
    alpha: Tensor,
    center: float = 1.0,
) -> Tensor:
    """Return E[(‖∇D(x̂)‖ - center)²] at x̂ = α·real + (1 - α)·fake.

    Gulrajani et al. 2017, eq. 3; the weight is λ = 10.

    Args:
        discriminator: D, or several.
        real, fake: images ``[N, ...]`` of one shape.
        labels: D's condition, see :class:`fastgan.networks.Discriminator`; None without one.
        alpha: ``[N]``, uniform in [0, 1], of the images' dtype: ``torch.rand(N)``.
        center: target norm of the gradient.

    Returns:
        A scalar, float32 for half types.

    Raises:
        RuntimeError: gradients are disabled.
        TypeError: D returns neither a tensor nor a :class:`fastgan.networks.DiscriminatorOutput`.
        ValueError: the shapes don't fit.
    """
    images = lerp_samples(real.detach(), fake.detach(), alpha)
    return _mean_distance_of_norm(discriminator, images, labels, center)


def dragan(
    discriminator: Critic | Sequence[Critic],
    real: Tensor,
    labels: Tensor | None = None,
    *,
    noise: Tensor,
    center: float = 1.0,
) -> Tensor:
    """Return E[(‖∇D(x + δ)‖ - center)²] at real images with noise δ = ½·σ·u.

    Kodali et al. 2017, DRAGAN; the weight is λ = 10. The paper's δ is normal with a variance of its
    own. Here, as often, it follows the images: σ is the standard deviation of each one.

    Args:
        discriminator: D, or several.
        real: images ``[N, ...]``.
        labels: D's condition, see :class:`fastgan.networks.Discriminator`; None without one.
        noise: u, uniform in [0, 1], of the images' shape: ``torch.rand_like(real)``.
        center: target norm of the gradient.

    Returns:
        A scalar, float32 for half types.

    Raises:
        RuntimeError: gradients are disabled.
        TypeError: D returns neither a tensor nor a :class:`fastgan.networks.DiscriminatorOutput`.
        ValueError: noise has another shape.
    """
    if noise.shape != real.shape:
        raise ValueError(
            f"noise must have the shape of the images {list(real.shape)}, got {list(noise.shape)}"
        )
    images = real.detach()
    std = images.std(tuple(range(1, images.ndim)), correction=0, keepdim=True)
    return _mean_distance_of_norm(discriminator, images + std / 2 * noise, labels, center)


def zero_centered(
    discriminator: Critic | Sequence[Critic],
    real: Tensor,
    fake: Tensor,
    labels: Tensor | None = None,
    *,
    alpha: Tensor,
) -> Tensor:
    """Return E‖∇D(x̂)‖² at x̂ = α·real + (1 - α)·fake.

    Thanh-Tung et al. 2019, 0-GP; the weight is λ. Arguments and errors are those of
    :func:`wgan_gp`.
    """
    images = lerp_samples(real.detach(), fake.detach(), alpha)
    return _mean_squared_norm(discriminator, images, labels)


def r1(
    discriminator: Critic | Sequence[Critic], real: Tensor, labels: Tensor | None = None
) -> Tensor:
    """Return ½·E‖∇D(x)‖² on real images (Mescheder et al. 2018, eq. 9); the weight is γ.

    Args:
        discriminator: D, or several.
        real: images ``[N, ...]``.
        labels: D's condition, see :class:`fastgan.networks.Discriminator`; None without one.

    Returns:
        A scalar, float32 for half types.

    Raises:
        RuntimeError: gradients are disabled.
        TypeError: D returns neither a tensor nor a :class:`fastgan.networks.DiscriminatorOutput`.
    """
    return _mean_squared_norm(discriminator, real, labels) / 2


def r2(
    discriminator: Critic | Sequence[Critic], fake: Tensor, labels: Tensor | None = None
) -> Tensor:
    """Return ½·E‖∇D(G(z))‖² on generated images (Mescheder et al. 2018, eq. 10); the weight is γ.

    Arguments and errors are those of :func:`r1`.
    """
    return _mean_squared_norm(discriminator, fake, labels) / 2


def path_length(
    images: Tensor, latents: Tensor, noise: Tensor, mean: Tensor, *, decay: float = 0.99
) -> tuple[Tensor, Tensor]:
    """Return E[(‖J_wᵀy‖ - a)²] with the Jacobian J_w of G at w and the running mean a of the norms.

    Karras et al. 2020, section 3.2, eq. 4. J_wᵀy is the gradient of <G(w), y>, so no Jacobian is
    formed. The weight is ``path_length_weight(pixels)``, every 4th step, times 4.

    Args:
        images: G(w), ``[N, ...]``, with its graph.
        latents: w with its graph, ``[N, D]``, or ``[N, layers, D]`` with a w per layer. The squared
            norm is then the mean over layers. The gradient reaches G and the mapping network.
        noise: y, standard normal, of the images' shape.
        mean: a, a scalar tensor, 0 before the first step.
        decay: share of ``mean`` that is kept.

    Returns:
        The penalty and the new running mean, which the penalty uses. Both are scalars; the mean has
        no graph.

    Raises:
        RuntimeError: gradients are disabled.
        ValueError: noise has another shape, latents have another rank, or images don't depend on
            the latents.
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
            "images must be computed from latents that require gradients, "
            "got one of them detached; pass both with their graph"
        )
    (gradient,) = torch.autograd.grad((images * noise).sum(), latents, create_graph=True)
    layers = latents.shape[1] if latents.ndim == 3 else 1
    # The gradient of vector_norm at 0 is 0.
    lengths = torch.linalg.vector_norm(gradient.flatten(1), dim=1) / layers**0.5
    mean = decay * mean.detach() + (1 - decay) * lengths.detach().mean()
    return (lengths - mean).square().mean(), mean


def path_length_weight(pixels: int) -> float:
    """Return 2 / pixels, the weight of :func:`path_length` for images with height·width ``pixels``.

    Karras et al. 2020, appendix B, has γ = ln 2 / (r²·(ln r - ln 2)) at resolution r. Such a
    generator takes styles in L = 2·log₂ r - 2 layers. So γ = 1 / (r²·(log₂ r - 1)) = 2 / (r²·L).
    The division by L turns the sum over layers into their mean. :func:`path_length` is that mean
    already, which leaves 2 / r².

    Raises:
        ValueError: ``pixels`` is below 1.
    """
    if pixels < 1:
        raise ValueError(f"pixels must be at least 1, got {pixels}")
    return 2 / pixels


def drift(real_logits: Tensor) -> Tensor:
    """Return E[D(x)²], which keeps a Wasserstein critic's logits near 0.

    Karras et al. 2018, appendix A.1; the weight is 0.001.
    """
    return real_logits.square().mean()


def orthogonal(parameters: Iterable[Tensor], *, norms: bool = False) -> Tensor:
    """Return Σ ‖WᵀW ⊙ (1 - I)‖² over the weights, which pushes filters towards right angles.

    Brock et al. 2019, eq. 3; the weight is β = 1e-4.

    Args:
        parameters: weights ``[out, ...]``; their ``out`` filters are the columns of W. Parameters
            of fewer than two dimensions are ignored.
        norms: also pull the filters' norms to 1, ‖WᵀW - I‖² (eq. 2).

    Raises:
        ValueError: no parameter has two dimensions.
    """
    penalties = []
    for weight in parameters:
        if weight.ndim >= 2:
            rows = weight.flatten(1)
            if len(rows) > rows.shape[1]:
                # WᵀW and WWᵀ have the same norm; the smaller product is computed.
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
            "parameters must hold a weight of two dimensions or more, got none; "
            "pass the weights of a network's layers"
        )
    return torch.stack(penalties).sum()


def filters_of(network: nn.Module) -> list[Tensor]:
    """Return the weights of a network's layers for :func:`orthogonal`, ``[out, ...]`` each.

    They are all parameters of two dimensions or more, with their graph, except embeddings, which
    are tables. Weights of transposed convolutions, ``[in, out, ...]`` in torch, are transposed.
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
    """Clip every parameter to [-bound, bound] in place, after D's update.

    Arjovsky et al. 2017, algorithm 1; the bound is 0.01.

    Raises:
        ValueError: ``bound`` is not positive.
    """
    if not bound > 0:
        raise ValueError(f"bound must be a positive number, got {bound}")
    for parameter in parameters:
        parameter.clamp_(-bound, bound)
