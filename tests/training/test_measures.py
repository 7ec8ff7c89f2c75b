"""Measures of a run and of a checkpoint equal their functions, or are refused before training."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from fastgan.data import InMemoryDataset, open_dataset, to_float
from fastgan.data.digits import DIGIT_NAMES
from fastgan.data.ring import Ring
from fastgan.data.stacked_mnist import StackedMnist
from fastgan.evaluation import measures as room
from fastgan.evaluation.measures import draw_neighbours, evaluate, main_measure, measure
from fastgan.evaluation.plan import has_measures, make_plan
from fastgan.inference.samples import sample_batches, sample_images
from fastgan.metrics import (
    MetricError,
    classifier_score,
    fd_mobilenet_v2,
    features,
    frechet_distance,
    kernel_distance,
    load_digit_classifier,
    prdc,
)
from fastgan.metrics.features import mobilenet_v2
from fastgan.metrics.figures import figures, main_figure
from fastgan.metrics.frechet import FeatureStatistics
from fastgan.recipes import CGAN, GAN, ImageSpec, StyleGAN2, StyleGAN3T
from fastgan.seeds import derive_seed
from fastgan.training import RunOptions, loop
from fastgan.training.checkpoint import load_checkpoint, restore
from fastgan.training.config import ConfigError, load_options, save_options
from fastgan.training.state import TrainState


@pytest.fixture(scope="module")
def real():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (60, 1, 8, 8), generator=generator, dtype=torch.uint8)


@pytest.fixture(scope="module")
def ten(real):
    return InMemoryDataset("ten", real, torch.arange(60) % 10, class_names=DIGIT_NAMES)


@pytest.fixture
def untrained(tiny):
    """Return a recipe, untrained networks, and 30 of their samples as measures draw them."""
    networks = TrainState.create(tiny, ImageSpec(1, 8)).sampler
    return (
        tiny,
        networks,
        sample_images(tiny, networks, 30, seed=derive_seed(0, "measures")),
    )


def test_a_run_that_asks_for_fd_has_it_beside_the_measures_of_its_data(run, tiny, real, ten):
    result, _ = run(tiny, dataset=ten, measure="fd", measure_samples=30)
    results = result.measures
    assert results.keys() == {
        "samples",
        "classes_hit",
        "num_classes",
        "kl_to_uniform",
        "largest_class",
        "smallest_class",
        "sure",
        "fd_mobilenet_v2",
    }
    assert main_measure(results) == "fd_mobilenet_v2"
    assert json.loads(result.run.measures.read_text()) == results

    state = TrainState.create(result.config.recipe, result.config.image_spec)
    restore(state, load_checkpoint(result.run.latest_checkpoint), result.run.latest_checkpoint)
    images = sample_images(tiny, state.sampler, 30, seed=derive_seed(0, "measures"))
    assert results["fd_mobilenet_v2"] == pytest.approx(
        fd_mobilenet_v2(images, to_float(real)), rel=1e-4
    )


def test_no_measures_where_none_are_wanted(run, tiny, ten):
    result, said = run(tiny, dataset=ten, measure="none", measure_every=100)
    assert result.measures == {} and not result.run.best_checkpoint.exists()
    assert "measure none takes none, so measure_every changes nothing." in said


def test_figures_in_features_are_those_of_their_functions(untrained, real, ten):
    recipe, networks, images = untrained
    results = evaluate(
        recipe,
        networks,
        ten,
        ("prdc", "kd", "score", "fd"),
        features="digits",
        samples=30,
    )
    network = load_digit_classifier()
    fake, true = network.features(images), network.features(to_float(real))
    kd, score = kernel_distance(fake, true), classifier_score(network.classify(fake))
    expected = {
        "kd_digits": kd.mean,
        "kd_digits_std": kd.std,
        "score_digits": score.mean,
        "score_digits_std": score.std,
        **{f"{name}_digits": value for name, value in prdc(true[::2], fake)._asdict().items()},
    }
    got = dict(results["measures"])
    assert got.pop("fd_digits") > 0 and got == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert results["settings"] == {
        "metrics": ["prdc", "kd", "score", "fd"],
        "samples": 30,
        "seed": 0,
        "features": {
            "network": "digits",
            "sha256": network.sha256,
            "images": network.preparation,
            "real_images": 60,
        },
        "kd": {"subsets": 100, "subset_size": 30, "seed": 0},
        "score": {"splits": 10},
        "prdc": {"vectors": 30, "precision_neighbour": 3, "density_neighbour": 5},
    }
    assert results["data"]["fingerprint"] == ten.fingerprint and "torch" in results["versions"]
    json.dumps(results)


def test_figures_do_not_depend_on_the_batches(untrained, ten, monkeypatch):
    recipe, networks, _ = untrained

    def taken():
        asked = ("fd", "kd", "prdc", "modes", "ppl")
        return evaluate(recipe, networks, ten, asked, features="digits", samples=30)["measures"]

    first = taken()
    monkeypatch.setattr(
        room, "sample_batches", lambda *args, **more: sample_batches(*args, **more, chunk=7)
    )
    monkeypatch.setattr("fastgan.metrics.digits.DigitClassifier.chunk", 4)
    monkeypatch.setattr("fastgan.latent.path_length._CHUNK", 9)
    assert taken() == pytest.approx(first, rel=1e-3, abs=1e-6)
    assert first["ppl_z"] > 0 and "ppl_w" not in first


def test_paths_in_w_and_with_labels(ten):
    recipe = StyleGAN2(
        z_dim=4,
        w_dim=4,
        channel_base=32,
        channel_max=4,
        mapping_layers=1,
        conditional=True,
    )
    networks = TrainState.create(recipe, ImageSpec(1, 8, 10)).sampler
    with torch.no_grad():
        for name, parameter in networks["G"].named_parameters():
            if name.endswith("noise.strength"):
                # Random noise would be most of a small step.
                parameter.fill_(0.5)
    results = evaluate(recipe, networks, ten, ("ppl",), samples=20)
    assert results["measures"].keys() == {"ppl_z", "ppl_w"}
    assert all(0 < value < 1e4 for value in results["measures"].values())
    assert results["settings"]["ppl"]["paths"] == 20 and "features" not in results["settings"]


def test_equivariance_is_measured_of_a_generator_whose_input_moves(ten):
    recipe = StyleGAN3T(
        z_dim=4, w_dim=4, channel_base=64, channel_max=4, mapping_layers=1, num_layers=3,
        conditional=True,
    )  # fmt: skip
    networks = TrainState.create(recipe, ImageSpec(1, 16, 10)).sampler
    names = ("eqr", "eqt", "eqt_frac")
    found = evaluate(recipe, networks, ten, names, samples=10)
    assert set(found["measures"]) == set(names)
    assert all(10 < value < 150 for value in found["measures"].values())
    assert evaluate(recipe, networks, ten, names, samples=10)["measures"] == found["measures"]
    assert main_figure(found["measures"]) is None
    other = StyleGAN2(z_dim=4, w_dim=4, channel_base=64, channel_max=4, mapping_layers=1)
    with pytest.raises(MetricError, match="stylegan2 has no input that moves, so eqt can't be"):
        make_plan(other, ten, ("eqt", "eqr"))


def test_modes_of_points_count_samples_near_them():
    dataset = Ring(length=60)
    recipe = GAN(z_dim=4, g_hidden=(8,), d_hidden=(8,), batch_norm=False)

    class Real(GAN):
        """Recipe that draws the data set's points, every other one moved to the middle."""

        def sample(self, networks, count, *, generator, rows=None, label=None):
            points = to_float(dataset.batch(torch.arange(count))[0])
            points[::2] = 0
            return points

    networks = TrainState.create(recipe, ImageSpec.of(dataset)).sampler
    measured = measure(Real(), networks, dataset, samples=50)
    assert measured["classes_hit"] == measured["num_classes"] == 8
    assert 0.4 < measured["near_modes"] <= 0.5
    with pytest.raises(MetricError, match="fd compares pictures, but ring holds points: ask for"):
        make_plan(recipe, dataset, ("modes", "fd"))


