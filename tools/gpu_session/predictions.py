"""Predictions of a session's figures, written before anything of them ran on a GPU.

They come from docs/internals/predictions.md and from counting: bytes and products of an op over the
rates of the machine, operators of a step. A prediction in floors holds on any GPU of its kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tools.gpu_session.results import Figure, SessionResults
from tools.gpu_session.table import number

FLOORS, RATIO = "floors", "×"


@dataclass(frozen=True)
class Prediction:
    """Bounds of a figure.

    Args:
        stage, work, measure, dtype, side: the figure.
        least, most: bounds; None for none.
        unit: that of the figure, ``floors`` for multiples of its floor, or ``×`` for its ratio to
            the one of ``over``.
        why: where the bounds come from.
        over: the other figure of a ratio: its side and dtype.
    """

    stage: str
    work: str
    measure: str
    dtype: str
    side: str
    least: float | None
    most: float | None
    unit: str
    why: str
    over: tuple[str, str] | None = None

    @property
    def label(self) -> str:
        """Name the figure for a reader."""
        over = f" over {' '.join(filter(None, self.over))}" if self.over else ""
        name = f"{self.work}, {self.measure}"
        return ", ".join(filter(None, [name, self.dtype, self.side])) + over

    @property
    def bounds(self) -> str:
        """Return the bounds as a text."""
        unit = self.unit if self.unit == RATIO else f" {self.unit}"
        if self.least is None or self.least == self.most:
            at_most = "" if self.least == self.most else "at most "
            return f"{at_most}{number(self.most or 0.0)}{unit}"
        if self.most is None:
            return f"at least {number(self.least)}{unit}"
        return f"{number(self.least)} to {number(self.most)}{unit}"


def _op(
    work: str, measure: str, dtype: str, least: float | None, most: float, why: str
) -> Prediction:
    return Prediction("kernels", work, measure, dtype, "cuda", least, most, FLOORS, why)


_SMALL, _LARGE, _HIGH = (
    f"3×3 {size}"
    for size in (
        "[8, 256, 32, 32] → 256",
        "[8, 512, 64, 64] → 512",
        "[32, 128, 256, 256] → 128",
    )
)
_FORWARD, _BOTH = "forward", "forward + backward"
_PASSES = "cuDNN's product, passes over the image and two kernels of factors"
_STYLEGAN2 = "stylegan2 256×256, batch 32"

PREDICTIONS: tuple[Prediction, ...] = (
    Prediction("environment", "copy of 1 GiB", "rate", "", "", 4.0, 4.5, "TB/s", "an H200"),
    Prediction(
        "environment", "product 8192³", "rate", "bf16", "", 700.0, 800.0, "TFLOP/s",
        "an H100 reached 770 at 4096³",
    ),
    Prediction(
        "environment", "product 8192³", "rate", "tf32", "", 330.0, 400.0, "TFLOP/s",
        "half of bf16's rate, less clock",
    ),
    Prediction(
        "environment", "product 8192³", "rate", "fp32", "", 48.0, 55.0, "TFLOP/s",
        "an H100 reached 51 at 4096³",
    ),
    _op(f"modulated_conv2d {_SMALL}", _FORWARD, "bf16", 2.1, 2.4, _PASSES),
    _op(f"modulated_conv2d {_SMALL}", _BOTH, "bf16", 2.1, 2.4, _PASSES),
    _op(f"modulated_conv2d {_LARGE}", _FORWARD, "bf16", 1.1, 1.3, _PASSES),
    _op(f"modulated_conv2d {_LARGE}", _BOTH, "bf16", 1.1, 1.3, _PASSES),
    _op(f"modulated_conv2d {_HIGH}", _FORWARD, "bf16", 1.8, 2.0, _PASSES),
    _op(f"modulated_conv2d {_HIGH}", _BOTH, "bf16", 1.7, 1.95, _PASSES),
    Prediction(
        "kernels", f"modulated_conv2d {_SMALL}", f"{_FORWARD}: kernels", "bf16", "cuda", 4.0, 7.0,
        "kernels", "4 operators; cuDNN may add some",
    ),
    Prediction(
        "kernels", f"modulated_conv2d {_SMALL}", f"{_BOTH}: kernels", "bf16", "cuda", 9.0, 15.0,
        "kernels", "9 operators, of which one has two gradients; cuDNN may add some",
    ),
    _op(f"conv2d {_SMALL}", _FORWARD, "bf16", 1.3, 1.45, "16.7 µs on an H100"),
    _op(f"conv2d {_LARGE}", _FORWARD, "bf16", 0.95, 1.1, "196 µs on an H100"),
    _op(f"conv2d {_HIGH}", _FORWARD, "bf16", 1.2, 1.35, "605 TFLOP/s, by smaller images"),
    _op("bias_act lrelu-clamp", _FORWARD, "fp32", None, 1.1, "rows of 16-byte accesses"),
    _op("bias_act lrelu-clamp-channels_last", _FORWARD, "fp32", None, 1.15, "columns"),
    _op("bias_act swish", _FORWARD, "fp32", None, 1.1, "rows of 16-byte accesses"),
    _op("upfirdn2d up2-4", _FORWARD, "fp32", 1.2, 1.45, "tiles, limited by memory"),
    _op("upfirdn2d filter-4", _FORWARD, "fp32", 1.35, 1.6, "tiles, limited by memory"),
    _op("upfirdn2d down2-4", _FORWARD, "fp32", 1.4, 1.7, "tiles, limited by memory"),
    _op("upfirdn2d filter-4-channels_last", _FORWARD, "fp32", 1.6, 2.1, "reads from the L1 cache"),
    _op("filtered_lrelu up2-down2", _FORWARD, "fp32", 3.7, 5.6, "accesses to shared memory"),
    _op("filtered_lrelu up4-down2", _FORWARD, "fp32", 4.7, 7.3, "accesses to shared memory"),
    Prediction(
        "host", f"bias_act {_BOTH}", "host", "", "cuda", 40.0, 120.0, "µs",
        "54 µs on a CPU; before lean calls an H100's host took 900",
    ),
    *(
        Prediction(
            "steps", _STYLEGAN2, "GPU busy", dtype, "graphed", 85.0, 100.0, "%",
            "graphs leave the host a few ms per step",
        )
        for dtype in ("fp16", "tf32")
    ),
    *(
        Prediction(
            "steps", _STYLEGAN2, "speed", dtype, "graphed", 1.5, 3.0, RATIO,
            "50 to 60 ms of the host against 21 (half) and 36 ms (TF32) of the GPU", (
                "eager", dtype
            ),
        )
        for dtype in ("fp16", "tf32")
    ),
    Prediction(
        "steps", _STYLEGAN2, "a step", "fp32", "eager", 7.0, 12.0, RATIO,
        "12.8 TFLOP by FFMA against tensor cores", ("graphed", "tf32"),
    ),
    Prediction(
        "steps", _STYLEGAN2, "launches per step", "fp32", "eager", None, 2000.0, "launches",
        "operators counted on meta tensors",
    ),
    Prediction(
        "steps", _STYLEGAN2, "launches per step", "fp16", "eager", None, 2300.0, "launches",
        "operators counted on meta tensors",
    ),
    *(
        Prediction(
            "steps", _STYLEGAN2, "waits for the GPU per step", dtype, "eager", 0.0, 0.0, "syncs",
            "none on meta tensors",
        )
        for dtype in ("fp16", "tf32")
    ),
    *(
        Prediction(
            "steps", _STYLEGAN2, "losses, against eager", dtype, "graphed", None, 1e-3,
            "relative", "the same kernels in the same order",
        )
        for dtype in ("fp16", "tf32")
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """A prediction with its figure.

    Args:
        value: the measured value in the prediction's unit; None if there is none.
        verdict: ``right``, ``wrong: ...`` or ``not measured``.
        note: where the time goes, or why there is no value.
    """

    prediction: Prediction
    value: float | None
    verdict: str
    note: str = ""

    @property
    def measured(self) -> str:
        """Return the value as a text."""
        if self.value is None:
            return "–"
        unit = self.prediction.unit
        return number(self.value) + (unit if unit == RATIO else f" {unit}")


def verdict(prediction: Prediction, value: float) -> str:
    """Say whether a value is within the bounds, and how far it is from them."""
    least, most = prediction.least, prediction.most
    if least is not None and value < least:
        return f"**wrong**: {value / least:.2f}× the least" if least else "**wrong**"
    if most is not None and value > most:
        return f"**wrong**: {value / most:.2f}× the most" if most else "**wrong**"
    return "right"


def outcome(prediction: Prediction, results: SessionResults | None) -> Outcome:
    """Return what became of a prediction; ``None`` stands for no session yet."""
    figures = [] if results is None else results.figures(prediction.stage)

    def find(side: str, dtype: str) -> Figure | None:
        wanted = (prediction.work, prediction.measure, dtype, side)
        return next((figure for figure in figures if figure.key[:4] == wanted), None)

    figure = find(prediction.side, prediction.dtype)
    value = None if figure is None else figure.value
    if figure is None or value is None:
        return Outcome(prediction, None, "not measured", figure.note if figure else "")
    if prediction.unit == FLOORS:
        value = value / figure.floor if figure.floor else None
    if prediction.over is not None:
        other = find(*prediction.over)
        value = value / other.value if other and other.value else None
    if value is None:
        return Outcome(prediction, None, "not measured", "its base has no value")
    return Outcome(prediction, value, verdict(prediction, value), figure.note)


def outcomes(
    results: SessionResults | None, predictions: Sequence[Prediction] = PREDICTIONS
) -> list[Outcome]:
    """Return what became of all predictions."""
    return [outcome(prediction, results) for prediction in predictions]
