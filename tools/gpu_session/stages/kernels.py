"""Ops by replays of a CUDA graph, with a warm cache: the time of kernels without that of the host.

A graph holds ten calls. The profiler says how many kernels a call has, and which take the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.measures import MEASURES, Measure
from fastgan import ops
from tests.specs import BenchmarkCase
from tools.gpu_session.clock import multiply_as, profile, seconds_by_replay, seconds_of
from tools.gpu_session.context import Context
from tools.gpu_session.specs import on_device, spec_of

#: Images and channels of the convolutions.
LAYERS = (
    ((8, 256, 32, 32), 256),
    ((8, 512, 64, 64), 512),
    ((32, 128, 256, 256), 128),
    ((8, 512, 16, 16), 512),
    ((8, 128, 128, 128), 128),
    ((8, 512, 4, 4), 512),
)
TINY = (((1, 4, 8, 8), 4),)
DTYPES = {"tf32": torch.float32, "fp32": torch.float32, "bf16": torch.bfloat16}
#: Cases of the specs, and their precisions.
OF_SPECS = {
    "bias_act": (("lrelu-clamp", "lrelu-clamp-channels_last", "swish"), ("fp32", "bf16")),
    "upfirdn2d": (
        ("up2-4", "filter-4", "down2-4", "filter-4-channels_last", "up3-down2-2d"),
        ("fp32", "bf16"),
    ),
    "filtered_lrelu": (("up2-down2", "up4-down2"), ("fp32", "bf16")),
}
BOTH = ("forward", "forward_backward")


@dataclass(frozen=True)
class Work:
    """An op on one size, in one precision.

    Args:
        name: the op with its size.
        op: ``op(*tensors, **options, backend=...)``.
        tensors: its tensors on the device.
        moved, products: bytes and operations of each measure, one of which sets the floor.
        plain: torch's own op on the same tensors, a yardstick.
    """

    name: str
    precision: str
    op: Any
    tensors: Sequence[Tensor | None]
    options: Mapping[str, Any] = field(default_factory=dict)
    moved: Mapping[str, float] = field(default_factory=dict)
    products: Mapping[str, float] = field(default_factory=dict)
    plain: Any = None


def run(context: Context) -> None:
    rates = Rates(context)
    for make in works(context):
        if context.left < 2.0:
            context.figure("further cases", "times", None, "µs", note="no time was left")
            return
        if torch.cuda.is_initialized():
            # The pools of the last work's graphs.
            torch.cuda.empty_cache()
        with context.attempt(make.args[0], "times", "µs", dtype=make.args[1]):
            time_work(context, make(), rates)


def time_work(context: Context, work: Work, rates: Rates) -> None:
    """Report the times of a work."""
    for measure in BOTH:
        floor = rates.floor(work, measure)
        multiply_as(tf32=work.precision == "tf32")
        time_sides(context, work, measure, floor)


class Rates:
    """The rates of a copy and of matrix products, measured once each."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.known: dict[str, float] = {}

    def of(self, precision: str) -> float:
        """Return bytes per second for ``copy``, else operations per second of a product."""
        if precision not in self.known:
            device, quick = self.context.device, self.context.quick
            if precision == "copy":
                x = torch.ones(1 << (18 if quick else 28), device=device)
                y = torch.empty_like(x)
                seconds = seconds_of(lambda: y.copy_(x), device)
                self.known[precision] = 2 * x.nbytes / seconds
            else:
                side = 128 if quick else 8192
                multiply_as(tf32=precision == "tf32")
                a, b = (torch.randn(side, side, device=device) for _ in range(2))
                a, b = a.to(DTYPES[precision]), b.to(DTYPES[precision])
                seconds = seconds_of(lambda: a @ b, device, rounds=5)
                self.known[precision] = 2 * side**3 / seconds
        return self.known[precision]

    def floor(self, work: Work, measure: str) -> float | None:
        """Return the least seconds of a measure."""
        if measure in work.products:
            return work.products[measure] / self.of(work.precision)
        if measure not in work.moved:
            return None
        first = work.tensors[0]
        assert first is not None
        return work.moved[measure] * first.nbytes / self.of("copy")


