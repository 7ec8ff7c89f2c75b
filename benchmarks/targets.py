"""Bounds of ops and steps on two AVX2 cores, and of some on newer CPUs, beside recorded figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.document import Rows
from benchmarks.records import Block, Record

TUNED = "glibc, tuned"
FLOOR, OURS = "floor, ms", "fastgan cpu, ms"
EAGER, COMPILED = "eager, ms", "torch.compile, ms"
CHANNELS_LAST, PARAMETRIZED = "F.conv2d, ms", "parametrizations, ms"
SEPARATE = "separate ops, ms"
FLOAT32, BFLOAT16 = "float32, ms", "bfloat16, ms"
SIDES = {
    EAGER: "eager's speed",
    COMPILED: "torch.compile's speed",
    CHANNELS_LAST: "channels_last F.conv2d's speed",
    PARAMETRIZED: "the speed of torch's parametrizations",
    SEPARATE: "our separate ops' speed",
    FLOAT32: "its speed in float32",
}


@dataclass(frozen=True)
class Target:
    """A bound on the time of some measures of one case.

    Args:
        op: op or step.
        case: name of the case.
        measures: names of the measures, whose times are added up.
        side: column that is compared with ours; :data:`FLOOR` for multiples of the floor.
        bound: the most floors, or the least gain over ``side``.
        ours: column of our time.
    """

    op: str
    case: str
    measures: tuple[str, ...]
    side: str
    bound: float
    ours: str = OURS

    def measured(self, block: Block) -> float:
        """Return our time over the floor's, or the other side's over ours."""
        found = [block.row(self.case, measure) for measure in self.measures]

        def total(column: str) -> float:
            return sum(float(row[block.columns.index(column)]) for row in found)

        ours, other = total(self.ours), total(self.side)
        return ours / other if self.side == FLOOR else other / ours

    def holds(self, measured: float) -> bool:
        return measured <= self.bound if self.side == FLOOR else measured >= self.bound

    def row(self, block: Block) -> list[str]:
        work = f"{self.op} {self.case}, {' and '.join(self.measures)}"
        if self.side == FLOOR:
            asked, form = f"at most {self.bound:g} floors", "{:.2f}"
        else:
            asked, form = f"{self.bound:g} times {SIDES[self.side]}", "{:.2f}×"
        if self.side != FLOOR and block.disturbed(block.row(self.case, self.measures[0])):
            return [work, asked, "disturbed", "–"]
        measured = self.measured(block)
        return [work, asked, form.format(measured), "yes" if self.holds(measured) else "**no**"]


FORWARD, BOTH, SECOND = "forward", "forward + backward", "double backward"
TARGETS = (
    Target("upfirdn2d", "up2-4", (FORWARD,), FLOOR, 2.5),
    Target("upfirdn2d", "up2-4", (BOTH,), EAGER, 4),
    Target("upfirdn2d", "filter-4", (FORWARD,), FLOOR, 2),
    Target("upfirdn2d", "filter-4", (BOTH,), EAGER, 3),
    Target("upfirdn2d", "down2-4", (FORWARD,), FLOOR, 2),
    Target("upfirdn2d", "down2-4", (BOTH,), EAGER, 4),
    *(
        Target("conv2d", case, (measure,), CHANNELS_LAST, bound)
        for case in ("3x3-256", "3x3-128", "3x3-512")
        for measure, bound in ((FORWARD, 2.2), (BOTH, 1.8))
    ),
    Target("modulated_conv2d", "3x3", (FORWARD,), CHANNELS_LAST, 1.8),
    Target("modulated_conv2d", "3x3-up2", (FORWARD,), CHANNELS_LAST, 0.83),
    *(
        Target("filtered_lrelu", case, (measure,), side, bound)
        for case in ("up2-down2", "up4-down2")
        for measure in (FORWARD, BOTH)
        for side, bound in ((SEPARATE, 2), (EAGER, 5))
    ),
    *(
        Target("adaptive_norm", f"{case}-64{layout}", (BOTH,), EAGER, 2)
        for case in ("instance", "residual", "spade")
        for layout in ("", "-channels_last")
    ),
    Target("grad_norm_penalty", "penalty-128", (BOTH, SECOND), EAGER, 3),
    Target("grad_norm_penalty", "penalty-128", (BOTH, SECOND), FLOOR, 2),
    Target("spectral_norm", "discriminator", (BOTH,), PARAMETRIZED, 2),
    *(
        target
        for step in ("G forward", "D step", "R1 step", "G step", "path length step")
        for target in (
            Target("stylegan2", "64×64", (step,), FLOOR, 0.95),
            Target("stylegan2", "64×64", (step,), COMPILED, 1),
        )
    ),
    Target("foreign_step", "64×64", ("G step",), EAGER, 1.5),
    Target("cyclegan", "128×128", ("step",), FLOOR, 0.9),
    Target("r1_step", "stylegan2", ("step",), FLOOR, 1),
    *(
        Target("precisions", recipe, ("step",), FLOAT32, 3, BFLOAT16)
        for recipe in ("dcgan", "r3gan", "stylegan2")
    ),
)


def table_of_targets(records: Mapping[str, Record]) -> tuple[list[str], Rows]:
    """Return a row per target: the work, what was asked, what was measured, whether it holds.

    Raises:
        LookupError: no record has the case of a target.
    """
    tuned = [record for record in records.values() if record.environment.get("allocator") == TUNED]
    blocks = [block for record in tuned for block in record.blocks if block.kind == "times"]
    rows = [target.row(_block_of(target, blocks)) for target in TARGETS]
    return ["work", "asked", "measured", "holds"], rows


def _block_of(target: Target, blocks: list[Block]) -> Block:
    for block in blocks:
        if block.op == target.op:
            try:
                block.row(target.case, target.measures[0])
            except LookupError:
                continue
            return block
    raise LookupError(f"no record has {target.op} {target.case!r}, {target.measures[0]!r}")
