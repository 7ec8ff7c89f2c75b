"""Experiment: a discriminator trained on two known densities approaches p_data / (p_data + p_g).

This optimum is proposition 1 of Goodfellow et al. 2014.

python -m fastgan.learn.optimal_discriminator docs/images/optimal_discriminator.png
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import softplus

from fastgan.losses.adversarial import minimax_d_loss
from fastgan.nn import BiasAct

STEPS, BATCH, RATE, WIDTH = 2_000, 512, 1e-2, 64
# Beyond it both densities are negligible.
REACH = 6.0


class Mixture(NamedTuple):
    """A mixture of normal densities on the line."""

    shares: tuple[float, ...]
    """Weights of the densities, which sum to 1."""
    means: tuple[float, ...]
    """Their means."""
    stds: tuple[float, ...]
    """Their standard deviations."""

    def density(self, x: Tensor) -> Tensor:
        """Return p(x), of the shape of ``x``."""
        parts = zip(self.shares, self.means, self.stds)
        return torch.stack(
            [
                a * torch.exp(-(((x - m) / s) ** 2) / 2) / (s * math.sqrt(2 * math.pi))
                for a, m, s in parts
            ]
        ).sum(dim=0)

    def sample(self, count: int, generator: Generator) -> Tensor:
        """Draw samples, float32 ``[count, 1]``."""
        which = torch.multinomial(
            torch.tensor(self.shares), count, replacement=True, generator=generator
        )
        noise = torch.randn(count, generator=generator)
        return (torch.tensor(self.means)[which] + torch.tensor(self.stds)[which] * noise)[:, None]


DATA = Mixture((0.5, 0.5), (-1.5, 1.2), (0.5, 0.3))
GENERATED = Mixture((1.0,), (0.0,), (1.2,))


class Comparison(NamedTuple):
    """D beside the optimum D* on a grid of M points; all tensors are float64 ``[M]``."""

    x: Tensor
    """Points of the grid."""
    d: Tensor
    """D(x)."""
    optimum: Tensor
    """D*(x) = p_data / (p_data + p_g)."""
    data: Tensor
    """p_data(x)."""
    generated: Tensor
    """p_g(x)."""
    error: float
    """∫ |D - D*|·(p_data + p_g)/2, the mean error over D's inputs."""
    value: float
    """V(D) in nats."""
    best: float
    """V(D*) in nats, 2·JSD(p_data, p_g) - log 4."""


def train_discriminator(
    data: Mixture = DATA, generated: Mixture = GENERATED, *, steps: int = STEPS, seed: int = 0
) -> Comparison:
    """Train D on samples of both densities by the minimax loss, with Adam and a cosine schedule.

    Args:
        data: density of the data.
        generated: density of G, which isn't trained.
        steps: updates of ``BATCH`` samples of each density, at least 1.
        seed: seed of weights and samples.

    Returns:
        The trained D beside the optimum.
    """
    generator = Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        D = nn.Sequential(*_layer(1, WIDTH), *_layer(WIDTH, WIDTH), nn.Linear(WIDTH, 1))
    optimizer = torch.optim.Adam(D.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        loss = minimax_d_loss(
            D(data.sample(BATCH, generator)), D(generated.sample(BATCH, generator))
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return compare(D, data, generated)


def compare(D: Callable[[Tensor], Tensor], data: Mixture, generated: Mixture) -> Comparison:
    """Compare D with the optimum; integrals use the trapezoidal rule.

    Args:
        D: function from float32 ``[M, 1]`` to logits ``[M, 1]``.
        data: density of the data.
        generated: density of G.
    """
    x = torch.linspace(-REACH, REACH, 2_001, dtype=torch.float64)
    p, q = data.density(x), generated.density(x)
    with torch.no_grad():
        logits = D(x.float()[:, None])[:, 0].double()
    d, optimum = logits.sigmoid(), p / (p + q)
    error = torch.trapezoid((d - optimum).abs() * (p + q) / 2, x)
    # From logits, since 1 - sigmoid rounds to 0; xlogy makes 0·log 0 = 0.
    value = -torch.trapezoid(p * softplus(-logits) + q * softplus(logits), x)
    best = torch.trapezoid(torch.xlogy(p, optimum) + torch.xlogy(q, 1 - optimum), x)
    return Comparison(x, d, optimum, p, q, float(error), float(value), float(best))


def draw(result: Comparison, path: str) -> None:
    """Write a PNG of the densities, and of D beside the optimum."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.2), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    densities, verdicts = figure.subplots(1, 2)
    densities.plot(result.x, result.data, color="#2563eb", label="p_data")
    densities.plot(result.x, result.generated, color="#d9480f", label="p_g")
    verdicts.plot(
        result.x,
        result.optimum,
        color="#1f2430",
        linewidth=3,
        alpha=0.3,
        label="p_data / (p_data + p_g)",
    )
    verdicts.plot(result.x, result.d, color="#0f8a6a", label=f"D, mean error {result.error:.3f}")
    for axes in (densities, verdicts):
        axes.set_xlim(-4, 4)
        axes.legend(frameon=False, fontsize=8)
        axes.grid(color="#d9dce3", linewidth=0.6)
    # Room for the legend.
    verdicts.set_ylim(-0.05, 1.35)
    figure.savefig(path, format="png")


def _layer(fan_in: int, fan_out: int) -> tuple[nn.Module, ...]:
    return nn.Linear(fan_in, fan_out, bias=False), BiasAct(fan_out, act="lrelu", gain=1)


def main(path: str, *, steps: int = STEPS) -> None:
    """Train, print the results and plot them to `path`."""
    result = train_discriminator(steps=steps)
    print(f"mean error {result.error:.4f}, V(D) {result.value:.4f}, V(D*) {result.best:.4f} nats")
    draw(result, path)


if __name__ == "__main__":
    main(sys.argv[1])
