"""The trainer's step as ``fastgan train`` takes it on a GPU, with or without CUDA graphs."""

from __future__ import annotations

import logging

import torch

from fastgan.training.distributed import World
from fastgan.training.graphs import choose_recorder
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep


class Unavailable(Exception):
    """The steps can't be captured in CUDA graphs; the message says why."""


def make_step(state: TrainState, device: str, *, graphed: bool) -> TrainStep:
    """Return the step, for which cuDNN measures its algorithms as in a run.

    Raises:
        Unavailable: ``graphed``, and there are no graphs.
    """
    torch.backends.cudnn.benchmark = True
    world = World(torch.device(device))
    if not graphed:
        return TrainStep(state, world=world)
    recorder, reason = choose_recorder("auto", state, world, compiled=False)
    if recorder is None:
        raise Unavailable(f"not available: {reason or 'no graphs on a CPU'}")
    return TrainStep(state, world=world, recorder=recorder)


class Warnings(logging.Handler):
    """Collector of the trainer's warnings: it says there what it can't capture."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())

    def __enter__(self) -> Warnings:
        logging.getLogger("fastgan").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("fastgan").removeHandler(self)
