"""Time in which the host issues an op: Python, the dispatcher and autograd, on tiny tensors."""

from __future__ import annotations

from benchmarks.host.calls import op_pairs
from fastgan import ops
from tools.gpu_session.clock import host_seconds
from tools.gpu_session.context import Context


def run(context: Context) -> None:
    rounds, calls = (1, 2) if context.quick else (15, 50)
    backends = ("cuda", "triton") if context.device == "cuda" else ("cpu",)
    for pair in op_pairs(context.device):
        work, _, other = pair.name.partition(", against ")
        for side in (*backends, other):
            with (
                context.attempt(work, "host", "µs", side=side),
                ops.use_backend(side if side in backends else None),
            ):
                call = pair.ours if side in backends else pair.other
                call()
                wall, cpu = host_seconds(call, context.device, rounds=rounds, calls=calls)
                note = f"{cpu * 1e6:.1f} µs of the CPU"
                context.figure(work, "host", wall * 1e6, "µs", side=side, note=note)
