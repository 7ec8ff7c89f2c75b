"""Experiments that compare bfloat16 with float32, their records and their page.

``--precision auto`` takes bfloat16 on a CPU only for recipes that learn as well with it, over all
seeds. The runs are longer than those of the other experiments.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean, stdev

from fastgan.metrics.digits import load_digit_classifier
from tests.learning import catalogue
from tests.learning.experiment import Experiment, Figures, Trial
from tests.learning.records import Records, seeds

PRECISIONS = ("fp32", "bf16")
FOLDER = Path(__file__).parent
RECORDS, PAGE = FOLDER / "precision.json", FOLDER / "PRECISION.md"
DRAWN = "digits drawn"

HEAD = """\
# bfloat16 against float32

Written by `python -m tests.learning --precisions fp32 bf16`; don't edit. `--precision auto` takes
bfloat16 on a CPU with AMX for the recipes that learn equally well. That is: all five seeds pass the
bounds, and the mean of each figure is worse by less than the spread of the seeds, one standard
deviation, and no figure is worse with every seed. FD is a Fréchet distance in the features of a
digit classifier. Digits drawn are the classes that have at least 2% of 500 samples.
"""
END = """\
With bf16 the networks run under autocast. Weights, optimisers and penalties are in float32, and so
are StyleGAN2's and R3GAN's lowest resolution, mapping and logits.
"""


def with_digits(measure: Callable[[Trial], Figures], trial: Trial) -> Figures:
    """Return the usual figures, and count the digits among 500 samples."""
    measured = measure(trial)
    chosen = load_digit_classifier().logits(trial.samples(500).clamp(-1, 1)).argmax(1)
    return measured | {DRAWN: float((chosen.bincount(minlength=10) >= 10).sum())}


def longer(recipe: str, factor: int) -> Experiment:
    """Return the experiment of a recipe with that many times as many images."""
    usual = catalogue.EXPERIMENTS[recipe]
    settings = re.sub(
        r"--images (\d+)", lambda found: f"--images {factor * int(found[1])}", usual.settings
    )
    return replace(usual, settings=settings, measure=partial(with_digits, usual.measure))


EXPERIMENTS = {
    "dcgan": longer("dcgan", 4),
    "r3gan": longer("r3gan", 2),
    "stylegan2": longer("stylegan2", 2),
    "lsgan": longer("lsgan", 4),
    "cgan": longer("cgan", 4),
    "stylegan2-ada": longer("stylegan2-ada", 2),
}


def read() -> Records:
    """Return recorded figures by recipe; empty if there are none yet."""
    return json.loads(RECORDS.read_text()) if RECORDS.exists() else {}


def write(records: Records) -> None:
    """Write the records, and the page made of them."""
    RECORDS.write_text(json.dumps(records, indent=1, sort_keys=True) + "\n")
    PAGE.write_text(page(records))


def learns_equally(records: Records, experiment: Experiment) -> bool:
    """Return True if both precisions have all seeds, and bfloat16 is as good."""
    cells = [list(seeds(records, experiment, p).values()) for p in PRECISIONS]
    if any(len(cell) < len(catalogue.SEEDS) for cell in cells):
        return False
    if any(experiment.failures(figures) for figures in cells[1]):
        return False
    return all(
        worse(cells, name, bound.kind) < 1 and not every_seed_worse(cells, name, bound.kind)
        for name, bound in experiment.bounds.items()
    )


def every_seed_worse(cells: list[list[Figures]], name: str, kind: str) -> bool:
    """Return True if a figure is worse in bfloat16 with each seed: chance gives that 1 in 32."""
    gaps = [half[name] - full[name] for full, half in zip(*cells)]
    return min(gaps) > 0 if kind == "most" else max(gaps) < 0


def worse(cells: list[list[Figures]], name: str, kind: str) -> float:
    """Return how much worse the mean of a figure is in bfloat16, in standard deviations."""
    full, half = ([figures[name] for figures in cell] for cell in cells)
    spread = math.sqrt((stdev(full) ** 2 + stdev(half) ** 2) / 2)
    gap = mean(half) - mean(full) if kind == "most" else mean(full) - mean(half)
    return gap / spread if spread else math.copysign(math.inf, gap) if gap else 0.0


def page(records: Records) -> str:
    """Return the Markdown page: a row per figure and precision."""
    lines = [
        "| recipe | figure | precision | 0 | 1 | 2 | 3 | 4 | mean | equally well |",
        "|---" * 10 + "|",
    ]
    machines = set()
    for name, experiment in EXPERIMENTS.items():
        verdict = "yes" if learns_equally(records, experiment) else "not shown"
        # The classifier can't read digits of 8×8 pixels.
        drawn = () if "--resolution 8" in experiment.settings else (DRAWN,)
        for figure in (*experiment.bounds, *drawn):
            for precision in PRECISIONS:
                if not (cell := seeds(records, experiment, precision)):
                    continue
                place = records[name]["levels"][precision]
                machines.add(f"{place['cpu']}, torch {place['torch']}")
                values = [cell[s][figure] if s in cell else None for s in map(str, range(5))]
                shown = ["" if v is None else f"{v:.3g}" for v in values]
                average = f"{mean(v for v in values if v is not None):.3g}"
                lines.append(
                    f"| {' | '.join([name, figure, precision, *shown, average, verdict])} |"
                )
    settings = [
        f"- `{name}`: `{experiment.settings}`"
        for name, experiment in EXPERIMENTS.items()
        if name in records
    ]
    where = f"Trained on {' and '.join(sorted(machines))}." if machines else ""
    return "\n".join([HEAD, *lines, "", where, "", *settings, "", END])
