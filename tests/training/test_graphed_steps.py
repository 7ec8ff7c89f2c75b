"""Updates replayed from graphs equal eager ones bit for bit, on a stand-in for CUDA graphs."""

from __future__ import annotations

import importlib
import logging
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fastgan.recipes import RECIPES, Batch, ImageSpec, optimizers
from fastgan.training import graphs, skips, step
from fastgan.training.config import ConfigError
from fastgan.training.distributed import World
from fastgan.training.graphs import Graphed, Recorder
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep
from tests.recipes.small_recipes import examples, small, small_data

WAITS = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default}


class Tape(TorchDispatchMode):
    """Record of operators with the tensors that they read and wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in WAITS:
            raise RuntimeError("operation not permitted when stream is capturing")
        results = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, results))
        return results

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, results in self.calls:
            read = {storage(t) for t in tensors_of((args, kwargs))}
            for old, new in zip(tensors_of(results), tensors_of(func(*args, **kwargs))):
                if storage(old) not in read:
                    old.copy_(new)


def tensors_of(value):
    return [t for t in tree_leaves(value) if isinstance(t, Tensor)]


def storage(t):
    return t.untyped_storage().data_ptr()


class TapeRecorder(Recorder):
    """Maker of tapes on the CPU. As with CUDA's graphs, a recording changes no values.

    Attributes:
        changing: function that returns the tensors that functions may change.
        replays: replays so far.
    """

    def __init__(self, changing) -> None:
        super().__init__()
        self.changing, self.replays = changing, 0

    def record(self, function):
        tensors = self.changing()
        copies, random = [t.detach().clone() for t in tensors], torch.random.get_rng_state()
        tape = Tape()
        try:
            with tape:
                results = function()
        finally:
            with torch.no_grad():
                for t, copy in zip(tensors, copies):
                    t.copy_(copy)
            torch.random.set_rng_state(random)

        def replay():
            self.replays += 1
            tape.replay()

        return replay, results


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch):
    """Let a CPU's updates be those of a GPU."""
    rmsprop = importlib.import_module("torch.optim.rmsprop")
    monkeypatch.setattr(rmsprop, "_get_capturable_supported_devices", lambda **_: ["cpu"])
    monkeypatch.setattr(optimizers, "on_gpu", lambda _: True)
    monkeypatch.setattr(step, "make_skips", skips.DeviceSkips)
    monkeypatch.setattr(graphs, "WARM_UP", 1)


def changing(state, trainer):
    networks = state.networks.values()
    return [
        *(t for network in networks for t in (*network.parameters(), *network.buffers())),
        *(t for o in state.optimizers.values() for s in o.state.values() for t in s.values()),
        trainer.skips.counts,
    ]


def train(name, *, captured, steps=4, **settings):
    """Return the state after some steps, their statistics, and the recorder."""
    recipe = small(name, batch=4, **settings)
    dataset = small_data(recipe)
    state = TrainState.create(recipe, ImageSpec.of(dataset))
    for optimizer in state.optimizers.values():
        for group in optimizer.param_groups:
            # A graph reads the rate in float32.
            group["lr"] = float(torch.tensor(group["lr"]))
    recorder = TapeRecorder(lambda: changing(state, trainer)) if captured else None
    trainer = TrainStep(state, recorder=recorder)
    stats = []
    for number in range(steps):
        first = number * trainer.batches
        batches = [examples(dataset, 4, 4 * (first + i) % 64) for i in range(trainer.batches)]
        stats.append(trainer(batches))
    trainer.settle()
    # NaN marks statistics of updates that were skipped, and equals nothing.
    stats = [{key: value.nan_to_num(nan=-1e30) for key, value in row.items()} for row in stats]
    return state, stats, recorder


FAST = ("gan", "stylegan2-ada", "pix2pix")
VARIANTS = {name: (name, {}) for name in RECIPES} | {
    "in pieces": ("pix2pix", {"accumulate": 2, "norm": "instance"}),
    "fp16": ("dcgan", {"precision": "fp16", "penalty": "r1", "penalty_every": 2}),
    "stabilised": (
        "dcgan",
        {"flip_labels": 0.2, "replay": 8, "historical_averaging": 0.1, "unroll": 1, "ema": 0.9},
    ),
}


@pytest.mark.parametrize(
    "variant",
    [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in VARIANTS],
)
def test_replayed_updates_equal_eager_ones(variant, assert_same, caplog):
    """All recipes can be captured."""
    name, settings = VARIANTS[variant]
    state, stats, _ = train(name, captured=False, **settings)
    ours, replayed, recorder = train(name, captured=True, **settings)
    # Growth has new networks every few steps, and srgan's players have few steps each.
    assert recorder.replays >= 8 and not caplog.records
    assert_same(replayed, stats)
    assert_same({**ours.state_dict(), "seconds": 0}, {**state.state_dict(), "seconds": 0})


def test_each_resolution_has_a_graph(assert_same):
    settings = {"stable_kimg": 0.008, "fade_kimg": 0.008}
    state, stats, _ = train("progan", captured=False, steps=12, **settings)
    ours, replayed, recorder = train("progan", captured=True, steps=12, **settings)
    # Three resolutions, of whose steps the first warms up, and two players.
    assert recorder.replays == 2 * 2 * (12 - 3)
    assert_same(replayed, stats)
    assert_same(ours.state_dict()["networks"], state.state_dict()["networks"])


