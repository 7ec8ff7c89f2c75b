"""What one run of the benchmarks found, as data; tables, JSON, charts and documentation come from here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.timing import Timing

COPY = "copy"  # the side that the floor is measured with
TITLES = {
    "forward_backward": "forward + backward",
    "double_backward": "double backward",
    "cpu": "fastgan cpu",
    "cuda": "fastgan cuda",
    "triton": "fastgan triton",
    "compile": "torch.compile",
}


def title(name: str) -> str:
    """How a measure or a side is called where a person reads it."""
    return TITLES.get(name, name)


@dataclass(frozen=True)
class Comparison:
    """One measure of one case, timed on every side in the same rounds.

    Args:
        shape: of the first tensor; ``tensor_bytes`` its size.
        floor: seconds that the measure takes at the speed of ``copy_``.
        timings: by side, ``copy`` among them.
        unavailable: by side that could not run: why.
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

    @property
    def label(self) -> str:
        return label_of(self.case, self.shape)

    @property
    def copy_speed(self) -> float:
        """Bytes that ``copy_`` read and wrote per second."""
        return 2 * self.tensor_bytes / self.timings[COPY].median

    def floors(self, side: str) -> float:
        """The side's time as a multiple of the copy floor."""
        return self.timings[side].median / self.floor

    @property
    def moved_bytes(self) -> float:
        """Bytes that the measure reads and writes at the least."""
        return self.floor * self.copy_speed

    def ratio(self, slower: str, faster: str) -> float | None:
        """How many times longer one side takes than another; None where one of them could not run."""
        if slower not in self.timings or faster not in self.timings:
            return None
        return self.timings[slower].median / self.timings[faster].median

    @property
    def spread(self) -> float:
        """The widest spread of any side."""
        return max(timing.spread for timing in self.timings.values())


@dataclass(frozen=True)
class Memory:
    """Peak extra bytes of forward + backward by side, beside those of input, output and gradient."""

    op: str
    case: str
    shape: list[int]
    dtype: str
    yardstick: int
    peaks: dict[str, int]

    @property
    def label(self) -> str:
        return label_of(self.case, self.shape)


@dataclass
class RunResults:
    """``environment`` is what the header shows, by name; ``sides`` the columns in order, ours first."""

    environment: dict[str, str]
    sides: list[str]
    comparisons: list[Comparison] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    scaling: list[Comparison] = field(default_factory=list)  # forward, ours alone; `case` is "panel/series"

    def by_op(self) -> Iterator[tuple[str, list[Comparison], list[Memory]]]:
        names = dict.fromkeys(found.op for found in [*self.comparisons, *self.memory, *self.scaling])
        for op in names:
            yield op, [c for c in self.comparisons if c.op == op], [m for m in self.memory if m.op == op]

    def scaling_of(self, op: str) -> list[Comparison]:
        return [c for c in self.scaling if c.op == op]

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> RunResults:
        data = json.loads(path.read_text())
        comparisons, scaling = (
            [Comparison(**{**c, "timings": _timings(c["timings"])}) for c in data[name]]
            for name in ("comparisons", "scaling")
        )
        memory = [Memory(**m) for m in data["memory"]]
        return cls(data["environment"], data["sides"], comparisons, memory, scaling)


def label_of(case: str, shape: list[int]) -> str:
    return f"{case} {'×'.join(map(str, shape))}"


def _timings(data: dict[str, Any]) -> dict[str, Timing]:
    return {side: Timing(**timing) for side, timing in data.items()}
