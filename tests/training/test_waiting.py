"""A step on a GPU waits for nothing: on meta tensors no value is read, and no copy blocks."""

from __future__ import annotations

import contextlib
from unittest.mock import patch

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.step_launches import choices_of_a_gpu, state_on_a_gpu
from fastgan.recipes import RECIPES, Batch, ImageSpec
from fastgan.training import rows
from fastgan.training.step import TrainStep
from tests.recipes.small_recipes import examples, small, small_data

STABILISED = {
    "augment": "diffaugment", "flip_labels": 0.1, "replay": 64, "instance_noise": 0.1,
    "penalty": "r1+r2", "penalty_weight": 1.0, "penalty_every": 2, "historical_averaging": 1e-3,
    "orthogonal": 1e-4, "feature_matching": 0.5, "accumulate": 2, "ema": 0.9, "clip_weights": 1.0,
    "spectral_norm": True,
}  # fmt: skip
VARIANTS = {name: (name, {}) for name in RECIPES} | {
    "stabilised": ("dcgan", STABILISED),
    "unrolled": ("dcgan", {"unroll": 1, "penalty": "wgan-gp"}),
    "fp16": ("dcgan", {"precision": "fp16"}),
    "half blocks": ("stylegan2", {"precision": "bf16"}),
}


class Watch(TorchDispatchMode):
    """Record of what makes a host wait: values that it reads, and copies that block.

    Attributes:
        waits: descriptions of them.
        pinned: addresses of memory from which a copy needn't block.
        gradients: parameters and gradients that optimisers got.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self.pinned: list[int] = []

    def staging(self, size: int, device: torch.device) -> Tensor:
        memory = torch.empty(size, dtype=torch.uint8)
        self.pinned.append(memory.data_ptr())
        return memory

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        if func is torch.ops.aten._local_scalar_dense.default and tensors[0].is_meta:
            self.waits.append("a value is read")
            return 1
        results = func(*args, **kwargs)
        made = [t for t in tree_leaves(results) if isinstance(t, Tensor)]
        # A number as a tensor of no dimensions goes along as an argument of the kernel.
        copied = [t for t in tensors if t.device.type == "cpu" and t.ndim]
        if copied and any(t.is_meta for t in made):
            unblocked = kwargs.get("non_blocking") and copied[0].data_ptr() in self.pinned
            if not unblocked:
                self.waits.append(f"{func} copies {[tuple(t.shape) for t in copied]}")
        return results


class WatchFactories(TorchFunctionMode):
    """Record of tensors made of Python numbers, which are copied from pageable memory."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self.watch = watch

    def __torch_function__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        named = getattr(func, "__name__", "") in ("tensor", "as_tensor", "new_tensor", "asarray")
        if named and isinstance(made, Tensor) and made.is_meta and not isinstance(args[0], Tensor):
            self.watch.waits.append(f"{func.__name__} of numbers")
        return made


def step_of(name: str, **settings) -> tuple[TrainStep, Batch]:
    """Return a recipe's step on meta tensors, and a batch for it."""
    recipe = small(name, **settings)
    dataset = small_data(recipe)
    example = examples(dataset, 1)

    def many(rows: Tensor) -> Tensor:
        return rows.to("meta").expand(recipe.batch, *rows.shape[1:])

    inputs = {key: many(value) for key, value in example.inputs.items()}
    return (
        TrainStep(state_on_a_gpu(recipe, ImageSpec.of(dataset))),
        Batch(many(example.real), many(example.labels), inputs=inputs),
    )


@contextlib.contextmanager
def watched():
    """Yield the record of a block that runs as on a GPU."""
    watch = Watch()
    with (
        patch.object(rows, "staging", watch.staging),
        choices_of_a_gpu(),
        WatchFactories(watch),
        watch,
    ):
        yield watch


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_step_waits_for_nothing_and_gradients_lie_as_their_parameters(variant):
    name, settings = VARIANTS[variant]
    trainer, batch = step_of(name, **settings)
    strides = []

    def look(optimizer, *_):
        for parameter in (p for group in optimizer.param_groups for p in group["params"]):
            if parameter.grad is not None:
                strides.append((parameter.stride(), parameter.grad.stride()))

    for optimizer in trainer.state.optimizers.values():
        optimizer.register_step_pre_hook(look)
    if name == "srgan":
        # Its adversarial phases come after those of its pretraining.
        trainer.state.nimg = 1
    with watched() as watch:
        trainer([batch] * trainer.batches)
    assert watch.waits == []
    assert strides and all(here == there for here, there in strides)


def test_the_watch_sees_what_waits():
    x = torch.empty(3, device="meta")
    memory = torch.zeros(3)
    with watched() as watch:
        x.sum().item()
        memory.to("meta")
        memory.to("meta", non_blocking=True)
        x.copy_(memory)
        torch.tensor([1.0, 2.0], device="meta")
        rows.staging(8, x.device).to("meta", non_blocking=True)
    assert len(watch.waits) == 5
