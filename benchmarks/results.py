"""Results of one run of the benchmarks as data, the source of tables, JSON, charts and docs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.timing import Timing, product_flops

COPY, PRODUCT = "copy", "product"  # sides that measure floors
OURS = ("cpu", "cuda", "triton")
TITLES = {
    "forward_backward": "forward + backward",
    "double_backward": "double backward",
    "cpu": "fastgan cpu",
    "cuda": "fastgan cuda",
    "triton": "fastgan triton",
    "compile": "torch.compile",
    "winograd": "fastgan cpu, Winograd",
}


def title(name: str) -> str:
    """Return the readable name of a measure or a side."""
    return TITLES.get(name, name)


@dataclass(frozen=True)
class Comparison:
    """One measure of one case, timed on every side in the same rounds.

    Args:
        shape: shape of the first tensor; ``tensor_bytes`` is its size.
        floor: seconds of the measure at the speed of ``copy_``, or at the rate of a matrix product.
        timings: by side, including ``copy`` or ``product``.
        unavailable: reasons by side that didn't run.
        flops: operations of the direct form if the floor is theirs; else None.
        errors: by side that computes the op, its largest error relative to the largest value of the
            float64 result.
        notes: for a whole step, its floor and other remarks, one sentence each.
    """

    op: str
    case: str
    measure: str
    shape: list[int]
    dtype: str
    tensor_bytes: int
    floor: float
    timings: dict[str, Timing]
    unavailable: dict[str, str] = field(default_factory=dict)
    flops: float | None = None
    errors: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    device_type: str = "cpu"

    @property
    def label(self) -> str:
        return label_of(self.case, self.shape)

    @property
    def copy_speed(self) -> float:
        """Return the bytes per second that ``copy_`` read and wrote."""
        return 2 * self.tensor_bytes / self.timings[COPY].median

    @property
    def product_rate(self) -> float:
        """Return the operations per second of the matrix product."""
        return product_flops(self.device_type) / self.timings[PRODUCT].median

    def rate(self, side: str) -> float:
        """Return the direct form's operations per second, for any algorithm of the side."""
        if self.flops is None:
            raise ValueError(f"{self.case} is not measured by its operations")
        return self.flops / self.timings[side].median

    def floors(self, side: str) -> float:
        """Return the side's time as a multiple of the floor."""
        return self.timings[side].median / self.floor

    @property
    def moved_bytes(self) -> float:
        """Return the least bytes that the measure reads and writes."""
        return self.floor * self.copy_speed

    def ratio(self, slower: str, faster: str) -> float | None:
        """Return the ratio of two sides' times, or None if one of them didn't run."""
        if slower not in self.timings or faster not in self.timings:
            return None
        return self.timings[slower].median / self.timings[faster].median

    @property
    def spread(self) -> float:
        """Return the widest spread of any side."""
        return max(timing.spread for timing in self.timings.values())


@dataclass(frozen=True)
class Memory:
    """Peak extra bytes of forward + backward by side, next to those of input, output and gradient.

    Args:
        activation: bytes of the larger of first tensor and output.
        results: bytes of output and gradients.
        scratch: by side, peak extra bytes of the forward pass beyond its output, for some ops.
    """

    op: str
    case: str
    shape: list[int]
    dtype: str
    yardstick: int
    peaks: dict[str, int]
    activation: int = 0
    results: int = 0
    scratch: dict[str, int] = field(default_factory=dict)

    def beyond(self, side: str) -> float:
        """Return the side's memory beyond its results, in activations."""
        return (self.peaks[side] - self.results) / self.activation

    @property
    def label(self) -> str:
        return label_of(self.case, self.shape)


@dataclass(frozen=True)
class Ratio:
    """Least seconds of two calls on tiny tensors, and the largest ratio to aim for."""

    name: str
    ours: float
    other: float
    at_most: float

    @property
    def value(self) -> float:
        return self.ours / self.other


@dataclass
class RunResults:
    """Results of a run; ``environment`` is its header, ``sides`` are its columns, ours first."""

    environment: dict[str, str]
    sides: list[str]
    comparisons: list[Comparison] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    scaling: list[Comparison] = field(default_factory=list)  # forward; `case` is "panel/series"
    # Forward of an algorithm that is chosen by size.
    crossover: list[Comparison] = field(default_factory=list)
    # Time of Python and of the dispatcher.
    host: list[Ratio] = field(default_factory=list)

    def name_sides(self, sides: Iterable[str]) -> None:
        """Append these columns to the existing ones."""
        self.sides += [side for side in sides if side not in self.sides]

    def by_op(self) -> Iterator[tuple[str, list[Comparison], list[Memory]]]:
        everything: list[Comparison | Memory] = [
            *self.comparisons,
            *self.memory,
            *self.scaling,
            *self.crossover,
        ]
        names = dict.fromkeys(found.op for found in everything)
        for op in names:
            yield (
                op,
                [c for c in self.comparisons if c.op == op],
                [m for m in self.memory if m.op == op],
            )

    def scaling_of(self, op: str) -> list[Comparison]:
        return [c for c in self.scaling if c.op == op]

    def crossover_of(self, op: str) -> list[Comparison]:
        return [c for c in self.crossover if c.op == op]

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> RunResults:
        data = json.loads(path.read_text())
        comparisons, scaling, crossover = (
            [Comparison(**{**c, "timings": _timings(c["timings"])}) for c in data.get(name, [])]
            for name in ("comparisons", "scaling", "crossover")
        )
        memory = [Memory(**m) for m in data["memory"]]
        host = [Ratio(**ratio) for ratio in data.get("host", [])]
        return cls(
            data["environment"], data["sides"], comparisons, memory, scaling, crossover, host
        )


def label_of(case: str, shape: list[int]) -> str:
    return f"{case} {'×'.join(map(str, shape))}"


def _timings(data: dict[str, Any]) -> dict[str, Timing]:
    return {side: Timing(**timing) for side, timing in data.items()}
