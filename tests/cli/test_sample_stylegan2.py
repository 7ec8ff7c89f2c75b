"""`sample` and `project` with a StyleGAN2: every kind of picture, and errors."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fastgan.compat.networks import save_network
from fastgan.networks.stylegan2 import StyleGAN2Generator
from fastgan.recipes import ImageSpec, get_recipe
from fastgan.training.checkpoint import save_checkpoint
from fastgan.training.config import RunConfig
from fastgan.training.run_settings import RunSettings
from fastgan.training.state import TrainState
from tests.cli.tiles import TILE, same, tile

PIL = pytest.importorskip("PIL.Image")


def save_run(folder, *, classes=0, recipe="stylegan2", resolution=16, **settings):
    """A run's folder with a checkpoint of random weights."""
    images = ImageSpec(3, resolution, classes or 8)
    made = get_recipe(recipe)(**settings)
    state = TrainState.create(made, images)
    with torch.no_grad():
        for network in (state.networks["G"], *state.ema.values()):
            for name, parameter in network.named_parameters():
                if name.endswith("noise.strength"):
                    parameter.fill_(0.2)
    settings = RunSettings.of(made, data="shapes", resolution=resolution)
    config = RunConfig(made, settings, images, "shapes", "")
    save_checkpoint(folder / "checkpoints", config, state, keep=1)
    return folder


SMALL = {"z_dim": 8, "w_dim": 8, "channel_base": 128, "channel_max": 8, "mapping_layers": 2}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return save_run(tmp_path_factory.mktemp("run"), **SMALL)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    return save_run(tmp_path_factory.mktemp("labelled"), classes=3, conditional=True, **SMALL)


@pytest.fixture
def draw(fastgan, tmp_path):
    """Draws a picture; returns it as uint8 `[H, W, 3]`, and what was said."""

    def draw(checkpoint, *options, out="a.png"):
        outcome = fastgan("sample", checkpoint, "--out", tmp_path / out, *options)
        assert outcome.status == 0, outcome.err
        with PIL.open(tmp_path / out) as picture:
            return np.array(picture.convert("RGB")), outcome.out

    return draw


def test_a_seed_has_its_image_in_any_grid(draw, fastgan, run, tmp_path):
    wide, said = draw(run, "--seeds", "0-3,42", "--columns", 3)
    assert said.startswith(
        f"Made {tmp_path / 'a.png'}: 5 samples of stylegan2 after 0 images, from {run}"
    )
    assert wide.shape == (2 * TILE + 2, 3 * TILE + 2, 3) and not tile(wide, 1, 2).any()
    tall, _ = draw(run, "--seeds", "42,2", "--columns", 1)
    assert same(tile(tall, 0, 0), tile(wide, 1, 1)) and same(tile(tall, 1, 0), tile(wide, 0, 2))
    assert not same(tile(tall, 0, 0), tile(tall, 1, 0))
    from_two, _ = draw(run, "--seed", 2, "--rows", 1, "--columns", 2)
    assert same(tile(from_two, 0, 0), tile(wide, 0, 2)) and same(
        tile(from_two, 0, 1), tile(wide, 1, 0)
    )
    assert fastgan("sample", run, "--out", f"{tmp_path}/many/", "--seeds", "2,42").status == 0
    assert {path.name for path in (tmp_path / "many").iterdir()} == {"seed0002.png", "seed0042.png"}
    with PIL.open(tmp_path / "many" / "seed0042.png") as single:
        assert same(np.array(single), tile(wide, 1, 1)[::4, ::4])


def test_truncation_and_noise(draw, run):
    grid = ["--seeds", "0-1", "--columns", 2]
    plain, _ = draw(run, *grid)
    assert (draw(run, *grid, "--truncation-psi", 1, "--noise", "const")[0] == plain).all()
    average, _ = draw(run, *grid, "--truncation-psi", 0)
    assert same(tile(average, 0, 0), tile(average, 0, 1)) and not same(average, plain)
    assert (draw(run, *grid, "--truncation-psi", 0, "--truncation-cutoff", 0)[0] == plain).all()
    fresh, _ = draw(run, *grid, "--noise", "random")
    assert (fresh == draw(run, *grid, "--noise", "random")[0]).all()
    assert (fresh != plain).any() and (draw(run, *grid, "--noise", "none")[0] != plain).any()


