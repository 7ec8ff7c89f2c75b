"""One step: losses, gradients and update of each player (Goodfellow et al. 2014, algorithm 1)."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Generator, Tensor

from fastgan._torch_private import add_all_
from fastgan.errors import FastganError
from fastgan.nn import convert_sync_batchnorm
from fastgan.recipes import (
    Batch,
    DrawRequest,
    Loss,
    Networks,
    Player,
    Recipe,
    RecipeError,
    Regularizer,
)
from fastgan.recipes.players import concatenate, each_tensor, parameters_of
from fastgan.training.compiling import compiled
from fastgan.training.distributed import World
from fastgan.training.graphs import Graphed, Rates, Recorder
from fastgan.training.precision import autocast, matmul_precision, with_float32
from fastgan.training.rows import Rows, move_rows
from fastgan.training.skips import Skips, Stats, make_skips, skips_on_device
from fastgan.training.snapshot import Snapshot, changes, restore_where
from fastgan.training.state import TrainState

MAX_SKIPS = 10

Gradients = list[Tensor | None]


class TooManySkips(FastganError):
    """Gradients of a player weren't finite ten times in a row.

    Its weights are those of its last good update.
    """


class TrainStep:
    """Step of a game: each player moves once, then G's average is updated.

    Args:
        state: state that is trained, in place.
        compile: "step" captures forward pass, penalties and gradients of each update in one graph
            (torch.compile, fullgraph). If torch can't, it warns once and runs like "off".
        world: this process among those of the run. Each gets its part of the global batches.
        backend: torch.compile's backend.
        recorder: maker of graphs that are replayed instead of launching each update's operators;
            None launches them. It takes a device that decides about skips.

    Raises:
        RecipeError: no step can be taken with the recipe's settings.
    """

    def __init__(
        self,
        state: TrainState,
        *,
        compile: Literal["off", "step"] = "off",
        world: World | None = None,
        backend: str = "inductor",
        recorder: Recorder | None = None,
    ) -> None:
        self.state = state
        self.world = world or World(
            next(iter(parameters_of(state.networks, tuple(state.networks)))).device
        )
        self.players = state.players
        self.batches = max(player.updates for player in self.players)
        check_settings(state.recipe, self.world)
        if self.world.size > 1 and state.recipe.sync_batch_norm:
            for network in state.networks.values():
                convert_sync_batchnorm(network)
        networks = with_float32(state.networks, state.recipe.full_precision)
        self.snapshot = Snapshot(state.networks.values())
        self.skips = make_skips(state, self.snapshot, self.world.device)

        def update(
            player: Player, loss: Callable[..., Loss] | None, *terms: Regularizer
        ) -> _Update:
            update = _Update(player, loss, terms, networks, state, self.world, self.skips)
            if compile == "step":
                gradients = compiled(update.gradients, backend=backend)
                update.gradients = gradients  # type: ignore[method-assign]
            if recorder is not None:
                update.capture(recorder)
            return update

        self._updates = {
            p.name: update(p, p.loss, *(term for term in p.regularizers if term.every == 1))
            for p in self.players
        }
        self._lazy = {
            p.name: [
                (term.every, update(p, None, term)) for term in p.regularizers if term.every > 1
            ]
            for p in self.players
        }

    def __call__(self, batches: Sequence[Batch]) -> Stats:
        """Take the step.

        An update whose gradients aren't finite is skipped. Weights, optimiser and buffers then stay
        as they were.

        Args:
            batches: ``self.batches`` batches, this rank's part of each. A player's i-th update
                takes the i-th.

        Returns:
            Detached scalars of each player's last update: its loss ("loss/D"), regularisers
            ("r1/D"), gradient norm ("gradient/D") and statistics of the loss. Those of a skipped
            update are left out on a CPU, and NaN on a GPU, where nothing waits for the decision.

        Raises:
            TooManySkips: a player skipped ten updates in a row. On a GPU it is raised a step later.
        """
        state = self.state
        recipe = state.recipe
        batches = [recipe.batch_type.of(batch) for batch in batches]
        batches = list(recipe.before_step(state.networks, state.ema, state.nimg, batches))
        recipe.anneal(self.players, state.optimizers, state.nimg)
        turns = list(self._turns(batches))
        rows = self._draw(turns, batches, state.reseed(self.world.rank))
        stats: Stats = {}
        with (
            matmul_precision(recipe.precision),
            self.world.conversation(among_other_work=True),
        ):
            for (update, i), drawn in zip(turns, rows):
                for name, network in state.networks.items():
                    network.requires_grad_(name in update.player.networks)
                update_stats, outputs = update(replace(batches[i], **drawn))
                stats |= update_stats
                batches[i] = replace(batches[i], **outputs)
        images = sum(len(batch.real) for batch in batches) * self.world.size
        state.nimg += images
        state.update_ema(images)
        state.step += 1
        self.skips.read()
        for name, count in state.skipped_in_a_row.items():
            if count >= MAX_SKIPS:
                raise TooManySkips(
                    f"The gradients of {name} were infinite or NaN {count} times in a row, the "
                    f"last time after {state.nimg:,} images, so training stopped with the weights "
                    f"from before: a lower `lr`, `precision` fp32 or another `seed` may help."
                )
        return stats

    def settle(self) -> None:
        """Wait for the device, so that the state counts the skipped updates of all steps."""
        self.skips.settle()

    def _turns(self, batches: Sequence[Batch]) -> Iterator[tuple[_Update, int]]:
        """Yield the updates of the step in order, each with the number of its batch."""
        for player in self.players:
            if not player.is_active(self.state.nimg):
                continue
            for i in range(player.updates):
                yield self._updates[player.name], i
            for every, update in self._lazy[player.name]:
                if self.state.step % every == 0:
                    yield update, player.updates - 1

    def _draw(
        self, turns: Sequence[tuple[_Update, int]], batches: Sequence[Batch], generator: Generator
    ) -> list[Rows]:
        """Draw the random rows of each update, in order, and move this rank's to its device."""
        rank, rows = self.world.rank, []
        for update, i in turns:
            real = batches[i].real
            request = DrawRequest(
                len(real) * self.world.size,
                self.state.nimg,
                generator,
                self.state.networks,
                tuple(real.shape[1:]),
            )
            # This rank's rows.
            mine = operator.itemgetter(slice(rank * len(real), (rank + 1) * len(real)))
            rows.append(each_tensor(update.draw(request), mine))
        return move_rows(rows, self.world.device)


