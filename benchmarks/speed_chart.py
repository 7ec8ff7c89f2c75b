"""A bar chart of gains as SVG text, which is the same to the byte wherever it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

WIDTH, LABELS, BAR, GAP, TOP = 720, 300, 11, 8, 64
COLOURS = ("#1b7f5a", "#e0a33e")
MOST = 8.0  # a longer bar is cut off here, and its number says how long it is
FONT = "font-family='sans-serif' font-size='11'"

Bars = tuple[str, Sequence[float | None]]  # a label and a gain for each series


def draw_gains(title: str, series: Sequence[str], rows: Sequence[Bars]) -> str:
    """Return an SVG picture: a group of bars per row, and a line where both sides are as fast."""
    scale = (WIDTH - LABELS - 60) / MOST
    step = BAR * len(series) + GAP
    height = TOP + step * len(rows) + 12
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' {FONT}>",
        f"<rect width='{WIDTH}' height='{height}' fill='white'/>",
        f"<text x='10' y='20' font-size='13' font-weight='bold'>{escape(title)}</text>",
    ]
    for index, name in enumerate(series):
        x = LABELS + index * 170
        parts.append(f"<rect x='{x}' y='32' width='10' height='10' fill='{COLOURS[index]}'/>")
        parts.append(f"<text x='{x + 15}' y='41'>{escape(name)}</text>")
    for position, (label, gains) in enumerate(rows):
        top = TOP + position * step
        middle = top + BAR * len(series) / 2 + 4
        parts.append(
            f"<text x='{LABELS - 8}' y='{middle:g}' text-anchor='end'>{escape(label)}</text>"
        )
        for index, gain in enumerate(gains):
            if gain is None:
                continue
            y, length = top + index * BAR, min(gain, MOST) * scale
            parts.append(
                f"<rect x='{LABELS}' y='{y}' width='{length:.1f}' height='{BAR - 1}' "
                f"fill='{COLOURS[index]}'/>"
            )
            shown = f"{gain:.1f}×" if gain < 100 else f"{gain:,.0f}×"
            x = LABELS + length + 4
            parts.append(f"<text x='{x:.1f}' y='{y + BAR - 2}' font-size='10'>{shown}</text>")
    line = LABELS + scale
    parts.append(
        f"<line x1='{line:.1f}' x2='{line:.1f}' y1='{TOP - 6}' y2='{height - 10}' "
        "stroke='black' stroke-dasharray='3 3'/>"
    )
    return "\n".join([*parts, "</svg>", ""])