def works(context: Context) -> Iterator[partial[Work]]:
    """Yield the works, the most important ones first."""
    layers = TINY if context.quick else LAYERS
    for place, (shape, out) in enumerate(layers):
        for precision in ("bf16", "tf32"):
            name = f"modulated_conv2d 3×3 {list(shape)} → {out}"
            yield partial(layer, name, precision, context.device, shape, out)
            if place < 3:
                name = f"conv2d 3×3 {list(shape)} → {out}"
                yield partial(plain_layer, name, precision, context.device, shape, out)
    for op, (cases, precisions) in OF_SPECS.items():
        if context.quick and op != "bias_act":
            continue
        by_id = {case.id: case for case in spec_of(op).benchmarks}
        for case in ("lrelu-small",) if context.quick else cases:
            for precision in precisions[: 1 if context.quick else None]:
                name = f"{op} {case}"
                yield partial(of_spec, name, precision, context, op, by_id[case])


def layer(
    name: str, precision: str, device: str, shape: tuple[int, int, int, int], out: int
) -> Work:
    """Return a modulated convolution with noise, bias and activation, in channels_last."""
    generator = torch.Generator(device).manual_seed(0)
    batch, channels, height, width = shape
    dtype = DTYPES[precision]

    def draw(*size: int) -> Tensor:
        return torch.randn(size, generator=generator, device=device).to(dtype)

    tensors = [
        draw(*shape).contiguous(memory_format=torch.channels_last),
        draw(out, channels, 3, 3).contiguous(memory_format=torch.channels_last),
        draw(batch, channels),
        draw(batch, 1, height, width),
        draw(out),
    ]

    def op(
        x: Tensor, weight: Tensor, styles: Tensor, noise: Tensor, b: Tensor, *, backend: str
    ) -> Tensor:
        return ops.modulated_conv2d(
            x, weight, styles, noise=noise, bias=b, act="lrelu", clamp=256.0, backend=backend
        )

    return Work(name, precision, op, tensors, products=products_of(shape, out))


def plain_layer(
    name: str, precision: str, device: str, shape: tuple[int, int, int, int], out: int
) -> Work:
    """Return the plain convolution of the same size."""
    styled = layer(name, precision, device, shape, out)
    return Work(
        name,
        precision,
        partial(ops.conv2d, padding=1),
        styled.tensors[:2],
        products=products_of(shape, out),
        plain=partial(F.conv2d, padding=1),
    )


def products_of(shape: tuple[int, int, int, int], out: int) -> dict[str, float]:
    """Return the operations of a 3×3 convolution."""
    batch, channels, height, width = shape
    once = 18.0 * channels * out * batch * height * width
    return {"forward": once, "forward_backward": 3 * once}


def of_spec(name: str, precision: str, context: Context, op: str, case: BenchmarkCase) -> Work:
    """Return a case of a spec."""
    tensors = case.tensors(DTYPES[precision], torch.device(context.device))
    options = on_device(case.options, context.device)
    return Work(name, precision, spec_of(op).op, tensors, options, case.moved)


def time_sides(context: Context, work: Work, measure: str, floor: float | None) -> None:
    """Report the time of each backend, and the kernels of a call on the first one."""
    ours = ("cuda", "triton") if context.device == "cuda" else ("cpu",)
    make: Measure = MEASURES[measure]
    said = measure.replace("_", " + ")
    sides = {name: partial(work.op, backend=name) for name in ours}
    if work.plain is None:
        sides["eager"] = partial(work.op, backend="reference")
    else:
        # Our convolution is torch's on a GPU, on any backend.
        sides = {ours[0]: sides[ours[0]], "torch": work.plain}
    for place, (side, op) in enumerate(sides.items()):
        about = {"side": side, "dtype": work.precision}
        with context.attempt(work.name, said, "µs", **about):
            call = make(op, work.tensors, work.options)
            seconds = seconds_by_replay(call, context.device, quick=context.quick)
            note = ""
            if place == 0:
                seen = profile(call, context.device)
                note = f"{seen.kernels} kernels; {seen.most()}".rstrip("; ")
                context.figure(work.name, f"{said}: kernels", seen.kernels, "kernels", **about)
            least = None if floor is None else floor * 1e6
            context.figure(work.name, said, seconds * 1e6, "µs", floor=least, note=note, **about)