def check_settings(recipe: Recipe, world: World) -> None:
    """Check that a step can be taken with a recipe's settings, before anything is made.

    Raises:
        RecipeError: it can't.
    """
    recipe.check_batch(world.size)
    names = {name for player in recipe.players() for name in player.networks}
    if missing := sorted(set(recipe.full_precision) - names):
        raise RecipeError.of(
            "full_precision",
            f"names of networks of the recipe ({', '.join(sorted(names))})",
            ", ".join(missing),
        )


class _Update:
    """One update of a player, from its loss, regularisers or both; called once per batch."""

    def __init__(
        self,
        player: Player,
        loss: Callable[[Networks, Batch], Loss] | None,
        terms: tuple[Regularizer, ...],
        networks: Networks,
        state: TrainState,
        world: World,
        skips: Skips,
    ) -> None:
        self.player, self.loss, self.terms = player, loss, terms
        self.networks, self.state, self.world = networks, state, world
        self.skips = skips
        self.parameters = parameters_of(state.networks, player.networks)
        self.one = torch.ones((), device=world.device)
        self.captured = False

    def draw(self, request: DrawRequest) -> Rows:
        """Draw the random rows of the loss and the regularisers."""
        rows = self.player.draw(request)
        for term in self.terms:
            rows |= term.draw(request)
        return rows

    def __call__(self, batch: Batch) -> tuple[Stats, Rows]:
        """Take the update, with a batch that has its random rows.

        Returns:
            Its statistics, as ``Skips.select`` returns them, and tensors for later players.
        """
        optimizer, scaler = (
            self.state.optimizers[self.player.name],
            self.state.scalers.get(self.player.name),
        )
        self.skips.snapshot.take()
        scale = scaler.scale(self.one) if scaler else None
        gradients, stats, outputs = self._of_micro_batches(
            batch, self.one if scale is None else scale
        )
        if self.world.size > 1:
            self._average([gradient for gradient in gradients if gradient is not None])
        if scaler:
            self._assign(gradients)
            scaler.unscale_(optimizer)
        norm, kept = self.finish(gradients, scale)
        if scaler:
            scaler.update()
        optimizer.zero_grad(set_to_none=True)
        stats[f"gradient/{self.player.name}"] = norm
        return self.skips.select(stats, kept), outputs

    def finish(self, gradients: Gradients, scale: Tensor | None) -> tuple[Tensor, Tensor | bool]:
        """Step the optimiser and act after it, or skip the update.

        Returns:
            The gradients' norm, and whether the update was kept.
        """
        self._assign(gradients)
        norm = torch.nn.utils.get_total_norm([g for g in gradients if g is not None])
        return norm, self.skips.update(self.player.name, norm, self._act, scale)

    def capture(self, recorder: Recorder) -> None:
        """Replay ``gradients`` and ``finish`` from graphs, as far as they can be recorded."""
        name, optimizer = self.player.name, self.state.optimizers[self.player.name]
        snapshot = self.skips.snapshot
        gradients = Graphed(
            self.gradients, recorder, f"Gradients of {name}", key=lambda: snapshot.generation
        )
        self.captured = True
        self.gradients = gradients  # type: ignore[assignment,method-assign]
        if skips_on_device(optimizer):
            rates = Rates(optimizer)
            self.finish = Graphed(  # type: ignore[assignment,method-assign]
                self.finish,
                recorder,
                f"Steps of the optimiser of {name}",
                key=lambda: (snapshot.generation, rates.key()),
                before=rates.write,
                within=rates.read_by_graph,
            )

    def _assign(self, gradients: Gradients) -> None:
        for parameter, gradient in zip(self.parameters, gradients):
            parameter.grad = gradient

    def _act(self) -> None:
        for action in self.player.after_update:
            action(self.state.networks)

    def gradients(self, batch: Batch, scale: Tensor) -> tuple[Gradients, Stats, Rows]:
        """Return gradients of the weighted sum times ``scale``, statistics and ``Loss.outputs``.

        They are detached. This is a pure function, compiled as one graph.
        """
        parts: list[Tensor] = []
        stats, outputs = {}, {}
        precision, device, name = self.state.recipe.precision, self.world.device, self.player.name
        if self.loss is not None or any(term.needs_fakes for term in self.terms):
            with autocast(precision, device):
                batch = self.player.make_fakes(self.networks, batch)
        if self.loss is not None:
            with autocast(precision, device):
                loss = self.loss(self.networks, batch)
            parts.append(loss.total.float())
            stats = {f"loss/{name}": loss.total, **loss.stats}
            if loss.outputs is not None:
                outputs = each_tensor(loss.outputs, torch.Tensor.detach)
        for term in self.terms:
            with autocast("fp32" if term.float32 else precision, device):
                penalty = term.loss(self.networks, batch).float()
            parts.append(term.every * penalty if term.every > 1 else penalty)
            stats[f"{term.name}/{name}"] = penalty
        total = functools.reduce(torch.add, parts)
        gradients: Gradients = [
            gradient if gradient is None else laid_out_like(parameter, gradient)
            for parameter, gradient in zip(
                self.parameters,
                torch.autograd.grad(total, self.parameters, scale, allow_unused=True),
            )
        ]
        return gradients, {name: value.detach() for name, value in stats.items()}, outputs

    def _of_micro_batches(self, batch: Batch, scale: Tensor) -> tuple[Gradients, Stats, Rows]:
        """Compute ``gradients`` of the whole batch in the recipe's number of pieces."""
        pieces = self.state.recipe.accumulate
        gradients: Gradients = []
        stats: Stats = {}
        parts: list[Rows] = []
        if pieces > 1:
            scale = scale / pieces
        for piece in self._pieces(batch, pieces):
            more, piece_stats, outputs = self.gradients(piece, scale)
            if self.captured:
                # The next replay overwrites them.
                outputs = each_tensor(outputs, torch.Tensor.clone)
                more = more if pieces == 1 else [None if g is None else g.clone() for g in more]
            parts.append(outputs)
            if gradients:
                add_all_(
                    [g for g in gradients if g is not None], [g for g in more if g is not None]
                )
            else:
                gradients = list(more)
            shares = (
                piece_stats
                if pieces == 1
                else {name: value / pieces for name, value in piece_stats.items()}
            )
            stats = {
                name: share + stats[name] if stats else share for name, share in shares.items()
            }
        return (
            gradients,
            stats,
            concatenate(parts),
        )

    def _pieces(self, batch: Batch, pieces: int) -> Iterator[Batch]:
        """Yield equal parts of the batch."""
        count = len(batch.real)
        size = count // pieces
        for start in range(0, count, size):
            yield batch.rows(slice(start, start + size))

    def _average(self, gradients: Sequence[Tensor]) -> None:
        """Average over the ranks the gradients, and the buffers that this update changed.

        Those are running statistics, such as of batch norm. Ranks agree on which ones changed by
        the mean of their flags.
        """
        own = self.skips.snapshot.own()
        means = [buffer.clone() for buffer, _ in own]
        changed = [changes(own)] if own else []
        self.world.average_([*gradients, *changed, *means])
        for (buffer, _), mean, flag in zip(own, means, changed[0] if own else ()):
            restore_where(flag > 0, [buffer], [mean])


def laid_out_like(parameter: Tensor, gradient: Tensor) -> Tensor:
    """Return a gradient with the strides of its parameter.

    Convolutions return gradients of channels_last images as channels_last. Optimisers then take
    one launch per parameter, and fused ones would mix up elements.
    """
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


def parameters_are_finite(state: TrainState) -> bool:
    """Return True if every weight is finite.

    A broken update shows here before it shows in a loss.
    """
    return all(
        bool(torch.isfinite(p).all())
        for network in state.networks.values()
        for p in network.parameters()
    )
