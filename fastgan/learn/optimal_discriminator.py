"""A discriminator trained on two known densities approaches p_data / (p_data + p_g) (Goodfellow et al. 2014, proposition 1).

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
REACH = 6.0  # beyond it neither density has anything worth the name


class Mixture(NamedTuple):
    """A sum of normal densities on the line: shares, means, standard deviations."""

    shares: tuple[float, ...]
    means: tuple[float, ...]
    stds: tuple[float, ...]

    def density(self, x: Tensor) -> Tensor:
        """p(x), any shape."""
        parts = zip(self.shares, self.means, self.stds)
        return torch.stack(
            [
                a * torch.exp(-(((x - m) / s) ** 2) / 2) / (s * math.sqrt(2 * math.pi))
                for a, m, s in parts
            ]
        ).sum(dim=0)

    def sample(self, count: int, generator: Generator) -> Tensor:
        """float32 ``[count, 1]``."""
        which = torch.multinomial(
            torch.tensor(self.shares), count, replacement=True, generator=generator
        )
        noise = torch.randn(count, generator=generator)
        return (torch.tensor(self.means)[which] + torch.tensor(self.stds)[which] * noise)[:, None]


DATA = Mixture((0.5, 0.5), (-1.5, 1.2), (0.5, 0.3))
GENERATED = Mixture((1.0,), (0.0,), (1.2,))


class Found(NamedTuple):
    """On a grid x float64 ``[M]``: D(x), D*(x) and both densities.

    error: ∫ |D - D*|·(p_data + p_g)/2, the mean error where D was asked. value, best: V(D) and V(D*) in nats; the latter is
    2·JSD(p_data, p_g) - log 4.
    """

    x: Tensor
    d: Tensor
    optimum: Tensor
    data: Tensor
    generated: Tensor
    error: float
    value: float
    best: float


def train_discriminator(
    data: Mixture = DATA, generated: Mixture = GENERATED, *, steps: int = STEPS, seed: int = 0
) -> Found:
    """Trains D on samples of both densities, G standing still, by D's loss of the game; Adam, its rate falling to 0.

    steps: updates of BATCH samples of each side, at least 1. The seed alone decides weights and samples.
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


def compare(D: Callable[[Tensor], Tensor], data: Mixture, generated: Mixture) -> Found:
    """D, from float32 ``[M, 1]`` to logits ``[M, 1]``, beside the optimum; integrals by the trapezoidal rule."""
    x = torch.linspace(-REACH, REACH, 2_001, dtype=torch.float64)
    p, q = data.density(x), generated.density(x)
    with torch.no_grad():
        logits = D(x.float()[:, None])[:, 0].double()
    d, optimum = logits.sigmoid(), p / (p + q)
    error = torch.trapezoid((d - optimum).abs() * (p + q) / 2, x)
    # In logits, for 1 - sigmoid rounds to 0; and 0·log 0 = 0.
    value = -torch.trapezoid(p * softplus(-logits) + q * softplus(logits), x)
    best = torch.trapezoid(torch.xlogy(p, optimum) + torch.xlogy(q, 1 - optimum), x)
    return Found(x, d, optimum, p, q, float(error), float(value), float(best))


def draw(found: Found, path: str) -> None:
    """Writes a PNG: the densities, and D beside the optimum."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.2), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    densities, verdicts = figure.subplots(1, 2)
    densities.plot(found.x, found.data, color="#2563eb", label="p_data")
    densities.plot(found.x, found.generated, color="#d9480f", label="p_g")
    verdicts.plot(
        found.x,
        found.optimum,
        color="#1f2430",
        linewidth=3,
        alpha=0.3,
        label="p_data / (p_data + p_g)",
    )
    verdicts.plot(found.x, found.d, color="#0f8a6a", label=f"D, mean error {found.error:.3f}")
    for axes in (densities, verdicts):
        axes.set_xlim(-4, 4)
        axes.legend(frameon=False, fontsize=8)
        axes.grid(color="#d9dce3", linewidth=0.6)
    verdicts.set_ylim(-0.05, 1.35)  # room for the legend
    figure.savefig(path, format="png")


def _layer(fan_in: int, fan_out: int) -> tuple[nn.Module, ...]:
    return nn.Linear(fan_in, fan_out, bias=False), BiasAct(fan_out, act="lrelu", gain=1)


def main(path: str, *, steps: int = STEPS) -> None:
    """Trains, prints the figures and draws them to `path`."""
    found = train_discriminator(steps=steps)
    print(f"mean error {found.error:.4f}, V(D) {found.value:.4f}, V(D*) {found.best:.4f} nats")
    draw(found, path)


if __name__ == "__main__":
    main(sys.argv[1])
