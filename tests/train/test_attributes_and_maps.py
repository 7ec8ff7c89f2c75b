"""stargan and gaugan in the trainer: resumed bit for bit."""

from __future__ import annotations

import pytest

from fastgan.recipes import GauGAN, StarGAN
from fastgan.train import Callback
from fastgan.train.checkpoint import load_checkpoint

RECIPES = {
    "stargan": StarGAN(resolution=16, batch=4, images=32, ngf=2, ndf=2, blocks=0, n_critic=2, ema=0.9),
    "gaugan": GauGAN(resolution=16, batch=4, images=16, ngf=1, ndf=2, hidden=4, patch=16, scales=1, ema=0.9),
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_resumes_bit_for_bit(run, name, assert_same):
    recipe = RECIPES[name]

    class Stop(Callback):
        def on_step(self, run, stats):
            run.stop()

    def final(result):
        state = load_checkpoint(result.run.latest_checkpoint).state
        return {key: value for key, value in state.items() if key != "seconds"}

    unbroken, _ = run(recipe, out="unbroken")
    broken, _ = run(recipe, callbacks=[Stop()])
    assert 0 < broken.nimg < recipe.images
    resumed, _ = run(recipe, resume=True)
    assert_same(final(resumed), final(unbroken))
