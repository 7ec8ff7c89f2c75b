"""The pages of recorded figures: docs/performance.md, its full tables, and the README's chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.document import Rows, markdown, replace_part
from benchmarks.records import Block, Record
from benchmarks.speed_chart import draw_gains
from benchmarks.targets import table_of_targets

SHORT, FULL = Path("docs/performance.md"), Path("docs/internals/performance.md")
README = Path("README.md")
PICTURES = Path("docs/images")
LONG_CAPTION = 300  # characters, from which on a sentence is shown as a list


@dataclass(frozen=True)
class Row:
    """A row of the short page.

    Args:
        record: name of the record.
        op, case, measure: the row of the record.
        label: name of the work for the reader.
        dtype: dtype of the table.
        eager: column of the time that eager PyTorch takes.
    """

    record: str
    op: str
    case: str
    measure: str
    label: str
    dtype: str = "float32"
    eager: str = "eager, ms"


BOTH, SECOND = "forward + backward", "double backward"
STYLEGAN2, CONVOLUTIONS = "cpu-stylegan2", "cpu-conv2d-modulated_conv2d"
PENALTIES, H100 = "cpu-grad_norm_penalty-spectral_norm", "gpu-h100"
SESSION = "gpu-session"
"""Record of the last session of tools/gpu_session."""
STEPS = tuple(
    Row(STYLEGAN2, "stylegan2", "64×64", step, "StyleGAN2 at 64×64")
    for step in ("G forward", "D step", "R1 step", "G step", "path length step")
)
CPU = (
    *STEPS,
    Row("cpu-cyclegan", "cyclegan", "128×128", "step", "CycleGAN at 128×128"),
    Row(CONVOLUTIONS, "conv2d", "3x3-256", BOTH, "conv2d 3×3", eager="F.conv2d, ms"),
    Row(CONVOLUTIONS, "modulated_conv2d", "3x3", BOTH, "modulated_conv2d 3×3"),
    Row("cpu-upfirdn2d", "upfirdn2d", "up2-4", BOTH, "upfirdn2d, up 2"),
    Row("cpu-bias_act", "bias_act", "lrelu-clamp", BOTH, "bias_act, lrelu"),
    Row("cpu-adaptive_norm", "adaptive_norm", "instance-64", BOTH, "instance norm + relu"),
    Row(PENALTIES, "grad_norm_penalty", "penalty-128", SECOND, "gradient penalty"),
)
LARGE, STYLED, TO_IMAGE = "lrelu with clamp, 16×128×64×64", "3×3, 8×256×32×32", "1×1 to an image"
GPU = (
    Row(H100, "bias_act", LARGE, "forward", "bias_act, lrelu"),
    Row(H100, "bias_act", "linear", "forward", "bias_act, linear"),
    Row(H100, "bias_act", "swish", "forward", "bias_act, swish"),
    Row(H100, "bias_act", "swish", SECOND, "bias_act, swish"),
    Row(H100, "scale_bias_act", "lrelu-32", "forward", "scale_bias_act at 32×32"),
    Row(H100, "scale_bias_act", "lrelu-64", "forward", "scale_bias_act at 64×64"),
    Row(H100, "conv2d", STYLED, BOTH, "conv2d 3×3, cuDNN's"),
    Row(H100, "modulated_conv2d", STYLED, "forward", "modulated_conv2d 3×3"),
    Row(H100, "modulated_conv2d", STYLED, BOTH, "modulated_conv2d 3×3"),
    Row(H100, "modulated_conv2d", TO_IMAGE, "forward", "modulated_conv2d 1×1"),
    Row(H100, "modulated_conv2d", STYLED, "forward", "modulated_conv2d 3×3", "bfloat16"),
    Row(H100, "modulated_conv2d", STYLED, BOTH, "modulated_conv2d 3×3", "bfloat16"),
)


def find(records: Mapping[str, Record], row: Row) -> tuple[Block, list[str]]:
    """Return the block and the cells that a row of the short page is made of.

    Raises:
        LookupError: there is no such record, table or row.
    """
    if row.record not in records:
        raise LookupError(f"there is no record {row.record!r}, only {', '.join(records)}")
    for block in records[row.record].blocks:
        if block.kind == "times" and block.op == row.op and f", {row.dtype}" in block.caption:
            return block, block.row(row.case, row.measure)
    raise LookupError(f"{row.record} has no times of {row.op} in {row.dtype}")


def number(block: Block, cells: Sequence[str], column: str) -> float | None:
    """Return a cell as a number, or None where the side didn't run."""
    cell = cells[block.columns.index(column)] if column in block.columns else "–"
    return None if cell == "–" else float(cell.replace(",", ""))


