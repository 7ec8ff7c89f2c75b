"""Remedies: records, page and bounds agree; pairs of a broken and a mended run repeat."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.remedies.cases import CASES, SEEDS
from benchmarks.remedies.page import section, summary
from benchmarks.remedies.run import RECORDS as RECORDS_FILE
from benchmarks.remedies.run import complete, find_record, load_records, run_attempt, state, states

PAGE = Path(__file__).parents[2] / "docs" / "remedies.md"
RECORDS = load_records()
OF_SEEDS = {
    "--unroll", "--minibatch-discrimination", "--penalty", "--real-label", "--feature-matching",
    "--spectral-norm", "--d-lr", "--instance-noise", "--dropout",
}  # fmt: skip
"""Options of the remedies that every GAN course names."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_records_are_within_the_page_s_bounds(case):
    for attempt in case.attempts:
        found = states(case, attempt, RECORDS)
        assert "missing" not in found, f"run python -m benchmarks.remedies {case.name}"
        if attempt.name == "broken":
            assert found == ["broken"] * len(SEEDS)
        else:
            assert (found == ["mended"] * len(SEEDS)) == attempt.helps, (attempt.name, found)
    assert any(attempt.helps for attempt in case.remedies)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_diagnose_suggests_the_remedies(case):
    broken = find_record(RECORDS, case, case.attempts[0], 0)
    suggestions = " ".join(text for texts in broken.symptoms.values() for text in texts)
    suggested = {part for part in re.split(r"[ )]", suggestions) if part.startswith("--")}
    for attempt in case.remedies:
        assert set(attempt.options.split()) & suggested, (attempt.name, suggested)


def test_the_page_shows_the_records():
    text = PAGE.read_text()
    assert "\n".join(summary(RECORDS)) in text
    for case in CASES:
        assert f"\n## {case.title}\n" in text
        assert "\n".join(section(case, RECORDS)) in text, case.name
        assert (PAGE.parent / "images" / "remedies" / f"{case.name}.png").exists()


def test_every_remedy_of_the_courses_is_tried():
    tried = {
        option for case in CASES for remedy in case.remedies for option in remedy.options.split()
    }
    assert tried >= OF_SEEDS


def test_what_is_recorded_is_not_run_again(tmp_path):
    records = tmp_path / "records.json"
    records.write_text(RECORDS_FILE.read_text())
    case = CASES[0]
    again = complete(case, case.attempts[0], 1, out=tmp_path / "runs", records=records)
    assert again == find_record(RECORDS, case, case.attempts[0], 1)
    assert not (tmp_path / "runs").exists()


@pytest.mark.long
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_pair_repeats(case, tmp_path):
    remedy = next(attempt for attempt in case.remedies if attempt.helps)
    broken = run_attempt(case, case.attempts[0], 0, tmp_path / "broken")
    mended = run_attempt(case, remedy, 0, tmp_path / remedy.name)
    for record, expected in ((broken, "broken"), (mended, "mended")):
        assert state(case, record, broken) == expected, (record.symptoms, record.figures)
