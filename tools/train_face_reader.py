"""Train ``face_reader.safetensors`` on faces that the data set ``faces`` doesn't hold.

    python -m tools.train_face_reader [OUT]

It trains on 128,000 faces of another seed, blurred, shifted and with grain. The accuracy of each
trait on 2,000 further faces is printed and stored in the file's metadata. Training is seeded: one
machine and torch version give the same file.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from fastgan.data import to_float
from fastgan.data.faces import TRAITS, FacesDataset
from fastgan.metrics.faces import RESOLUTION, WEIGHTS, FaceReader, load_face_reader, split_traits
from tools.weights import write_weights

SEED = 1
STEPS = 2000
BATCH = 64
HELD_OUT = 2000


def augment(x: Tensor, generator: torch.Generator) -> Tensor:
    """Shift, blur and add grain to images ``[N, 3, 64, 64]``."""
    n = len(x)

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, 1, 1, 1, generator=generator) * (high - low) + low

    dx, dy = (int(d) for d in torch.randint(-3, 4, (2,), generator=generator))
    x = F.pad(x, (3, 3, 3, 3), mode="replicate")[:, :, 3 + dy : 67 + dy, 3 + dx : 67 + dx]
    # Generated images are softer than drawn ones.
    x = torch.lerp(x, F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1), uniform(0, 0.5))
    x = x * uniform(0.85, 1.15) + uniform(-0.1, 0.1)
    grain = torch.randn(x.shape, generator=generator) * uniform(0.0, 0.08)
    return (x + grain).clamp(-1, 1)


def loss_of(logits: Tensor, traits: dict[str, Tensor]) -> Tensor:
    """Return the mean cross entropy of all traits."""
    parts = split_traits(logits)
    return torch.stack([F.cross_entropy(parts[name], traits[name]) for name in TRAITS]).mean()


def train(data: FacesDataset, *, steps: int = STEPS) -> FaceReader:
    """Train on ``steps`` batches of faces."""
    # For initialisation and dropout.
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    model = FaceReader()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for step in range(steps):
        rows = torch.arange(step * BATCH, (step + 1) * BATCH)
        images, _ = data.batch(rows)
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model(augment(to_float(images), generator)), data.traits(rows))
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            print(f"step {step + 1:4d}/{steps}  loss {loss.item():.4f}", flush=True)
    return model.eval()


def accuracies(model: FaceReader, images: Tensor, traits: dict[str, Tensor]) -> dict[str, float]:
    """Return the share of ``images`` whose trait is read correctly, by the trait's name."""
    read = model.read(images).traits
    return {name: (read[name] == traits[name]).double().mean().item() for name in TRAITS}


def held_out() -> tuple[Tensor, dict[str, Tensor]]:
    """Return 2,000 faces that training doesn't see, in [-1, 1], and their traits."""
    data = FacesDataset(seed=SEED, first=STEPS * BATCH, length=HELD_OUT, resolution=RESOLUTION)
    rows = torch.arange(HELD_OUT)
    return to_float(data.batch(rows)[0]), data.traits(rows)


def main(out: Path = WEIGHTS) -> None:
    started = time.perf_counter()
    model = train(FacesDataset(seed=SEED, length=STEPS * BATCH, resolution=RESOLUTION))

    def measure(path: Path) -> dict[str, str]:
        scores = accuracies(load_face_reader(path, sha256=None), *held_out())
        for name, score in scores.items():
            print(f"{name:12s} {score:.2%}")
        print(f"{HELD_OUT} held-out faces, {time.perf_counter() - started:.0f} s")
        rounded = {name: round(score, 4) for name, score in scores.items()}
        return {"held_out_accuracy": json.dumps(rounded)}

    write_weights(out, model.state_dict(), measure, shipped=WEIGHTS)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:2]))