def gain(block: Block, cells: Sequence[str], ours: str, other: str) -> float | None:
    """Return how many times as fast ours is; None if a side didn't run, or other work got in."""
    if block.disturbed(cells):
        return None
    fast, slow = number(block, cells, ours), number(block, cells, other)
    return None if fast is None or slow is None else slow / fast


def cpu_table(records: Mapping[str, Record]) -> tuple[list[str], Rows]:
    header = ["work", "measure", "fastgan, ms", "eager", "torch.compile", "floors"]
    rows = []
    for row in CPU:
        block, cells = find(records, row)
        ours = "fastgan cpu, ms"
        place = block.columns.index(ours)
        gains = (gain(block, cells, ours, other) for other in (row.eager, "torch.compile, ms"))
        rows.append([row.label, row.measure, cells[place], *map(times, gains), cells[place + 1]])
    return header, rows


def gpu_table(records: Mapping[str, Record]) -> tuple[list[str], Rows]:
    header = ["work", "measure", "dtype", "fastgan cuda, µs", "eager", "floors"]
    rows = []
    for row in GPU:
        block, cells = find(records, row)
        ours = "fastgan cuda, µs"
        place = block.columns.index(ours)
        gains = times(gain(block, cells, ours, "eager, µs"))
        rows.append([row.label, row.measure, row.dtype, cells[place], gains, cells[place + 1]])
    return header, rows


PRECISIONS = (
    Row("cpu-precisions", "precisions", "dcgan", "step", "DCGAN, batch 32", "bfloat16"),
    Row("cpu-precisions", "precisions", "stylegan2", "step", "StyleGAN2, batch 8", "bfloat16"),
    Row("cpu-precisions-r3gan", "precisions", "r3gan", "step", "R3GAN, batch 8", "bfloat16"),
)


def precision_part(records: Mapping[str, Record]) -> list[str]:
    """Return the gains of steps in bfloat16 on a CPU that has AMX."""
    rows = []
    for row in PRECISIONS:
        block, cells = find(records, row)
        gained = times(gain(block, cells, "bfloat16, ms", "float32, ms"))
        place = block.columns.index("bfloat16, ms")
        rows.append([row.label, cells[place], gained])
    cpu = records[PRECISIONS[0].record].environment
    return [
        "### In bfloat16 on AMX",
        "",
        f"{cpu['machine']}, with AMX; {cpu['threads']} thread; torch {cpu['torch']}; 64×64;",
        "steps without lazy regularisers, against the same steps in float32.",
        "",
        *markdown(["step", "bfloat16, ms", "float32"], rows),
    ]


def times(gain: float | None) -> str:
    return "–" if gain is None else f"{gain:.2f}×"


def chart(records: Mapping[str, Record]) -> str:
    """Return the chart of the gains on the CPU as SVG."""
    bars = []
    for row in CPU:
        block, cells = find(records, row)
        sides = (row.eager, "torch.compile, ms")
        gains = [gain(block, cells, "fastgan cpu, ms", side) for side in sides]
        if any(gains):
            bars.append((f"{row.label}, {row.measure}", gains))
    machine = records["cpu-stylegan2"].environment["machine"]
    title = f"Times as fast as PyTorch on a CPU ({machine})"
    return draw_gains(title, ["as eager PyTorch", "as torch.compile"], bars)


def gained(records: Mapping[str, Record]) -> str:
    """Return one sentence on what a training step of StyleGAN2 gains."""
    gains = []
    for row in STEPS:
        block, cells = find(records, row)
        gains.append(gain(block, cells, "fastgan cpu, ms", row.eager))
    known = [found for found in gains if found is not None]
    environment = records["cpu-stylegan2"].environment
    machine = ", ".join(environment["machine"].split(", ")[:2])
    return (
        f"StyleGAN2's training steps run {min(known):.1f} to {max(known):.1f} times as fast as in "
        f"eager PyTorch\non a CPU ({machine}, float32)."
    )