def test_classes(draw, refused, run, labelled, tmp_path):
    shown = [
        draw(labelled, "--seeds", "0-5", "--columns", 6, "--class", label)[0] for label in range(3)
    ]
    assert not same(shown[0], shown[1]) and not same(shown[1], shown[2])
    mixed, _ = draw(labelled, "--seeds", "0-5", "--columns", 6)  # each of its seed's class
    classes = {
        next(label for label in range(3) if same(tile(mixed, 0, i), tile(shown[label], 0, i)))
        for i in range(6)
    }
    assert len(classes) > 1
    out = ["--out", tmp_path / "b.png", "--class"]
    assert "The class must be a number, 0 to 2, got '3'." in refused("sample", labelled, *out, 3)
    assert "--class has no meaning, since this network knows no classes: leave it out." in refused(
        "sample", run, *out, 0
    )


def test_a_mixing_table(draw, run):
    table, said = draw(run, "--mix", "0-1:10-12:coarse")
    assert "2 × 3 mixed samples of stylegan2" in said and table.shape == (
        3 * TILE + 2,
        4 * TILE + 2,
        3,
    )
    assert not tile(table, 0, 0).any()
    sources, _ = draw(run, "--seeds", "0-1,10-12", "--columns", 5)
    for i, (row, column) in enumerate([(1, 0), (2, 0), (0, 1), (0, 2), (0, 3)]):
        assert same(tile(table, row, column), tile(sources, 0, i))
    everything, _ = draw(run, "--mix", "0-1:10-12:0-5")
    # every style from the column: only the row's noise would be left, and that is constant
    assert all(same(tile(everything, 1, i), tile(everything, 0, i)) for i in (1, 2, 3))
    assert not same(tile(table, 1, 1), tile(everything, 1, 1))
    assert not same(tile(table, 1, 1), tile(table, 1, 0))


@pytest.mark.parametrize("space", ["w", "z"])
def test_a_walk(draw, fastgan, run, tmp_path, space):
    outcome = fastgan(
        "sample",
        run,
        "--out",
        tmp_path / "a.gif",
        "--interpolate",
        "3,5",
        "--frames",
        4,
        "--space",
        space,
    )
    assert outcome.status == 0 and "a video of 8 frames of stylegan2" in outcome.out
    keys, _ = draw(run, "--seeds", "3,5", "--columns", 2)
    with PIL.open(tmp_path / "a.gif") as video:
        assert (video.n_frames, video.size, video.info["duration"]) == (8, (64, 64), 40)
        for frame, column in ((0, 0), (4, 1)):
            video.seek(frame)
            shown = np.array(video.convert("RGB")).astype(int)
            assert np.abs(shown - tile(keys, 0, column)).mean() < 8  # of 256 colours


def test_the_middle_columns_of_a_walk(draw, run):
    options = ["--interpolate", "3,5", "--frames", 4]
    picture, said = draw(run, *options)
    assert "the middle column of pixels of 8 frames of stylegan2" in said
    keys, _ = draw(run, "--seeds", "3,5", "--columns", 2)
    assert picture.shape[0] == 64
    width = picture.shape[1] // 8
    for frame, column in ((0, 0), (4, 1)):
        shown = picture[:, frame * width : (frame + 1) * width]
        expected = tile(keys, 0, column)[:, 32 : 32 + width]
        assert np.abs(shown.astype(int) - expected.astype(int)).max() <= 1


def test_an_mp4(fastgan, run, tmp_path):
    pytest.importorskip("av")
    options = ["--interpolate", "0-1", "--frames", 3, "--fps", 10]
    assert fastgan("sample", run, "--out", tmp_path / "a.mp4", *options).status == 0
    assert (tmp_path / "a.mp4").stat().st_size > 500


