"""One step: for each player in turn, zero, losses, backward, step (Goodfellow et al. 2014, algorithm 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from fastgan.errors import FastganError
from fastgan.recipes import Batch, Player
from fastgan.train.state import TrainState


class NonFiniteLoss(FastganError):
    """A loss became infinite or NaN; no weight was changed by it."""


def batches_per_step(players: Sequence[Player]) -> int:
    """Real batches that a step shows: as many as the busiest player has updates (n_critic)."""
    return max(player.updates for player in players)


def train_step(state: TrainState, players: Sequence[Player], batches: Sequence[Batch]) -> dict[str, Tensor]:
    """Lets every player move once, then averages G.

    batches: `batches_per_step(players)` of them; a player's i-th update takes the i-th.
    Returns the losses ("loss/D", …) and the statistics of each player's last update, detached scalars.
    Raises NonFiniteLoss before the update that such a loss would have made.
    """
    state.reseed()
    stats: dict[str, Tensor] = {}
    for player in players:
        optimizer = state.optimizers[player.name]
        for name, network in state.networks.items():
            network.requires_grad_(name in player.networks)
        for batch in batches[: player.updates]:
            optimizer.zero_grad(set_to_none=True)
            loss, player_stats = player.loss(state.networks, batch)
            stats |= {f"loss/{player.name}": loss.detach(), **player_stats}
            for term in player.regularizers:
                if state.step % term.every == 0:
                    penalty = term.loss(state.networks, batch)
                    stats[f"{term.name}/{player.name}"] = penalty.detach()
                    loss = loss + term.every * penalty
            _check_finite(loss, player, state)
            loss.backward()
            optimizer.step()
    state.update_ema()
    state.step += 1
    state.nimg += sum(len(batch.real) for batch in batches)
    return {name: value.detach() for name, value in stats.items()}


def _check_finite(loss: Tensor, player: Player, state: TrainState) -> None:
    if not math.isfinite(value := float(loss.detach())):
        raise NonFiniteLoss(
            f"The loss of {player.name} became {value} after {state.nimg:,} images, so training stopped: "
            f"the checkpoints written before are intact; a lower --lr or another --seed may help."
        )


def parameters_are_finite(state: TrainState) -> bool:
    """Whether every weight is finite; a broken update shows here before it shows in a loss."""
    return all(
        bool(torch.isfinite(p).all()) for network in state.networks.values() for p in network.parameters()
    )