def test_stacked_digits_are_counted_by_channel(untrained):
    dataset = StackedMnist(resolution=16)
    recipe = GAN(z_dim=4, g_hidden=(8,), d_hidden=(8,), batch_norm=False)
    plan = make_plan(recipe, dataset, ("modes",))
    assert (
        plan.samples == 25_600 and make_plan(recipe, dataset, ("modes",), samples=10).samples == 10
    )
    assert make_plan(recipe, dataset, ("fd",)).samples == 2_000

    class Real(GAN):
        """Recipe that draws the data set's own images."""

        def sample(self, networks, count, *, generator, rows=None):
            self.__dict__["drawn"] = first = self.__dict__.get("drawn", 0)
            self.__dict__["drawn"] += count
            return to_float(dataset.batch(torch.arange(first, first + count))[0])

    networks = TrainState.create(recipe, ImageSpec(3, 16)).sampler
    results = measure(Real(), networks, dataset, samples=600)
    labels = dataset.batch(torch.arange(600))[1]
    assert results["num_classes"] == 1000
    assert abs(results["classes_hit"] - len(labels.unique())) < 15
    assert results["sure"] > 0.9 and 1 / 600 <= results["largest_class"] < 0.02
    collapsed = measure(recipe, networks, dataset, samples=200)
    assert collapsed["classes_hit"] < 50 and collapsed["kl_to_uniform"] > 3
    assert not has_measures(StackedMnist(resolution=16, channels=1))


