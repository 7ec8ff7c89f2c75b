"""StyleGAN2's five steps at 64×64 and 256×256: ours, the reference and torch.compile of it."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from benchmarks.e2e.steps import Step, time_step
from benchmarks.e2e.stylegan2 import STEPS, Game, flops_of, take
from benchmarks.harness import Run, bytes_of

SIZES: dict[int, dict[str, int]] = {
    64: {"batch": 8, "channel_base": 8192, "channel_max": 256},
    256: {"batch": 2, "channel_base": 16384, "channel_max": 512},
}
ROUNDS = {64: 7, 256: 3}  # at least; a round of 256 takes half a minute on two cores
# Relative to a gradient's largest value: if rounding tips an activation's slope, a pixel's share of
# a bias changes.
TOLERANCE = 2e-2
OF_IMAGES = 1e-3

_games: dict[int, Game] = {}


def game_of(resolution: int, run: Run) -> Game:
    """Build the networks of a size; one at a time, since those of 256 are large."""
    if resolution not in _games:
        _games.clear()
        _games[resolution] = Game.of(resolution, device=run.device, **SIZES[resolution])
    return _games[resolution]


@pytest.mark.parametrize("resolution", SIZES)
@pytest.mark.parametrize("step", STEPS)
def test_step(benchmark: Any, run: Run, resolution: int, step: str) -> None:
    if run.dtype != torch.float32:
        pytest.skip("the steps are timed in float32")
    game = game_of(resolution, run)
    network = game.d if step in ("D step", "R1 step") else game.g
    time_step(
        benchmark,
        run,
        Step(
            op="stylegan2",
            case=f"{resolution}×{resolution}",
            name=step,
            gradients=STEPS[step],
            take=partial(take, step),
            game=game,
            exact=game.exact(),
            tolerance=OF_IMAGES if step == "G forward" else TOLERANCE,
            images=game.real[: len(game.noise)] if step == "path length step" else game.real,
            flops=flops_of(step, game),
            weights=sum(map(bytes_of, network.parameters())),
            rounds=ROUNDS[resolution],
        ),
    )
