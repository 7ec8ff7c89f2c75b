"""Triton without a GPU: the contract in the interpreter, and compilation ahead of time."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import torch
import triton

from fastgan.ops._library import triton_interpreter

pytestmark = pytest.mark.skipif(triton_interpreter(), reason="this is the interpreter's session itself")


@pytest.mark.slow
def test_contract_in_the_interpreter():
    """The op tests again with every kernel interpreted; a process of its own, for triton reads the variable at import."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/ops", "-q", "-k", "triton", "-p", "no:cacheprovider"],
        env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-6000:]
    assert int(re.search(r"(\d+) passed", run.stdout)[1]) > 300, run.stdout[-1000:]


# float16 and float64 for one architecture: their code differs in the conversions alone
TARGETS = [(d, c) for d in (torch.float32, torch.bfloat16) for c in (80, 90, 100)]
TARGETS += [(torch.float16, 90), (torch.float64, 90)]
CASES = [
    # pass, activation, reads, by_row, wants the bias gradient
    pytest.param(0, "lrelu", "x", True, False, id="forward-rows"),
    pytest.param(0, "swish", "x", False, False, id="forward-swish-columns"),
    pytest.param(1, "lrelu", "y", True, True, id="backward-rows"),
    pytest.param(1, "lrelu", "y", False, True, id="backward-columns"),
    pytest.param(1, "softplus", "x", True, True, id="backward-softplus-rows"),
    pytest.param(2, "lrelu", "y", True, False, id="double-backward-rows"),
    pytest.param(2, "swish", "x", True, True, id="double-backward-swish-rows"),
    pytest.param(2, "selu", "x", False, True, id="double-backward-selu-columns"),
]


@pytest.mark.parametrize("dtype,capability", TARGETS, ids=lambda v: str(v).removeprefix("torch."))
@pytest.mark.parametrize("order,act,reads,by_row,need_db", CASES)
def test_compiles_ahead_of_time(capability, dtype, order, act, reads, by_row, need_db, tmp_path):
    """No spills, 128-bit accesses to tensors, shared memory that the architecture has."""
    from fastgan.ops._triton import ACCUMULATE
    from fastgan.ops.bias_act.triton import bias_act_kernel, blocks
    from tests.ops import triton_target

    def tensor(wanted: bool, dtype: torch.dtype = dtype) -> object:
        return triton.runtime.jit.MockTensor(dtype) if wanted else None

    curved = order == 2 and reads == "x"
    sums = torch.float64 if dtype == torch.float64 else torch.float32
    columns = 4096 if by_row else 128
    block_rows, block_columns = blocks(2048, columns, by_row, dtype)
    with triton_target.target(capability):
        compiled = bias_act_kernel.warmup(
            tensor(reads == "x"), tensor(reads == "x"), tensor(reads == "y"), tensor(order == 1 or curved),
            tensor(order == 2), tensor(order == 2), tensor(True), tensor(curved), tensor(need_db, sums),
            2048, columns, 128, 4096 if by_row else 1, 4, 0.2, 1.4, 256.0,
            PASS=order, ACT=act, BY_ROW=by_row, ACC=ACCUMULATE[dtype],
            BLOCK_ROWS=block_rows, BLOCK_COLUMNS=block_columns, grid=(1,),
        )  # fmt: skip
    used = triton_target.resources(compiled, tmp_path)
    assert used.stack == 0
    assert used.registers <= 128
    assert used.shared <= triton_target.SHARED_LIMIT[capability]
    ptx = compiled.asm["ptx"]
    assert re.search(r"ld\.global\.v[24]\.b(64|32)", ptx) and re.search(r"st\.global\.v[24]\.b(64|32)", ptx)


def test_compiles_for_amd(tmp_path):
    """The same source for gfx942, as far as Triton's AMD back end goes without ROCm."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from fastgan.ops.bias_act.triton import bias_act_kernel

    constants = {
        "y_ptr": None, "dy_ptr": None, "ddx_ptr": None, "ddb_ptr": None, "out_v_ptr": None, "partial_ptr": None,
        "PASS": 0, "ACT": "lrelu", "BY_ROW": True, "ACC": triton.language.float32, "BLOCK_ROWS": 2, "BLOCK_COLUMNS": 1024,
    }  # fmt: skip
    types = {
        "x_ptr": "*fp32",
        "b_ptr": "*fp32",
        "out_ptr": "*fp32",
        "alpha": "fp64",
        "gain": "fp64",
        "clamp": "fp64",
    }
    names = bias_act_kernel.arg_names
    signature = {n: "constexpr" if n in constants else types.get(n, "i32") for n in names}
    source = ASTSource(bias_act_kernel, signature, {(names.index(n),): v for n, v in constants.items()})
    compiled = triton.compile(source, target=GPUTarget("hip", "gfx942", 64))
    assert "global_store" in compiled.asm["amdgcn"]