def test_a_direction(draw, run):
    options = ["--direction", 1, "--seeds", "4,6", "--columns", 3]
    strips, said = draw(run, *options, "--strength", "-2..2")
    assert "2 × 3 samples along direction 1" in said and strips.shape == (
        2 * TILE + 2,
        3 * TILE + 2,
        3,
    )
    plain, _ = draw(run, "--seeds", "4,6", "--columns", 1)
    assert all(same(tile(strips, i, 1), tile(plain, i, 0)) for i in (0, 1))
    assert all((tile(strips, i, j) != tile(plain, i, 0)).any() for i in (0, 1) for j in (0, 2))
    assert (draw(run, *options, "--strength", "-2..2", "--layers", "coarse")[0] != strips).any()


def test_a_network_without_a_run(draw, refused, tmp_path):
    torch.manual_seed(0)
    made = {
        channels: StyleGAN2Generator(8, channels, w_avg_beta=None, **SMALL) for channels in (1, 2)
    }
    for channels, network in made.items():
        save_network(network, tmp_path / f"{channels}.safetensors", name="G_ema")
    _, said = draw(
        tmp_path / "1.safetensors", "--rows", 1, "--columns", 2, "--truncation-psi", 0.5
    )  # its mean of w is estimated
    assert said.endswith(f"2 samples of StyleGAN2, from {tmp_path / '1.safetensors'}.\n")
    assert (
        "Only grey and colour images can be written, but this network makes 2 channels."
        in refused("sample", tmp_path / "2.safetensors", "--out", tmp_path / "b.png")
    )


