"""CUDA graphs of an update: its launches are recorded once and then replayed as a whole.

A replay reads and writes the memory of the recording. So arguments are copied into it, and results
are valid until the next replay. Values that Python computes are those of the recording: a graph is
kept for each structure of the arguments, and for each key of the caller.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import fields
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from fastgan._torch_private import copy_all_
from fastgan.nn.spectral_norm import has_spectral_norm
from fastgan.ops._library import choose_backend
from fastgan.recipes.players import PerImage
from fastgan.training.distributed import World
from fastgan.training.run_settings import ConfigError
from fastgan.training.state import TrainState

log = logging.getLogger("fastgan")

GraphsChoice = Literal["auto", "on", "off"]

WARM_UP = 3
"""Calls that run eagerly before a recording: they choose algorithms and allocate workspaces."""
MAX_GRAPHS = 8
"""Most graphs of one function; the oldest one makes room."""
MAX_KEYS = 64
"""Most kinds of arguments whose calls are counted."""


class Recorder(ABC):
    """Maker of graphs.

    Attributes:
        results: addresses of the results of all graphs, which stay where they are.
    """

    def __init__(self) -> None:
        self.results: set[int] = set()

    @abstractmethod
    def record(self, function: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        """Record a function's launches without running them.

        Returns:
            The replay, and the function's result, which a replay fills with values.

        Raises:
            RuntimeError: the function can't be recorded.
        """


class CudaRecorder(Recorder):
    """Maker of CUDA graphs, which share one pool of memory since they run one after another."""

    def __init__(self) -> None:
        super().__init__()
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, function: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        graph = torch.cuda.CUDAGraph()
        # Threads of the data loader may allocate meanwhile.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            results = function()
        return graph.replay, results


def check_graphs(graphs: GraphsChoice, device: torch.device) -> None:
    """Check that graphs can be had where they were asked for.

    Raises:
        ConfigError: "on" was asked for, and the device isn't CUDA.
    """
    if graphs == "on" and device.type != "cuda":
        raise ConfigError(
            f"`graphs` on needs a CUDA device, got {device}: leave it out, or choose auto."
        )


def choose_recorder(
    graphs: GraphsChoice, state: TrainState, world: World, *, compiled: bool
) -> tuple[Recorder | None, str]:
    """Return the maker of a run's graphs, and a sentence on a GPU where there can be none.

    Args:
        graphs: "off" captures nothing.
        state: state that is trained.
        world: this process, and its device.
        compiled: True if updates are compiled.
    """
    if world.device.type != "cuda" or graphs == "off":
        return None, ""
    if reason := why_not(state, world, compiled=compiled):
        return None, f"Updates aren't captured in CUDA graphs: {reason}."
    return CudaRecorder(), ""


def why_not(state: TrainState, world: World, *, compiled: bool) -> str:
    """Return why no update of a run can be captured; "" if each is tried."""
    if compiled:
        return "`compile` step has graphs of its own"
    if world.size > 1:
        return "processes talk to each other inside of updates"
    normalised = any(has_spectral_norm(network) for network in state.networks.values())
    if normalised and choose_backend("spectral_norm", world.device, None) == "triton":
        return "spectral norm on the backend triton copies a table from the host"
    return ""


class Graphed:
    """A function of tensors, replayed from graphs once it has been warmed up.

    If it can't be recorded, a warning says so, and it runs eagerly from then on.

    Args:
        function: the function. Arguments and results are tensors, None, batches, mappings and
            sequences of these.
        recorder: maker of the graphs.
        name: subject of the warning, in the plural.
        key: everything else that the function depends on.
        before: called before each recording and each replay, outside of the graph.
        within: context of a recording.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        recorder: Recorder,
        name: str,
        *,
        key: Callable[[], Hashable] = lambda: (),
        before: Callable[[], None] = lambda: None,
        within: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self.function, self.recorder, self.name = function, recorder, name
        self._key, self._before, self._within = key, before, within
        self._calls: dict[Hashable, int] = {}
        self._graphs: dict[Hashable, tuple[list[Tensor], Callable[[], None], Any]] = {}
        self._works = True

    def __call__(self, *args: Any) -> Any:
        """Return the function's result, in memory that the next call may overwrite."""
        if not self._works:
            return self.function(*args)
        tensors: list[Tensor] = []
        key = (self._key(), _structure(args, tensors))
        if key not in self._graphs and not self._record(key, args, tensors):
            return self.function(*args)
        inputs, replay, results = self._graphs[key]
        pairs = [(i, t) for i, t in zip(inputs, tensors) if i.data_ptr() != t.data_ptr()]
        with torch.no_grad():
            copy_all_([i for i, _ in pairs], [t for _, t in pairs])
        self._before()
        replay()
        return results

    def _record(self, key: Hashable, args: Any, tensors: Sequence[Tensor]) -> bool:
        """Record a graph for these arguments, once they are warm; return False without one."""
        if key not in self._calls and len(self._calls) >= MAX_KEYS:
            self._calls.clear()
        self._calls[key] = self._calls.get(key, 0) + 1
        if self._calls[key] <= WARM_UP:
            return False
        known = self.recorder.results
        inputs = [t if t.data_ptr() in known else t.detach().clone() for t in tensors]
        places = iter(inputs)
        static = _rebuild(args, places)
        self._before()
        try:
            with self._within():
                replay, results = self.recorder.record(lambda: self.function(*static))
        except RuntimeError as error:
            self._works = False
            reason = str(error).splitlines()[0]
            log.warning(
                "%s can't be captured in a graph (%s): they run eagerly.", self.name, reason
            )
            return False
        made: list[Tensor] = []
        _structure(results, made)
        known.update(t.data_ptr() for t in made)
        if len(self._graphs) == MAX_GRAPHS:
            del self._graphs[next(iter(self._graphs))]
        self._graphs[key] = inputs, replay, results
        return True


