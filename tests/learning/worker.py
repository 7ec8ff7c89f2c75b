"""Process for one level of CPU code, which is chosen at import: runs experiments, prints figures.

    python -m tests.learning.worker LEVEL|PRECISION RECIPE:SEED...

With a precision the CPU code isn't limited, and the experiments are those of ``precision``.

Each line of the output is a JSON object: recipe, seed, seconds of CPU time, figures, machine.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from pathlib import Path

import torch

import fastgan.ops  # noqa: F401 -- loads the native library
from fastgan._torch_private import has_amx
from tests.learning import precision
from tests.learning.catalogue import EXPERIMENTS

ENVIRONMENT = {
    "avx512": ("avx512", "AVX512_CORE", "AVX512"),
    "avx2": ("avx2", "AVX2", "AVX2"),
    "baseline": ("default", "SSE41", "SSE4_2"),
}


def environment(level: str) -> dict[str, str]:
    """Return variables that limit our kernels, torch's, oneDNN's and MKL's to a level.

    A precision limits none.
    """
    if level in precision.PRECISIONS:
        return {"OMP_NUM_THREADS": "1"}
    aten, onednn, mkl = ENVIRONMENT[level]
    return {
        "FASTGAN_CPU_LEVEL": level,
        "ATEN_CPU_CAPABILITY": aten,
        "ONEDNN_MAX_CPU_ISA": onednn,
        "MKL_ENABLE_INSTRUCTIONS": mkl,
        "OMP_NUM_THREADS": "1",
    }


def machine() -> dict[str, str]:
    """Return the CPU and the version of torch."""
    info: dict[str, str] = {}
    if (path := Path("/proc/cpuinfo")).exists():
        for line in path.read_text().split("\n\n")[0].splitlines():
            key, _, value = line.partition(":")
            info[key.strip()] = value.strip()
    cpu = info.get("model name") or platform.processor() or platform.machine()
    if "cpu family" in info:
        cpu += f" (family {info['cpu family']}, model {info.get('model')})"
    return {"cpu": cpu, "torch": torch.__version__.partition("+")[0]}


def check_level(level: str) -> None:
    """End the process unless this CPU runs the code of a level, or bfloat16 on AMX."""
    if level == "bf16" and not has_amx():
        raise SystemExit("this CPU has no AMX")
    if level in precision.PRECISIONS:
        return
    kernels = torch.ops.fastgan_runtime.cpu_capability()
    library = torch.backends.cpu.get_cpu_capability().lower()
    if (kernels, library) != (level, ENVIRONMENT[level][0]):
        raise SystemExit(
            f"this CPU has no {level} code: kernels run {kernels}, torch runs {library}"
        )


def main(level: str, *runs: str) -> None:
    check_level(level)
    for run in runs:
        name, _, seed = run.rpartition(":")
        start = time.process_time()
        if level in precision.PRECISIONS:
            figures = precision.EXPERIMENTS[name].run(int(seed), level)
        else:
            figures = EXPERIMENTS[name].run(int(seed))
        seconds = time.process_time() - start
        line = {"recipe": name, "seed": int(seed), "seconds": seconds, "figures": figures}
        print(json.dumps(line | {"machine": machine()}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