def test_samples_of_the_requested_class_are_counted():
    """The network draws the requested digit, but a zero for 5 to 9."""
    dataset = open_dataset("mnist5k", resolution=32)
    labels = dataset.batch(torch.arange(len(dataset)))[1]

    class Real(CGAN):
        """Recipe that draws a real digit of the class, or a zero."""

        def images_of(self, networks, z, classes):
            rows = [int((labels == (c if c < 5 else 0)).nonzero()[0]) for c in classes.cpu()]
            return to_float(dataset.batch(torch.tensor(rows))[0])

    recipe = Real(ngf=4, ndf=4, z_dim=4)
    networks = TrainState.create(recipe, ImageSpec.of(dataset)).sampler
    results = measure(recipe, networks, dataset, samples=200)
    generator = torch.Generator().manual_seed(derive_seed(0, "measures"))
    _, classes = recipe.draw_inputs(networks, 200, generator=generator)
    assert results["as_requested"] == pytest.approx((classes < 5).float().mean().item(), abs=1e-4)
    assert results["smallest_class"] == 0 and results["largest_class"] > 0.5


def test_the_floor_is_the_distance_of_real_images_from_others(untrained):
    recipe, networks, _ = untrained
    dataset = open_dataset("digits", resolution=8)
    found = evaluate(recipe, networks, dataset, ("fd",), features="digits", samples=100)
    network = load_digit_classifier()
    images = to_float(dataset.batch(torch.arange(len(dataset)))[0])
    features = network.features(images)
    rows = torch.arange(100) * len(dataset) // 100
    others = torch.ones(len(dataset), dtype=torch.bool)
    others[rows] = False
    theirs = FeatureStatistics(), FeatureStatistics()
    theirs[0].update(features[rows])
    theirs[1].update(features[others])
    (a, b) = theirs
    expected = frechet_distance(a.mean, a.covariance, b.mean, b.covariance)
    assert found["floors"] == pytest.approx({"fd_digits": expected}, rel=1e-4)
    assert 0 < 10 * found["floors"]["fd_digits"] < found["measures"]["fd_digits"]


@pytest.mark.parametrize("where", ["digits", None])
def test_neighbours_of_samples_that_are_real(ten, real, where):
    class Copies(GAN):
        """Recipe that draws real images with a little noise."""

        def sample(self, networks, count, *, generator, rows=None):
            rows = torch.randint(60, (count,), generator=generator)
            return to_float(real[rows]) + 0.01

    networks = TrainState.create(GAN(), ImageSpec(1, 8)).sampler
    picture = draw_neighbours(Copies(), networks, ten, features=where, rows=4, columns=2)
    assert picture.shape == (3, 4 * 66 + 2, 3 * 66 + 2)
    for row in range(4):
        sample, copied, other = (
            picture[0, 2 + 66 * row :, 2 + 66 * column :][:64, :64].float() for column in range(3)
        )
        assert (sample - copied).abs().max() <= 2 and (sample - other).abs().max() > 20
    with pytest.raises(
        MetricError, match="at least 61 images, one for each neighbour, got 60 in ten"
    ):
        draw_neighbours(Copies(), networks, ten, columns=61)


