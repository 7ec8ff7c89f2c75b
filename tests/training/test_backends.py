"""The trainer computes the same on every backend."""

from __future__ import annotations

import pytest
import torch

from fastgan import ops
from fastgan.recipes import DCGAN, GAN, Batch, ImageSpec
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

RECIPES = {
    "gan": GAN(z_dim=8, g_hidden=(16, 16), d_hidden=(16,), ema=0.9),
    "dcgan": DCGAN(z_dim=8, ngf=8, ndf=8, ema=0.9),
}


def losses(recipe, backend, steps=5):
    generator = torch.Generator().manual_seed(0)
    batches = [
        Batch(
            torch.rand(8, 1, 16, 16, generator=generator) * 2 - 1, torch.zeros(8, dtype=torch.int64)
        )
        for _ in range(steps)
    ]
    state = TrainState.create(recipe, ImageSpec(1, 16))
    with ops.use_backend(backend):
        step = TrainStep(state)
        stats = [step([batch]) for batch in batches]
    return torch.tensor([[float(value) for value in row.values()] for row in stats])


@pytest.mark.parametrize("name", RECIPES)
def test_reference_and_native_agree_over_the_first_steps(name):
    if not ops.backends()["cpu"].usable:
        pytest.skip(ops.backends()["cpu"].reason)
    reference, native = losses(RECIPES[name], "reference"), losses(RECIPES[name], "cpu")
    torch.testing.assert_close(native, reference, rtol=1e-4, atol=1e-5)
    assert torch.equal(native, losses(RECIPES[name], "cpu"))


@pytest.mark.gpu
@pytest.mark.parametrize("backend", ["reference", "triton", "cuda"])
@pytest.mark.parametrize("name", RECIPES)
def test_a_gpu_trains(name, backend, tmp_path):
    from fastgan.training.loop import train

    if not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device")
    if not ops.backends()[backend].usable:
        pytest.skip(ops.backends()[backend].reason)
    recipe = type(RECIPES[name])(batch=16)
    settings = {"data": "digits", "resolution": 16, "total_images": 160}
    with ops.use_backend(backend):
        result = train(recipe, out=str(tmp_path / "run"), device="cuda", **settings)
    assert result.nimg == 160
