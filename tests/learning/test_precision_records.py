"""Records of bfloat16 beside float32: the page, and the verdict that a recipe learns as well."""

from __future__ import annotations

import pytest

from benchmarks.bounds import least, most
from tests.learning import precision, records
from tests.learning.experiment import Experiment

EXAMPLE = Experiment(
    "dcgan", "--batch 8", lambda _: None, lambda _: {}, {"FD": most(200), "share": least(0.5)}
)
MACHINE = {"cpu": "Some CPU", "torch": "2.11"}
FULL = [(100, 0.8), (102, 0.8), (104, 0.8), (106, 0.8), (108, 0.8)]


def recorded(half, full=FULL):
    """Return records with (FD, share) of each seed in both precisions."""
    made: records.Records = {}
    for name, rows in (("fp32", full), ("bf16", half)):
        for seed, (fd, share) in enumerate(rows):
            figures = {"FD": fd, "share": share, precision.DRAWN: 10.0}
            records.add(made, EXAMPLE, name, seed, figures, MACHINE)
    return made


@pytest.mark.parametrize(
    ("half", "equally"),
    [
        (FULL, True),
        # The spread of the seeds is 3.2.
        ([(fd + 3.5, share) for fd, share in FULL[:4]] + [(107, 0.8)], True),
        # Every seed is worse.
        ([(fd + 3, share) for fd, share in FULL], False),
        ([(fd + 4, share) for fd, share in FULL], False),
        ([(fd - 40, share) for fd, share in FULL], True),
        ([(fd, share - 0.1) for fd, share in FULL], False),
        # Seeds are missing, or one is out of bounds.
        (FULL[:4], False),
        ([*FULL[:4], (201, 0.8)], False),
        ([*FULL[:4], (float("nan"), 0.8)], False),
    ],
)
def test_bf16_learns_equally_within_the_spread_of_the_seeds(half, equally):
    assert precision.learns_equally(recorded(half), EXAMPLE) == equally


def test_the_page_shows_both_precisions_and_the_verdict(monkeypatch):
    monkeypatch.setattr(precision, "EXPERIMENTS", {"dcgan": EXAMPLE})
    page = precision.page(recorded(FULL[:4]))
    assert "| dcgan | FD | fp32 | 100 | 102 | 104 | 106 | 108 | 104 | not shown |" in page
    assert "| dcgan | FD | bf16 | 100 | 102 | 104 | 106 |  | 103 | not shown |" in page
    assert "| dcgan | digits drawn | bf16 |" in page and "Some CPU, torch 2.11" in page
    assert "| 104 | yes |" in precision.page(recorded(FULL))


def test_the_page_is_of_the_records():
    assert precision.PAGE.read_text() == precision.page(precision.read()), (
        "run python -m tests.learning --precisions fp32 bf16"
    )


def test_longer_experiments_show_more_images():
    longer = precision.longer("dcgan", 4)
    assert "--images 19072" in longer.settings and longer.recipe == "dcgan"
