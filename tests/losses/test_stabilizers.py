"""Flipped labels, instance noise and feature matching."""

from __future__ import annotations

import pytest
import torch

from fastgan.losses.adversarial import ADVERSARIAL_LOSSES
from fastgan.losses.stabilizers import (
    annealed_std,
    feature_matching,
    flip_labels,
    instance_noise,
    layer_matching,
)


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 1, 2, 3)])
def test_flipped_images_change_places(shape):
    real, fake = torch.randn(shape), torch.randn(shape)
    flipped = torch.tensor([True, False, False, True])
    labelled_real, labelled_fake = flip_labels(real, fake, flipped)
    for n, flip in enumerate(flipped):
        assert torch.equal(labelled_real[n], fake[n] if flip else real[n])
        assert torch.equal(labelled_fake[n], real[n] if flip else fake[n])


def test_flipped_gradients_have_the_other_sign():
    real, fake = torch.zeros(2, requires_grad=True), torch.zeros(2, requires_grad=True)
    loss = ADVERSARIAL_LOSSES["wasserstein"].d(
        *flip_labels(real, fake, torch.tensor([True, False]))
    )
    loss.backward()
    assert real.grad.tolist() == [1 / 2, -1 / 2] and fake.grad.tolist() == [-1 / 2, 1 / 2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_instance_noise_adds_std_times_noise(dtype):
    images, noise = torch.randn(2, 3, 4, 4, dtype=dtype), torch.randn(2, 3, 4, 4)
    noisy = instance_noise(images, noise, 0.25)
    assert noisy.dtype == dtype
    torch.testing.assert_close(noisy, (images + 0.25 * noise.to(dtype)).to(dtype))
    assert torch.equal(instance_noise(images, noise, torch.tensor(0.25)), noisy)
    assert torch.equal(instance_noise(images, noise, 0.0), images)


def test_annealed_std_falls_to_zero_and_stays():
    assert [annealed_std(0.2, nimg, 1000) for nimg in (0, 500, 1000, 5000)] == [0.2, 0.1, 0.0, 0.0]


def test_feature_matching_compares_means_and_has_its_optimum_there():
    real, fake = (
        torch.tensor([[1.0, 0.0], [3.0, 4.0]]),
        torch.tensor([[2.0, 5.0]], requires_grad=True),
    )
    # The means are [2, 2] and [2, 5].
    loss = feature_matching(real, fake)
    assert loss.item() == 9
    (gradient,) = torch.autograd.grad(loss, fake)
    assert gradient.tolist() == [[0, 6]]
    at_the_mean = real.mean(0, keepdim=True).requires_grad_()
    assert not torch.autograd.grad(feature_matching(real, at_the_mean), at_the_mean)[0].any()
    assert feature_matching(real.bfloat16(), fake.bfloat16()).dtype == torch.float32


def test_layer_matching_adds_the_mean_distances_of_layers():
    real = [torch.zeros(2, 3, dtype=torch.float16), torch.ones(2, 1, 2, 2)]
    fake = [torch.tensor([[1.0, 2, 3], [0, 0, 0]], dtype=torch.float16), torch.zeros(2, 1, 2, 2)]
    distance = layer_matching(real, fake)
    assert distance.dtype == torch.float32 and distance == 1.0 + 1.0


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (
            lambda: flip_labels(torch.ones(4), torch.ones(4), torch.ones(4)),
            TypeError,
            ["bool", "float32"],
        ),
        (
            lambda: flip_labels(torch.ones(4), torch.ones(3), torch.ones(4) > 0),
            ValueError,
            ["[4]", "[3]"],
        ),
        (
            lambda: flip_labels(torch.ones(4, 2), torch.ones(4, 2), torch.ones(4, 2) > 0),
            ValueError,
            ["[4, 2]", "[N]"],
        ),
        (
            lambda: instance_noise(torch.ones(4, 1), torch.ones(4), 0.1),
            ValueError,
            ["[4, 1]", "[4]"],
        ),
        (
            lambda: feature_matching(torch.ones(4, 2), torch.ones(4, 3)),
            ValueError,
            ["[4, 2]", "[4, 3]"],
        ),
        (lambda: layer_matching([torch.ones(4)], []), ValueError, ["same layers", "1 and 0"]),
        (lambda: layer_matching([], []), ValueError, ["at least one", "0 and 0"]),
        (lambda: feature_matching(torch.ones(4), torch.ones(4)), ValueError, ["[N, ...]", "[4]"]),
        (lambda: annealed_std(-0.1, 0, 1), ValueError, ["-0.1", "at least 0"]),
        (lambda: annealed_std(0.1, 0, 0), ValueError, ["until at least 1"]),
    ],
)
def test_error(call, error, says):
    with pytest.raises(error) as caught:
        call()
    assert all(words in str(caught.value) for words in says), caught.value