def recorder_of(*tensors: Tensor) -> TapeRecorder:
    return TapeRecorder(lambda: list(tensors))


def test_a_graph_keeps_what_python_computed_until_the_key_changes():
    factor, total = [2.0], torch.zeros(2)

    def scaled(batch, missing):
        total.add_(batch.real)
        return {"y": factor[0] * batch.real}, missing

    call = Graphed(scaled, recorder_of(total), "Products", key=lambda: factor[0] > 5)
    results = []
    for value in (1.0, 2.0, 3.0):
        batch = Batch(torch.full((2,), value), torch.zeros(2))
        (result, missing) = call(batch, None)
        results.append(result["y"])
        assert missing is None
    # The result of the second call was overwritten by the third.
    assert [r.tolist() for r in results] == [[2, 2], [6, 6], [6, 6]]
    assert total.tolist() == [6, 6]
    factor[0] = 3.0
    assert call(replace(batch, real=torch.ones(2)), None)[0]["y"].tolist() == [2, 2]
    factor[0] = 10.0
    assert call(batch, None)[0]["y"].tolist() == [30, 30]
    # Another structure is another graph, which is warmed up first.
    assert call(replace(batch, real=torch.ones(3)[:2]), total)[1] is total


def test_what_reads_a_value_says_so_and_runs_eagerly(caplog):
    def read(x):
        return x * x.sum().item()

    recorder = recorder_of()
    call = Graphed(read, recorder, "Gradients of D")
    with caplog.at_level(logging.WARNING, "fastgan"):
        assert [call(torch.ones(2)).tolist() for _ in range(4)] == [[2, 2]] * 4
    assert recorder.replays == 0
    (record,) = caplog.records
    assert record.getMessage() == (
        "Gradients of D can't be captured in a graph (operation not permitted when stream is "
        "capturing): they run eagerly."
    )


def test_few_graphs_and_counts_are_kept(monkeypatch):
    monkeypatch.setattr(graphs, "MAX_GRAPHS", 2)
    monkeypatch.setattr(graphs, "MAX_KEYS", 3)
    recorder = recorder_of()
    call = Graphed(lambda x: x + 1, recorder, "Sums")
    for size in (1, 2, 3):
        for _ in range(2):
            call(torch.zeros(size))
    assert recorder.replays == 3 and len(call._graphs) == 2
    for size in range(10, 20):
        assert call(torch.zeros(size)).sum() == size
    assert recorder.replays == 3 and len(call._calls) <= 3


def test_a_graph_reads_the_rate_of_each_step():
    weight = nn.Parameter(torch.zeros(2))
    adam = optimizers.adam(0.5, (0.0, 0.9))([weight], 1.0)
    rates, key = graphs.Rates(adam), None

    def step_with(gradient):
        weight.grad = gradient
        adam.step()

    recorder = TapeRecorder(lambda: [weight, *tensors_of(list(adam.state.values()))])
    how = {"key": rates.key, "before": rates.write, "within": rates.read_by_graph}
    call = Graphed(step_with, recorder, "Steps", **how)
    moved = []
    for rate in (0.5, 0.5, 0.25, 0.125):
        (group,) = adam.param_groups
        group["lr"] = rate
        before = weight.detach().clone()
        call(torch.ones(2))
        moved.append((before - weight.detach())[0].item())
        assert group["lr"] == rate and key in (None, rates.key())
        key = rates.key()
    assert moved == pytest.approx([0.5, 0.5, 0.25, 0.125], rel=1e-4)
    group["betas"] = (0.0, 0.5)
    assert rates.key() != key


def test_the_choice_of_graphs_and_its_reasons(monkeypatch):
    state = TrainState.create(small("gan"), ImageSpec(1, 8))
    normalised = TrainState.create(small("sngan"), ImageSpec(1, 16))
    gpu = World(torch.device("cuda"))
    monkeypatch.setattr(graphs, "CudaRecorder", lambda: "recorder")
    monkeypatch.setattr(graphs, "choose_backend", lambda op, device, backend: "triton")

    def choose(choice="auto", state=state, world=gpu, compiled=False):
        return graphs.choose_recorder(choice, state, world, compiled=compiled)

    assert choose() == choose("on") == ("recorder", "")
    assert choose("off") == choose(world=World(torch.device("cpu"))) == (None, "")
    reasons = {
        "`compile` step has graphs of its own": choose(compiled=True),
        "processes talk to each other": choose(world=World(torch.device("cuda"), 0, 2)),
        "spectral norm on the backend triton": choose(state=normalised),
    }
    for reason, (recorder, sentence) in reasons.items():
        assert recorder is None
        assert sentence.startswith(f"Updates aren't captured in CUDA graphs: {reason}")
    monkeypatch.setattr(graphs, "choose_backend", lambda op, device, backend: "cuda")
    assert choose(state=normalised) == ("recorder", "")
    graphs.check_graphs("auto", torch.device("cpu"))
    with pytest.raises(ConfigError, match="graphs on needs a CUDA device, got cpu"):
        graphs.check_graphs("on", torch.device("cpu"))
