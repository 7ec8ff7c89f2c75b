"""The chart of a sweep: a panel for each setting, and a map of two."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from fastgan.sweeps import Point, Range, Sweep, Trial
from fastgan.sweeps.chart import draw_chart
from fastgan.sweeps.results import rank
from fastgan.sweeps.space import draw, grid

LISTS = {"lr": [1e-4, 1e-3, 1e-2], "loss": ["minimax", "least-squares"]}
RANGES = {"lr": Range(1e-4, 1e-2, log=True), "n_critic": Range(1, 5)}


@pytest.fixture
def chart(tmp_path, monkeypatch):
    """Returns the axes of the chart of points with these values (None: failed), two seeds each."""
    drawn: list[Figure] = []
    monkeypatch.setattr(
        Figure, "savefig", lambda self, file, **options: drawn.append(self) or file.write(b"PNG")
    )

    def draw_it(vary, points, values):
        found = []
        for settings, value in zip(points, values):
            trials = [
                Trial(settings, seed, Path("x"), "failed" if value is None else "done", value=value)
                for seed in (0, 1)
            ]
            found.append(Point(settings, tuple(trials)))
        sweep = Sweep(tmp_path, "gan", "fd", "FD", "lower", rank(found, "lower"))
        draw_chart(sweep, vary)
        assert sweep.chart.read_bytes() == b"PNG" and isinstance(drawn[-1], Figure)
        return drawn[-1].axes

    return draw_it


def test_lists_have_even_ticks_and_a_heat_map(chart):
    rates, losses, pair, bar = chart(LISTS, grid(LISTS), [5.0, 4.0, 1.0, 2.0, None, 3.0])
    assert [tick.get_text() for tick in rates.get_xticklabels()] == ["0.0001", "0.001", "0.01"]
    assert [tick.get_text() for tick in losses.get_xticklabels()] == LISTS["loss"]
    assert [text.get_text() for text in pair.texts] == ["5", "1", "failed", "4", "2", "3"]
    # The best point is a dot of its own, and the failed one a cross at the top.
    best, failed = (line for line in rates.get_lines() if line.get_label() in ("best", "failed"))
    assert list(best.get_ydata()) == [1.0] and abs(best.get_xdata()[0] - 1) < 0.5
    assert list(failed.get_xdata()) == [2.0]
    # The legend's marks are above the panel, where no point can be.
    legend = rates.get_legend().get_window_extent()
    assert legend.y0 >= rates.get_window_extent().y1
    assert rates.get_yscale() == "linear" and bar.get_ylabel() == ""


def test_ranges_have_the_axes_asked_for(chart):
    points = draw(RANGES, 6, seed=0)
    rates, critics, pair, _ = chart(RANGES, points, [1.0, 2.0, 3.0, 4.0, 5.0, 1000.0])
    assert rates.get_xscale() == pair.get_xscale() == "log"
    assert critics.get_xscale() == pair.get_yscale() == "linear"
    # A diverged run doesn't hide the others.
    assert rates.get_yscale() == "log"
    assert len(pair.collections[0].get_offsets()) == 6


@pytest.mark.parametrize("values", [[None, None, None], [1.0, None, None]])
def test_one_setting_and_few_measures(chart, values):
    vary = {"lr": LISTS["lr"]}
    (axes,) = chart(vary, grid(vary), values)
    assert axes.get_xlabel() == "lr"


def test_five_settings_have_five_panels(chart):
    vary = {name: [1, 2] for name in "abcde"}
    axes = chart(vary, grid(vary)[:2], [1.0, 2.0])
    assert [a.get_xlabel() for a in axes if a.get_visible()] == list("abcde")