class Rates:
    """Learning rates of an optimiser's graph.

    A fused optimiser reads them from the device, in float32. For others they are part of the key,
    as all other settings are: a graph holds their values.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._groups = optimizer.param_groups
        self._fused = all(group.get("fused") for group in self._groups)
        self._device = self._groups[0]["params"][0].device
        self._written: list[float | None] = [None] * len(self._groups)
        self._tensors = [torch.zeros((), device=self._device) for _ in self._groups]

    def key(self) -> Hashable:
        """Return the settings whose values a graph holds."""
        left_out = {"params", "initial_lr", *(["lr"] if self._fused else [])}
        return tuple(
            tuple((name, value) for name, value in group.items() if name not in left_out)
            for group in self._groups
        )

    def write(self) -> None:
        """Write the rates to where the graph reads them."""
        for i, (group, tensor) in enumerate(zip(self._groups, self._tensors)):
            if self._fused and group["lr"] != self._written[i]:
                tensor.fill_(group["lr"])
                self._written[i] = group["lr"]

    @contextmanager
    def read_by_graph(self) -> Iterator[None]:
        """Let the optimiser read the rates from the device inside the block."""
        rates = [group["lr"] for group in self._groups]
        if self._fused:
            for group, tensor in zip(self._groups, self._tensors):
                group["lr"] = tensor
        try:
            yield
        finally:
            for group, rate in zip(self._groups, rates):
                group["lr"] = rate


def _structure(value: Any, tensors: list[Tensor]) -> Hashable:
    """Return what a value is but for the numbers in its tensors, which are appended to a list."""
    if isinstance(value, Tensor):
        tensors.append(value)
        return value.shape, value.stride(), value.dtype, value.device
    if isinstance(value, PerImage):
        parts = {entry.name: getattr(value, entry.name) for entry in fields(value)}
        return type(value), _structure(parts, tensors)
    if isinstance(value, Mapping):
        return tuple((name, _structure(part, tensors)) for name, part in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(_structure(part, tensors) for part in value)
    result: Hashable = value
    return result


def _rebuild(value: Any, tensors: Any) -> Any:
    """Return a value with other tensors, in the order of ``_structure``."""
    if isinstance(value, Tensor):
        return next(tensors)
    if isinstance(value, PerImage):
        return type(value)(
            **{entry.name: _rebuild(getattr(value, entry.name), tensors) for entry in fields(value)}
        )
    if isinstance(value, Mapping):
        return {name: _rebuild(part, tensors) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rebuild(part, tensors) for part in value]
    return value
