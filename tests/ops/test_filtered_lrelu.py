from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fastgan import ops
from tests.ops.contract import OpContract
from tests.specs import Sample, evaluate, first_mismatch, poisoned_memory
from tests.specs.filtered_lrelu import FILTERED_LRELU, random_sample, taps

#: Numbers of StyleGAN3's published code in float64, taken on a CPU.
VECTORS = json.loads((Path(__file__).parent / "filtered_lrelu_vectors.json").read_text())
CASES = {case["name"]: case for case in VECTORS["filtered_lrelu"]["cases"]}


class TestContract(OpContract):
    spec = FILTERED_LRELU


def waves(shape: list[int], phase: float, amplitude: float = 1.0) -> Tensor:
    n, c, h, w = torch.meshgrid(
        *(torch.arange(s, dtype=torch.float64) for s in shape), indexing="ij"
    )
    return amplitude * torch.sin(0.1 * (n + 2 * c + 3 * h + 5 * w) + phase)


def agrees(found: Tensor, expected: dict[str, Any], tolerance: float) -> bool:
    """Compare a tensor with its sums and those elements that are recorded."""
    found = found.cpu()
    weights = torch.cos(0.01 * torch.arange(found.numel(), dtype=torch.float64) + 0.5)
    pairs = [
        (found.sum(), expected["sum"]),
        (found.square().sum(), expected["sumsq"]),
        ((found.flatten() * weights).sum(), expected["wsum"]),
        *((found[tuple(e["idx"])], e["value"]) for e in expected["entries"]),
        *zip(found.flatten(), expected.get("values", [])),
    ]
    scale = max(1.0, expected["max_abs"])
    return list(found.shape) == expected["shape"] and all(
        abs(float(a) - b) <= tolerance * max(scale, abs(b)) for a, b in pairs
    )


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_stylegan3(backend, device, name):
    """Compare results, both gradients, and the second derivative along a direction."""
    case = CASES[name]
    fu, fd = (
        None if case[f] is None else torch.tensor(case[f], dtype=torch.float32, device=device)
        for f in ("fu_taps", "fd_taps")
    )
    x = waves(case["x_shape"], 0.05, case["x_amplitude"]).to(device).requires_grad_()
    channels = torch.arange(x.shape[1], dtype=torch.float64)
    b = 0.2 * torch.cos(channels + 0.3).to(device) if case["bias"] else None
    given = [x] if b is None else [x, b.requires_grad_()]
    y = ops.filtered_lrelu(x, fu, fd, b, **case["args"], backend=backend)
    dy = waves(list(y.shape), 0.7).to(device).requires_grad_()
    dx, *db = torch.autograd.grad(y, given, dy, create_graph=True)
    (ddy,) = torch.autograd.grad(dx, dy, waves(case["x_shape"], 1.3).to(device))
    # Theirs rounds 9 times the filter to float32 where up is 3.
    tolerance = 1e-6 if case["args"]["up"] == 3 else 1e-11
    for tensor, key in ((y.detach(), "y"), (dx.detach(), "dx"), (ddy, "ddy")):
        assert agrees(tensor, case[key], tolerance), key
    for gradient in db:
        expected = torch.tensor(case["db"], dtype=torch.float64)
        assert torch.allclose(gradient.detach().cpu(), expected, rtol=0, atol=100 * tolerance)