def test_fd_is_refused_before_training_where_the_weights_are_missing(
    run, tiny, tmp_path, monkeypatch
):
    monkeypatch.setattr(features, "PACKAGE", "no-such-weights")
    mobilenet_v2.cache_clear()
    with pytest.raises(MetricError, match="no-such-weights"):
        run(tiny, measure="fd")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"measure": ("modes",)},
            "modes of noise can't be counted, since only digits, stacked-mnist, faces and ring",
        ),
        (
            {"measure": ("fid",), "measure_features": "digits"},
            "features must be inception for fid, got",
        ),
        (
            {"measure": ("kid",), "measure_weights": "no.pth"},
            "no.pth' can't be read|need torch-fidelity",
        ),
    ],
)
def test_what_cannot_be_taken_is_refused_before_training(run, tiny, tmp_path, options, said):
    with pytest.raises(MetricError, match=said):
        run(tiny, **options)
    assert not (tmp_path / "run").exists()


def test_plans_that_are_refused(tiny, ten):
    with pytest.raises(MetricError, match="samples must be at least 10, got 9"):
        make_plan(tiny, ten, ("fd",), samples=9)
    few = InMemoryDataset(
        "few", torch.zeros(9, 1, 8, 8, dtype=torch.uint8), torch.zeros(9, dtype=torch.int64)
    )
    with pytest.raises(MetricError, match="at least 10 real images to compare with, got 9"):
        make_plan(tiny, few, ("fd",))
    with pytest.raises(MetricError, match="gan makes no images of z, so it has no paths"):
        make_plan(type("Translation", (), {"name": "gan"})(), ten, ("ppl",))
    plan = make_plan(tiny, ten, ("fid", "is", "fd", "modes"))
    assert plan == (("fd", "score", "modes"), "inception", 2000)


def test_options_of_measures_and_of_older_runs(tmp_path):
    path = tmp_path / "options.json"
    options = RunOptions(measure=("fd", "prdc"), measure_samples=50)
    save_options(path, options)
    assert load_options(path, RunOptions()) == options
    older = json.loads(path.read_text())
    for name in [name for name in older if name.startswith("measure_") and name != "measure_every"]:
        del older[name]
    path.write_text(json.dumps(older | {"measure": "fd"}))
    assert load_options(path, RunOptions()) == RunOptions(measure=("fd",))
    for bad, said in [
        ("fdd", r"measure must be a tuple of auto, none, fd, .*, got \('fdd',\)"),
        (("none", "fd"), "measure none excludes other measures, got none fd: leave none out"),
    ]:
        with pytest.raises(ConfigError, match=said):
            RunOptions(measure=bad)
    with pytest.raises(ConfigError, match="measure_samples must be at least 10, got 3"):
        dataclasses.replace(RunOptions(), measure_samples=3)


def test_figures_name_their_features_and_the_best_goes_by_the_finest():
    measures = {
        "samples": 20, "classes_hit": 1000, "num_classes": 1000, "kl_to_uniform": 0.12345,
        "kd_digits": 0.0123456, "kd_digits_std": 0.00123, "precision_inception": 0.5,
        "fid": 12.3456, "is": 9.5, "is_std": 0.25, "ppl_w": 100.0,
    }  # fmt: skip
    assert [tuple(figure) for figure in figures(measures)] == [
        ("classes that appear", "1,000 of 1,000", "higher"),
        ("KL to uniform", "0.123", "lower"),
        ("KD-digits", "0.01235 ± 0.0012", "lower"),
        ("precision, Inception", "0.5", "higher"),
        ("FID", "12.35", "lower"),
        ("IS", "9.5 ± 0.25", "higher"),
        ("path length in w, embedded network", "100", "lower"),
    ]
    assert main_figure(measures) == "fid"
    del measures["fid"]
    assert main_figure(measures) == "kd_digits"
    del measures["kd_digits"]
    assert main_figure(measures) == "kl_to_uniform"
    assert main_figure({"samples": 3, "is": 2.0}) is None and loop.main_measure is main_figure