def short_page(records: Mapping[str, Record]) -> str:
    """Return docs/performance.md."""
    cpu = records["cpu-stylegan2"].environment
    lines = [
        "# Performance",
        "",
        gained(records),
        "",
        "![Gains over eager PyTorch and torch.compile](images/speed.svg)",
        "",
        "The columns *eager* and *torch.compile* say how many times as fast fastgan is.",
        "*Floors* is its time in multiples of the least possible: a copy of the bytes that move,",
        "or the arithmetic of a direct convolution at the rate of a matrix product.",
        "Winograd's algorithm does less arithmetic than that and may stay below 1.",
        "A dash stands where a side didn't run or other work on the machine disturbed it.",
        "",
        "## On a CPU",
        "",
        f"{cpu['machine']}; {cpu['threads']} threads; torch {cpu['torch']}; float32; medians.",
        "",
        *markdown(*cpu_table(records)),
        "",
        *precision_part(records),
        "",
        *gpu_part(records),
        "",
        "## More",
        "",
        "- [Full tables](internals/performance.md): every case, memory, errors and targets.",
        "- [How it is measured](internals/benchmarks.md), and how to measure on your machine.",
        "- [Static evidence](internals/evidence.md): registers and spills of the CUDA kernels.",
        "- [Predictions](internals/predictions.md) for a GPU, written before it was measured.",
        "",
        "`python -m benchmarks.report --write` writes this page from `benchmarks/records/*.json`.",
    ]
    return "\n".join(lines) + "\n"


def gpu_part(records: Mapping[str, Record]) -> list[str]:
    """Return the figures of a GPU: those of the last session, if one was recorded."""
    if SESSION in records:
        session = records[SESSION]
        short = next(block for block in session.blocks if block.kind == "short")
        gpu = session.environment
        return [
            "## Figures on a GPU",
            "",
            f"{gpu['device']}; torch {gpu.get('torch', 'unknown')}. Ops by replays of CUDA graphs.",
            "",
            *markdown(short.columns, short.rows),
            "",
            "[Predictions and outcomes](internals/predictions.md#sessions) has those that were",
            "wrong; the [full tables](internals/performance.md#gpu) have other machines.",
        ]
    gpu = records[H100].environment
    return [
        "## On a GPU",
        "",
        f"{gpu['device']}; torch {gpu['torch']}; Triton {gpu['triton']}; medians.",
        "",
        *markdown(*gpu_table(records)),
        "",
        "`torch.compile` was not timed on the GPU, and no other GPU was timed at all.",
        "[What ran where](internals/machines.md) lists the machines.",
    ]


def section(record: Record) -> list[str]:
    """Return a run as Markdown."""
    blocks = [block for block in record.blocks if block.kind != "short"]
    ops = dict.fromkeys(block.op for block in blocks)
    untuned = ", untuned" if "untuned" in record.environment.get("allocator", "") else ""
    lines = [f"### {', '.join(ops)}{untuned}", ""]
    lines += [f"- {name}: {value}" for name, value in record.environment.items()]
    for block in blocks:
        if block.picture:
            lines += ["", f"![{block.picture_title}](../images/{block.picture}.png)"]
        lines += ["", *caption_lines(block.caption)]
        if block.columns:
            lines += ["", *markdown(block.columns, block.rows)]
            lines += [f"\n{line}" for line in block.lines]
        else:
            lines += ["", *(f"- {line}" for line in block.lines)]
    if record.remarks:
        lines += ["", *(f"- {remark}" for remark in record.remarks)]
    return [*lines, ""]


def caption_lines(caption: str) -> list[str]:
    """Return a caption as a paragraph, or a long one of many clauses as a list."""
    if len(caption) < LONG_CAPTION:
        return [caption]
    first, *clauses = caption.removesuffix(".").split("; ")
    return [f"{first}:", "", *(f"- {clause}" for clause in clauses)]


def full_page(records: Mapping[str, Record]) -> str:
    """Return docs/internals/performance.md."""
    lines = [
        "# Full tables of performance",
        "",
        "`python -m benchmarks.report --write` writes this page from `benchmarks/records/*.json`.",
        "[How it is measured](benchmarks.md) explains the columns.",
        "",
        "## Targets",
        "",
        "Each op and step was given a bound on two AVX2 cores, in float32, before it was written.",
        "Those of `precisions` are for AMX, and those of `foreign_step` for AVX-512.",
        "",
        *markdown(*table_of_targets(records)),
        "",
    ]
    for title, prefix in (("CPU", "cpu-"), ("GPU", "gpu-")):
        lines += [f"## {title}", ""]
        for name, record in records.items():
            if name.startswith(prefix):
                lines += section(record)
    return "\n".join(lines)


def written(records: Mapping[str, Record], root: Path) -> dict[Path, str]:
    """Return every file that the records are shown in, with its text."""
    readme = replace_part((root / README).read_text("utf-8"), "gain", gained(records).split("\n"))
    return {
        root / SHORT: short_page(records),
        root / FULL: full_page(records),
        root / PICTURES / "speed.svg": chart(records),
        root / README: readme,
    }