@pytest.mark.parametrize("case", VECTORS["lowpass"], ids=lambda c: f"{c['numtaps']}-{c['cutoff']}")
def test_design_lowpass_agrees_with_stylegan3(case):
    n = case["numtaps"]
    options = {key: case[key] for key in ("cutoff", "width", "fs", "radial")}
    f = ops.design_lowpass(n, **options)
    rows = {"taps_first_half": f}
    if case["radial"]:
        rows = {
            "row0_first_half": f[0],
            "centre_row_first_half": f[n // 2 - 1],
            "diag_first_half": f.diagonal(),
        }
    for key, row in rows.items():
        assert torch.allclose(row[: n // 2], torch.tensor(case[key]), rtol=0, atol=1e-8)
    assert f.shape == (n,) * (1 + case["radial"])
    assert torch.allclose(f, f.flip(list(range(f.ndim))), rtol=0, atol=1e-8)


def test_designs_of_odd_length_and_of_one_tap():
    options = {"cutoff": 3.0, "width": 8.0, "fs": 16.0}
    assert ops.design_lowpass(1, **options) is None
    line, disc = (ops.design_lowpass(9, radial=r, **options) for r in (False, True))
    # The largest tap is the centre, and both let a constant image through.
    assert line.argmax() == 4 and disc.argmax() == 40
    assert line.sum().item() == pytest.approx(1) and disc.sum().item() == pytest.approx(1)
    # β is 0 for so small an attenuation: no window.
    box = ops.design_lowpass(3, cutoff=4.0, width=0.1, fs=16.0)
    expected = torch.tensor([2 / torch.pi, 1, 2 / torch.pi])
    assert torch.allclose(box, expected / expected.sum())


def random_samples() -> Iterator[tuple[int, Sample]]:
    """Yield seeds and samples of arguments that the op doesn't refuse."""
    for seed in itertools.count():
        sample = random_sample(seed)
        try:
            sample.tensors(torch.float32, torch.device("cpu"))
        except ValueError:
            continue
        yield seed, sample


#: Sets of random arguments by backend, for a few seconds each.
FUZZED = {"cpu": 120, "emulated": 40, "triton": 8, "cuda": 1000}


@pytest.mark.usefixtures("one_thread")
def test_random_arguments(backend, device):
    """Check results and every second gradient, in each dtype in turn; a failure has its seed."""
    if backend == "reference":
        pytest.skip("what the others are compared with")
    samples = itertools.islice(random_samples(), FUZZED[backend])
    dtypes = itertools.cycle(FILTERED_LRELU.tolerance)
    for count, ((seed, sample), dtype) in enumerate(zip(samples, dtypes)):
        order = 2 * int(count % 2 == 0)
        tensors = sample.tensors(dtype, device)
        exact = [None if t is None else t.double().cpu() for t in tensors]
        reference = partial(FILTERED_LRELU.op, backend="reference")
        expected = evaluate(reference, exact, dict(sample.options), order=order)
        with poisoned_memory():
            op = partial(FILTERED_LRELU.op, backend=backend)
            found = evaluate(op, tensors, dict(sample.options), order=order)
        problem = first_mismatch(found, expected, FILTERED_LRELU.tolerance[dtype])
        assert problem is None, (
            f"random_sample({seed}) on {list(tensors[0].shape)} of {dtype}: {problem}"
        )


@pytest.mark.parametrize("clamp", [None, 0.0, 1.0])
def test_the_slope_at_zero_is_one(backend, device, clamp):
    """It is where the clamp is 0 too: it changes nothing there."""
    x = torch.zeros(1, 2, 4, 4, device=device, requires_grad=True)
    y = ops.filtered_lrelu(x, gain=1.0, slope=0.2, clamp=clamp, backend=backend)
    (dx,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(dx, torch.ones_like(dx))


def test_special_values(backend, device):
    """NaN passes, and the clamp bounds infinity."""
    x = torch.tensor([float("inf"), -float("inf"), float("nan"), 0.0], device=device)
    x = x.reshape(1, 1, 2, 2).requires_grad_()
    y = ops.filtered_lrelu(x, gain=1.0, clamp=2.0, backend=backend)
    assert y.flatten()[[0, 1, 3]].tolist() == [2, -2, 0] and bool(y.flatten()[2].isnan())
    (dx,) = torch.autograd.grad(y[0, 0, 0].sum(), x)
    assert dx.flatten().tolist() == [0, 0, 0, 0]


def test_codes_are_two_bits_per_upsampled_pixel():
    """The backward pass keeps a sixteenth of the memory of the upsampled image in float32."""
    kept: list[Tensor] = []
    x = torch.randn(2, 8, 17, 16, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        y = ops.filtered_lrelu(x, taps(12), taps(12), up=2, down=2, padding=(11, 10) * 2)
    upsampled = 2 * 8 * ((y.shape[2] - 1) * 2 + 12) * ((y.shape[3] - 1) * 2 + 12)
    codes = [t for t in kept if t.dtype == torch.uint8]
    assert [t.numel() * 16 for t in codes] == [4 * upsampled]
