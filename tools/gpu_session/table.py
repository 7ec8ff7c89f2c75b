"""The table that ends a session's output: one line for each work, at most 60 in all."""

from __future__ import annotations

from collections.abc import Sequence

from tools.gpu_session.results import Figure, SessionResults

LINES = 60
COLUMNS = 118
NAME = 62


def number(value: float) -> str:
    """Return a value with about three digits."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def shown(figure: Figure) -> str:
    """Return a figure's value with its side; with its floor, if it has one."""
    if figure.value is None:
        text = f"– ({figure.note})"
    else:
        text = f"{number(figure.value)} {figure.unit}"
        if figure.floor:
            text += f" ({figure.value / figure.floor:.2f} floors)"
    return f"{figure.side} {text}".strip()


def rows_of(figures: Sequence[Figure]) -> list[str]:
    """Return a line for each work, measure and dtype, with all of its sides."""
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for figure in figures:
        grouped.setdefault((figure.work, figure.measure, figure.dtype), []).append(shown(figure))
    return [
        f"  {', '.join(filter(None, name)):{NAME}} {'; '.join(sides)}"
        for name, sides in grouped.items()
    ]


def table(results: SessionResults) -> list[str]:
    """Return at most :data:`LINES` lines; what doesn't fit is only in the file."""
    heads = {
        stage.name: f"{stage.name}: {stage.status}, {stage.seconds:.0f} of {stage.limit:.0f} s"
        + (f": {stage.message.splitlines()[-1]}" if stage.message else "")
        for stage in results.stages
    }
    found = {stage.name: rows_of(stage.figures) for stage in results.stages}
    first = ", ".join(
        [
            "dry run, no figures to trust" if results.quick else results.device,
            f"seed {results.seed}",
            f"{results.seconds:.0f} of {results.budget:.0f} s",
            *(
                results.environment[name]
                for name in ("gpu", "torch")
                if name in results.environment
            ),
        ]
    )
    left = LINES - 2 - len(heads)
    # The longest parts lose their last lines first.
    kept = {name: len(rows) for name, rows in found.items()}
    while sum(kept.values()) > left:
        longest = max(kept, key=lambda name: kept[name])
        kept[longest] -= 1
    lines = ["=" * COLUMNS, first]
    for name, head in heads.items():
        hidden = len(found[name]) - kept[name]
        lines.append(head + (f" (and {hidden} more lines in results.json)" if hidden else ""))
        lines += found[name][: kept[name]]
    return [line if len(line) <= COLUMNS else line[: COLUMNS - 1] + "…" for line in lines]
