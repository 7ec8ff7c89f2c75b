"""Machine, versions and what this torch can do; the rates that everything else is compared with."""

from __future__ import annotations

import importlib.util
import inspect
import os
import subprocess

import torch

from fastgan import _torch_private, ops
from fastgan.recipes import get_recipe
from fastgan.runtime import versions
from fastgan.training.auto_precision import choose
from tools.gpu_session.clock import host_seconds, multiply_as, seconds_of
from tools.gpu_session.context import Context

SMI = ("name", "driver_version", "memory.total", "power.limit", "clocks.max.sm")
PACKAGES = ("numpy", "pytest", "xdist", "rich", "tyro", "safetensors", "triton", "matplotlib")


def run(context: Context) -> None:
    facts(context)
    ceilings(context)
    host(context)


def facts(context: Context) -> None:
    """Report versions, the GPU, the packages and the backends."""
    for name, version in versions().items():
        context.fact_to(name, version)
    context.fact_to("cores", str(len(os.sched_getaffinity(0))))
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    context.fact_to("missing packages", ", ".join(missing) or "none")
    for name, status in ops.backends().items():
        context.fact_to(f"backend {name}", "usable" if status.usable else status.reason)
    can = {
        "trace_autograd_ops": _torch_private.can_trace_gradients(),
        "isolate_recompiles": "isolate_recompiles" in inspect.signature(torch.compile).parameters,
        "sync_debug_mode": hasattr(torch.cuda, "set_sync_debug_mode"),
    }
    context.fact_to("torch has", ", ".join(name for name, has in can.items() if has) or "none")
    if context.device != "cuda":
        return
    if not torch.cuda.is_available():
        raise SystemExit("torch sees no CUDA device")
    chosen = [
        f"{name} {choose(get_recipe(name), torch.device(context.device)).precision}"
        for name in ("stylegan2", "dcgan", "r3gan")
    ]
    context.fact_to("precision auto", ", ".join(chosen))
    context.fact_to("cuDNN", str(torch.backends.cudnn.version()))
    context.fact_to("compute capability", ".".join(map(str, torch.cuda.get_device_capability())))
    try:
        command = ["nvidia-smi", f"--query-gpu={','.join(SMI)}", "--format=csv,noheader"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=10).stdout
        context.fact_to("nvidia-smi", said.splitlines()[0] if said else "no answer")
    except (OSError, subprocess.TimeoutExpired) as error:
        context.fact_to("nvidia-smi", str(error))


def ceilings(context: Context) -> None:
    """Report the rates of a copy and of matrix products."""
    device = context.device
    with context.attempt("copy of 1 GiB", "rate", "TB/s"):
        size = 1 << 20 if context.quick else 1 << 28
        x = torch.ones(size, device=device)
        y = torch.empty_like(x)
        seconds = seconds_of(lambda: y.copy_(x), device)
        context.figure("copy of 1 GiB", "rate", 2 * x.nbytes / seconds / 1e12, "TB/s")
    side = 256 if context.quick else 8192
    work = f"product {side}³"
    for name, dtype, tf32 in (
        ("bf16", torch.bfloat16, False),
        ("tf32", torch.float32, True),
        ("fp32", torch.float32, False),
    ):
        with context.attempt(work, "rate", "TFLOP/s", dtype=name):
            multiply_as(tf32=tf32)
            a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
            out = torch.empty_like(a)

            def call(a: torch.Tensor = a, b: torch.Tensor = b, out: torch.Tensor = out) -> None:
                torch.mm(a, b, out=out)

            call()
            rate = 2 * side**3 / seconds_of(call, device, rounds=5) / 1e12
            context.figure(work, "rate", rate, "TFLOP/s", dtype=name)


def host(context: Context) -> None:
    """Report the host's time for the smallest call of torch."""
    x = torch.randn(1, 4, 4, 4, device=context.device, requires_grad=True) * 1.0
    direction = torch.ones_like(x)

    def both() -> None:
        torch.autograd.grad(x * 1.0, x, direction)

    rounds, calls = (2, 5) if context.quick else (15, 50)
    for measure, call in (("forward", lambda: x * 1.0), ("forward + backward", both)):
        wall, cpu = host_seconds(call, context.device, rounds=rounds, calls=calls)
        for side, seconds in (("wall", wall), ("cpu", cpu)):
            context.figure("x * 1.0", measure, seconds * 1e6, "µs", side=side)
