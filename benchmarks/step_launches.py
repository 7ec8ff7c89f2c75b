"""Operators of StyleGAN2's training step as a GPU runs it, counted on meta tensors.

``python -m benchmarks.step_launches`` prints them by part of the step, and by their source. The
recipe's own trainer runs without data, on narrow layers of the full resolution. It makes the
choices of a GPU, and computes nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from benchmarks.launches import Launches
from fastgan.networks import half
from fastgan.ops import _define, _library
from fastgan.recipes import Batch, ImageSpec, Recipe, optimizers
from fastgan.recipes.stylegan2 import StyleGAN2
from fastgan.training import skips
from fastgan.training import step as training_step
from fastgan.training.precision import HALF
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep, _Update

ROOT = str(Path(__file__).resolve().parent.parent)
DEVICE = torch.device("meta")
#: Parts of a step, and how often each runs in an average one.
PARTS = {"D": 1.0, "G": 1.0, "rest": 1.0, "r1": 1 / 16, "path_length": 1 / 4}
BATCH = 4
FRAME = re.compile(r'File "(.+)", line (\d+)')
CONVOLUTION_BACKWARD = torch.ops.aten.convolution_backward.default


class StepLaunches(Launches):
    """Counter of a step's operators on meta tensors, by part, source and name.

    Attributes:
        part: current part of the step, a key of ``PARTS``.
        by_source: operators of (part, place in the library, operator). An operator of a backward
            pass has the place of the one that it belongs to.
    """

    def __init__(self, *, sources: bool = False) -> None:
        super().__init__()
        self.part, self.sources = "rest", sources
        self.by_source: Counter[tuple[str, str, str]] = Counter()
        self.composed = {
            getattr(torch.ops.fastgan, definition.name).default: definition.kernel
            for definition in _define._definitions
            if definition.triton is None
        }

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in self.composed:
            # An op without kernels of its own launches those of its formula.
            with self, torch.no_grad():
                return self.composed[func](*args)
        before = self.count
        results = super().__torch_dispatch__(func, types, args, kwargs)
        if self.count == before:
            return results
        self.count = before
        tensors = [t for t in tree_leaves((args, kwargs, results)) if isinstance(t, Tensor)]
        if all(t.device != DEVICE for t in tensors):
            # Random rows are drawn on the CPU.
            return results
        # cuDNN has a call for each gradient.
        self._add(func, sum(args[-1]) if func is CONVOLUTION_BACKWARD else 1)
        return results

    def _add(self, func: Any, count: int) -> None:
        self.count += count
        self.by_source[self.part, self._source(), func.name()] += count

    def _source(self) -> str:
        if not self.sources:
            return ""
        node = torch._C._current_autograd_node()
        frames = traceback.extract_stack() if node is None else _frames_of(node)
        places = [f for f in frames if f.filename.startswith(f"{ROOT}/fastgan")]
        place = places[-1] if places else None
        where = "torch" if place is None else f"{place.filename[len(ROOT) + 9 :]}:{place.lineno}"
        return where if node is None else f"{where} backward"

    @property
    def by_part(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for (part, _, _), count in self.by_source.items():
            found[part] += count
        return found


def _frames_of(node: Any) -> list[traceback.FrameSummary]:
    """Return the place where anomaly mode saw the forward operator of a node."""
    while (parent := node.metadata.get("parent_")) is not None:
        node = parent
    found = [FRAME.search(line) for line in node.metadata.get("traceback_", ())]
    return [traceback.FrameSummary(m[1], int(m[2]), "") for m in found if m]


class Autocast:
    """Autocast of meta tensors, which torch lacks: the networks ask ``dtype``."""

    current: torch.dtype | None = None

    def dtype(self, _: Tensor) -> torch.dtype | None:
        return self.current

    @contextlib.contextmanager
    def __call__(self, precision: str, device: torch.device) -> Iterator[None]:
        before, self.current = self.current, HALF.get(precision)
        try:
            yield
        finally:
            self.current = before


@contextlib.contextmanager
def choices_of_a_gpu() -> Iterator[None]:
    """Let ops, norms and optimisers treat meta tensors as those of a GPU inside the block."""
    autocast = Autocast()
    with (
        patch.object(_library, "_automatic", lambda op, device: "cuda"),
        patch.object(_library, "_named", lambda name, device: name),
        patch("torch.nn.utils.clip_grad._has_foreach_support", lambda *_: True),
        patch.object(training_step, "autocast", autocast),
        patch.object(half, "autocast_dtype", autocast.dtype),
        patch("torch.optim.adam._device_dtype_check_for_fused", lambda *_: None),
        patch("torch.optim.rmsprop._get_capturable_supported_devices", lambda **_: ["meta"]),
        patch.object(optimizers, "on_gpu", lambda _: True),
        patch.object(skips, "Reading", NoReading),
    ):
        yield


def state_on_a_gpu(recipe: Recipe, images: ImageSpec) -> TrainState:
    """Return the state of a run on meta tensors, with the optimisers that it has on a GPU.

    Their state is allocated already, as after the first step.
    """
    with choices_of_a_gpu():
        state = TrainState.create(recipe, images, device=DEVICE)
        for optimizer in state.optimizers.values():
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    parameter.grad = torch.zeros_like(parameter)
            optimizer.step()
            optimizer.zero_grad()
    return state


class NoReading:
    """Stand-in for ``skips.Reading``: meta tensors have no numbers to read."""

    def __init__(self, numbers: Tensor) -> None:
        self._shape = numbers.shape

    def numbers(self) -> list[list[int]]:
        return [[0] * self._shape[1]] * self._shape[0]


def count_step(
    *,
    resolution: int = 256,
    sources: bool = False,
    recipe: type[StyleGAN2] = StyleGAN2,
    **settings: Any,
) -> StepLaunches:
    """Count the operators of a step with all its parts.

    Args:
        resolution: that of the images.
        sources: also record the places of operators, which is slow.
        recipe: the recipe.
        settings: settings of the recipe.
    """
    widths = {"z_dim": 4, "w_dim": 4, "channel_base": 4 * resolution, "channel_max": 4}
    made = recipe(batch=BATCH, **widths, **settings)
    state = state_on_a_gpu(made, ImageSpec(3, resolution))
    step = TrainStep(state)
    counter = StepLaunches(sources=sources)

    take = _Update.__call__

    def named(update: _Update, *args: Any) -> Any:
        counter.part = update.terms[0].name if update.loss is None else update.player.name
        try:
            return take(update, *args)
        finally:
            counter.part = "rest"

    batch = Batch(
        torch.empty(BATCH, 3, resolution, resolution, device=DEVICE),
        torch.zeros(BATCH, dtype=torch.int64, device=DEVICE),
    )
    # Memory that a run allocates once.
    step.snapshot.take()
    with (
        choices_of_a_gpu(),
        patch.object(_Update, "__call__", named),
        torch.autograd.set_detect_anomaly(True, check_nan=False)
        if sources
        else contextlib.nullcontext(),
        counter,
    ):
        step([batch])
    return counter


def average(counts: Counter[str]) -> float:
    """Return the operators of an average step."""
    return sum(PARTS[part] * count for part, count in counts.items())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step_launches")
    parser.add_argument("--sources", type=int, default=0, metavar="N", help="the N largest sources")
    parser.add_argument("--part", choices=PARTS, help="sources of this part alone")
    parser.add_argument("--precision", choices=("fp32", "bf16", "fp16"), default="fp32")
    given = parser.parse_args()
    counted = count_step(sources=given.sources > 0, precision=given.precision)
    for part, count in counted.by_part.items():
        print(f"{part:12} {count:6}")
    print(f"{'average':12} {average(counted.by_part):8.1f}\n{'all':12} {counted.count:6}")
    found: Counter[tuple[str, str]] = Counter()
    for (part, source, name), count in counted.by_source.items():
        if given.part in (None, part):
            found[source, name] += count if given.part else PARTS[part] * count
    for (source, name), count in found.most_common(given.sources):
        print(f"{count:8.1f}  {source:48} {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