@pytest.mark.parametrize(
    "options, said",
    [
        (
            "--seeds 1-",
            "Seeds must be whole numbers from 0 to 4294967295 and ranges of them, such as "
            "0-15,42, got '1-'.",
        ),
        ("--seeds 7-0", "A range of seeds must not run backwards, got '7-0': write 0-7."),
        ("--seeds 0-10000", "Seeds must be at most 10,000, got '0-10000'."),
        (
            "--seeds 5 --seed 5",
            "--seeds chooses the images, so --seed has no meaning: leave it out.",
        ),
        ("--seeds 5 --rows 5", "--seeds chooses the images, so --rows has no meaning"),
        ("--seed -1", "--seed must be from 0 to "),
        (
            "--mix 0:1:coarse --direction 0",
            "--mix and --direction are two pictures: ask for one of them.",
        ),
        ("--mix 0:1:coarse --seeds 5", "--seeds has no meaning with --mix: leave it out."),
        (
            "--mix 0:1",
            "--mix must be ROWSEEDS:COLUMNSEEDS:LAYERS, such as 0-3:10-15:coarse, got '0:1'.",
        ),
        (
            "--mix 0-999:0-999:coarse",
            "--mix must make at most 10,000 images, got 1000 rows and 1000 columns.",
        ),
        ("--mix 0:1:fine", "The fine layers begin at 64 pixels, but this generator ends at 16"),
        (
            "--mix 0:1:rough",
            "layers must be coarse, middle, fine or a range from 0 to 5 such as 0-3, got 'rough'.",
        ),
        ("--frames 5", "--frames is for --interpolate: leave it out."),
        ("--strength 1..2", "--strength is for --direction: leave it out."),
        ("--direction 8", "--direction must be from 0 to 7, got 8."),
        ("--direction 0 --strength 3", "--strength must be two numbers, such as -3..3, got '3'."),
        (
            "--direction 0 --strength a..b",
            "--strength must be two numbers, such as -3..3, got 'a..b'.",
        ),
        ("--truncation-cutoff 3", "--truncation-cutoff needs --truncation-psi: give both."),
        (
            "--truncation-psi 1 --truncation-cutoff 7",
            "--truncation-cutoff must be at most 6, the styles of",
        ),
        ("--out a.jpg --interpolate 0-3", "--out must be a file that ends in .gif, .mp4 or .png, "),
        ("--out a.gif", "--out must be a file that ends in .png, got 'a.gif'."),
        (
            "--interpolate 3",
            "--interpolate must be two seeds or more, such as 0-3, got '3'.",
        ),
        ("--out a.gif --interpolate 0,1 --fps 0", "--fps must be from 1 to 100, got 0."),
        ("--out a.gif --mix 0:1:coarse", "--out must be a file that ends in .png, got 'a.gif'."),
    ],
)  # fmt: skip
def test_refused(refused, run, tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    out = [] if "--out" in options else ["--out", "a.png"]
    assert said in refused("sample", run, *out, *options.split())
    assert not list(tmp_path.iterdir())


def test_other_recipes_refuse_what_only_styles_can_do(refused, tmp_path):
    folder = save_run(
        tmp_path / "run", recipe="gan", resolution=8, z_dim=4, g_hidden=(8,), d_hidden=(8,)
    )
    for option, value, family in (
        ("truncation-psi", "0.5", "StyleGAN2 and 3"), ("noise", "none", "StyleGAN2"),
        ("mix", "0:1:coarse", "StyleGAN2 and 3"), ("direction", "1", "StyleGAN2 and 3"),
        ("rotate", "10", "StyleGAN3"),
    ):  # fmt: skip
        said = refused("sample", folder, "--out", tmp_path / "a.png", f"--{option}", value)
        assert (
            said == f"--{option} is for {family}, but this is a checkpoint of recipe 'gan': "
            "leave it out."
        )
    image = tmp_path / "x.png"
    PIL.new("RGB", (16, 16)).save(image)
    assert "Only a StyleGAN2 or 3 has styles to find, but this is gan after 0 images" in refused(
        "project", folder, image, "--out", tmp_path / "p"
    )


def test_project(fastgan, refused, run, tmp_path):
    assert fastgan("sample", run, "--out", f"{tmp_path}/many/", "--seeds", "7").status == 0
    image, out = tmp_path / "many" / "seed0007.png", tmp_path / "found"
    outcome = fastgan(
        "project", run, image, "--out", out, "--steps", 6, "--space", "w+", "--video", "gif"
    )
    assert outcome.status == 0, outcome.err
    assert f"Made {out}: {image} as stylegan2 after 0 images, from {run}" in outcome.out
    distances = json.loads((out / "distances.json").read_text())
    assert (
        len(distances) == 7
        and f"perceptual distance {distances[-1]:.4f}, from {distances[0]:.4f}" in outcome.out
    )
    latent = load_file(out / "latent.safetensors")
    assert latent["ws"].shape == (1, 6, 8) and latent["b16.conv1.noise.const"].shape == (16, 16)
    with PIL.open(out / "target.png") as target, PIL.open(image) as given:
        assert target.tobytes() == given.tobytes()
    with PIL.open(out / "projected.png") as projected, PIL.open(out / "way.gif") as way:
        assert projected.size == (16, 16) and way.size == (64, 64) and way.n_frames > 1

    def refuses(*options, image=image, out=out):
        return refused("project", run, image, "--out", out, *options)

    assert "--steps must be at least 1, got 0." in refuses("--steps", 0)
    assert "--video must be gif or mp4, got 'avi'." in refuses("--video", "avi")
    assert "--out must be a folder, but " in refuses(out=image)
    assert "can't be read: No such file or directory." in refuses(image=tmp_path / "nothing.png")
    (tmp_path / "broken.png").write_text("x")
    assert "can't be read: not an image." in refuses(image=tmp_path / "broken.png")
    made = StyleGAN2Generator(8, 3, base=(4, 8), **SMALL)
    save_network(made, tmp_path / "wide.safetensors", name="G_ema")
    said = refused("project", tmp_path / "wide.safetensors", image, "--out", out)
    assert "this network makes 3×8×16: use fastgan.latent.project from Python." in said


def test_a_stylegan3_moves_and_has_no_noise(draw, refused, run, tmp_path):
    small = {**SMALL, "channel_base": 64, "num_layers": 3}
    folder = save_run(tmp_path / "run", recipe="stylegan3-r", **small)
    still, _ = draw(folder, "--seeds", "3")
    moved, _ = draw(folder, "--seeds", "3", "--translate", "0.25", "0", "--rotate", "0")
    turned, _ = draw(folder, "--seeds", "3", "--rotate", "45", "--truncation-psi", "0.9")
    assert (
        moved.shape == turned.shape == still.shape
        and len({a.tobytes() for a in (still, moved, turned)}) == 3
    )
    assert "--noise is for StyleGAN2, but this is stylegan3-r" in refused(
        "sample", folder, "--out", tmp_path / "a.png", "--noise", "none"
    )
    assert "--rotate is for StyleGAN3, but this is stylegan2" in refused(
        "sample", run, "--out", tmp_path / "a.png", "--rotate", "10"
    )
