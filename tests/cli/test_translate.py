"""`fastgan translate`: pictures and folders of any size, files that it keeps, and errors."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from fastgan.data import InputSpec
from fastgan.recipes import GAN, CycleGAN, GauGAN, ImageSpec, Inpaint, Pix2Pix, StarGAN
from fastgan.training.checkpoint import save_checkpoint
from fastgan.training.config import RunConfig
from fastgan.training.run_settings import RunSettings
from fastgan.training.state import TrainState

PIL = pytest.importorskip("PIL.Image")
RECIPES = {
    "pix2pix": (Pix2Pix(ngf=2, ndf=2, patch=16), {"input": InputSpec("image", channels=3)}),
    "grey": (
        Pix2Pix(ngf=2, ndf=2, patch=16, dropout=0.0),
        {"input": InputSpec("image", channels=1)},
    ),
    "cyclegan": (
        CycleGAN(ngf=2, ndf=2, patch=16, blocks=0),
        {"other": InputSpec("image", channels=3)},
    ),
    "stargan": (
        StarGAN(ngf=2, ndf=2, blocks=0),
        {
            "attributes": InputSpec(
                "attributes", names=("colour=red", "colour=blue", "striped"), groups=((0, 1),)
            )
        },
    ),
    "gaugan": (
        GauGAN(ngf=1, ndf=2, hidden=2, patch=16, scales=1),
        {"map": InputSpec("map", names=("sky", "sea", "sand"))},
    ),
    "inpaint": (Inpaint(ngf=2, ndf=2, patch=16), {}),
    "gan": (GAN(z_dim=4, g_hidden=(4,), d_hidden=(4,)), {}),
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The folder of a checkpoint of each recipe, untrained."""
    root = tmp_path_factory.mktemp("runs")
    for name, (recipe, inputs) in RECIPES.items():
        images = ImageSpec(3, 16, inputs=inputs)
        config = RunConfig(recipe, RunSettings.of(recipe), images, "shapes", "")
        save_checkpoint(
            root / name / "checkpoints", config, TrainState.create(recipe, images), keep=1
        )
    return root


@pytest.fixture
def pictures(tmp_path):
    """A folder of three pictures: one turned by EXIF, one with alpha, one grey in a sub-folder."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    draw = np.random.default_rng(0)
    exif = PIL.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    PIL.fromarray(draw.integers(0, 256, (20, 33, 3), dtype=np.uint8)).save(
        folder / "turned.jpg", exif=exif
    )
    PIL.fromarray(draw.integers(0, 256, (18, 25, 4), dtype=np.uint8)).save(folder / "alpha.png")
    PIL.fromarray(draw.integers(0, 256, (16, 16), dtype=np.uint8)).save(folder / "sub" / "grey.bmp")
    return folder


def read(path):
    with PIL.open(path) as picture:
        return np.array(picture)


def test_a_folder_is_translated_and_stays_as_it_was(fastgan, checkpoint, pictures, tmp_path):
    before = {path: path.read_bytes() for path in pictures.rglob("*.*")}
    outcome = fastgan("translate", checkpoint / "pix2pix", pictures, "--out", tmp_path / "out")
    assert outcome.status == 0, outcome.err
    assert outcome.out.startswith(
        f"Made 3 pictures in {tmp_path / 'out'} with pix2pix after 0 images, from "
    )
    found = {
        path.relative_to(tmp_path / "out").as_posix(): read(path)
        for path in (tmp_path / "out").rglob("*.png")
    }
    assert {name: array.shape for name, array in found.items()} == {
        "turned.png": (33, 20, 3), "alpha.png": (18, 25, 4), "sub/grey.png": (16, 16, 3),
    }  # fmt: skip
    assert np.array_equal(found["alpha.png"][:, :, 3], read(pictures / "alpha.png")[:, :, 3])
    assert {path: path.read_bytes() for path in pictures.rglob("*.*")} == before


def test_a_picture_is_what_the_network_makes_of_it(fastgan, checkpoint, pictures, tmp_path):
    picture = pictures / "sub" / "grey.bmp"
    for name, direction, network in (
        ("grey", [], "G"),
        ("cyclegan", [], "G_AB"),
        ("cyclegan", ["--direction", "BtoA"], "G_BA"),
    ):
        out = tmp_path / f"{name}{network}"
        assert (
            fastgan("translate", checkpoint / name, picture, "--out", out, *direction).status == 0
        )
        recipe, inputs = RECIPES[name]
        networks = TrainState.create(recipe, ImageSpec(3, 16, inputs=inputs)).sampler
        x = torch.from_numpy(read(picture)).float()[None, None] / 127.5 - 1
        with torch.no_grad():
            expected = networks[network].eval()(x if name == "grey" else x.expand(1, 3, -1, -1))
        expected = ((expected[0].permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255).numpy()
        assert np.abs(read(out / "grey.png").astype(float) - expected).max() <= 1


def ready(name):
    recipe, inputs = RECIPES[name]
    networks = TrainState.create(recipe, ImageSpec(3, 16, inputs=inputs)).sampler
    return recipe, {key: network.eval() for key, network in networks.items()}


def as_written(images):
    return ((images[0].permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255).numpy()


def test_pictures_are_given_the_attributes_asked_for(fastgan, checkpoint, pictures, tmp_path):
    """Those not asked for are D's to tell, of the whole picture, in all of its tiles."""
    source, out = pictures / "wide.png", tmp_path / "out"
    PIL.fromarray(np.random.default_rng(1).integers(0, 256, (16, 28, 3), dtype=np.uint8)).save(
        source
    )
    made = fastgan(
        "translate", checkpoint / "stargan", source, pictures / "sub", "--out", out,
        "--attributes", "blue", "not striped",
    )  # fmt: skip
    assert made.status == 0, made.err
    assert read(out / "grey.png").shape == (16, 16, 3)
    _, networks = ready("stargan")
    x = torch.from_numpy(read(source)).permute(2, 0, 1).float()[None] / 127.5 - 1
    with torch.no_grad():
        expected = networks["G"](x, torch.tensor([[0.0, 1, 0]]))
    assert np.abs(read(out / "wide.png").astype(float) - as_written(expected)).max() <= 1
    tiled = tmp_path / "tiled"
    options = ("--attributes", "striped", "--tile", 16)
    assert (
        fastgan("translate", checkpoint / "stargan", source, "--out", tiled, *options).status == 0
    )
    assert read(tiled / "wide.png").shape == (16, 28, 3)


@pytest.mark.parametrize("palette", [False, True])
def test_maps_become_images(fastgan, checkpoint, tmp_path, palette):
    indices = np.random.default_rng(0).integers(0, 3, (18, 9), dtype=np.uint8)
    picture = PIL.fromarray(indices)
    if palette:
        picture = PIL.frombytes("P", (9, 18), indices.tobytes())
        picture.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200])
    picture.save(tmp_path / "map.png")
    made = fastgan(
        "translate", checkpoint / "gaugan", tmp_path / "map.png", "--out", tmp_path / "out"
    )
    assert made.status == 0, made.err
    recipe, networks = ready("gaugan")
    # 20×12 are the next multiples of 4.
    whole = torch.from_numpy(np.pad(indices, ((1, 1), (1, 2)), mode="reflect")).long()[None]
    with torch.no_grad():
        expected = recipe.translate(networks, {"map": whole}, generator=torch.Generator())
    expected = as_written(expected[:, :, 1:19, 1:10])
    assert np.abs(read(tmp_path / "out" / "map.png").astype(float) - expected).max() <= 1


def test_what_is_not_opaque_is_filled(fastgan, refused, checkpoint, pictures, tmp_path):
    pixels = np.random.default_rng(2).integers(0, 256, (16, 16, 4), dtype=np.uint8)
    pixels[:, :, 3] = 255
    pixels[4:9, 6:12, 3] = [0, 50, 100, 150, 200, 254]
    PIL.fromarray(pixels).save(tmp_path / "hole.png")
    out = tmp_path / "out"
    made = fastgan("translate", checkpoint / "inpaint", tmp_path / "hole.png", "--out", out)
    assert made.status == 0, made.err
    found, known = read(out / "hole.png"), pixels[:, :, 3] == 255
    assert found.shape == (16, 16, 3) and np.array_equal(found[known], pixels[known][:, :3])
    recipe, networks = ready("inpaint")
    inputs = {
        "image": torch.from_numpy(pixels[:, :, :3]).permute(2, 0, 1).float()[None] / 127.5 - 1,
        "mask": torch.from_numpy(~known).float()[None, None],
    }
    with torch.no_grad():
        expected = as_written(recipe.translate(networks, inputs, generator=torch.Generator()))
    assert np.abs(found.astype(float) - expected).max() <= 1
    opaque = pictures / "sub" / "grey.bmp"
    assert refused("translate", checkpoint / "inpaint", opaque, "--out", out) == (
        f"inpaint fills the transparent part of a picture, but {str(opaque)!r} is opaque: erase "
        f"the part to "
        "fill, and save the picture as PNG."
    )


def test_tiles_and_seeds(fastgan, checkpoint, pictures, tmp_path):
    outs = []
    for options in ([], [], ["--seed", 1], ["--tile", 16]):
        outs.append(tmp_path / str(len(outs)))
        assert (
            fastgan(
                "translate",
                checkpoint / "pix2pix",
                pictures / "turned.jpg",
                "--out",
                outs[-1],
                *options,
            ).status
            == 0
        )
    same, again, seeded, tiled = (read(out / "turned.png") for out in outs)
    assert np.array_equal(same, again) and not np.array_equal(same, seeded)
    assert tiled.shape == same.shape and not np.array_equal(tiled, same)


def test_nothing_is_overwritten(fastgan, refused, checkpoint, pictures, tmp_path):
    out = tmp_path / "out"
    arguments = ("translate", checkpoint / "grey", pictures / "alpha.png", "--out", out)
    assert fastgan(*arguments).status == 0
    (out / "alpha.png").write_bytes(b"mine")
    assert refused(*arguments).endswith(
        "alpha.png' exists: choose another --out, or replace it with --force."
    )
    assert (out / "alpha.png").read_bytes() == b"mine"
    assert fastgan(*arguments, "--force").status == 0 and read(out / "alpha.png").shape == (
        18,
        25,
        4,
    )
    # The originals, not even then.
    original = (pictures / "alpha.png").read_bytes()
    assert refused(
        "translate", checkpoint / "grey", pictures, "--out", pictures, "--force"
    ).endswith("is one of the originals: choose another --out.")
    assert (pictures / "alpha.png").read_bytes() == original


def test_a_broken_picture_is_left_out_by_name(fastgan, refused, checkpoint, pictures, tmp_path):
    (pictures / "broken.png").write_bytes(b"no picture")
    with pytest.warns(
        UserWarning, match=r"Left out 1 of 4 pictures: .*broken\.png' can't be read: not an image\."
    ):
        outcome = fastgan("translate", checkpoint / "grey", pictures, "--out", tmp_path / "out")
    assert outcome.status == 0 and "Made 3 pictures" in outcome.out
    broken = pictures / "broken.png"
    said = refused("translate", checkpoint / "grey", broken, "--out", tmp_path / "none")
    assert (
        said == f"{str(broken)!r} can't be read: not an image." and not (tmp_path / "none").exists()
    )


def test_a_wrong_map_is_left_out_by_name(fastgan, refused, checkpoint, tmp_path):
    maps = tmp_path / "maps"
    maps.mkdir()
    for name, value in (("good", 1), ("high", 9), ("higher", 10)):
        PIL.new("L", (8, 8), value).save(maps / f"{name}.png")
    PIL.new("RGB", (8, 8)).save(maps / "colour.png")
    (maps / "broken.png").write_bytes(b"no picture")
    with pytest.warns(
        UserWarning, match=r"Left out 4 of 5 pictures: .*broken.*colour.*value 9.* And 1 more\."
    ):
        outcome = fastgan("translate", checkpoint / "gaugan", maps, "--out", tmp_path / "out")
    assert outcome.status == 0 and "Made 1 picture in" in outcome.out
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.png"]
    (maps / "good.png").unlink()
    said = refused("translate", checkpoint / "gaugan", maps, "--out", tmp_path / "none")
    assert said.startswith("None of the 4 pictures fits: ") and not (tmp_path / "none").exists()


def test_any_kind_of_picture_in_a_folder(fastgan, checkpoint, pictures, tmp_path):
    with PIL.open(pictures / "alpha.png") as picture:
        picture.save(pictures / "b.tif")
        picture.convert("P").save(
            pictures / "c.gif", save_all=True, append_images=[PIL.new("P", picture.size)]
        )
        picture.save(pictures / "d", format="PNG")
    (pictures / "README").write_text("x")
    with pytest.warns(
        UserWarning, match=r"1 of the files in .* left out, which Pillow doesn't open: README\."
    ):
        outcome = fastgan("translate", checkpoint / "grey", pictures, "--out", tmp_path / "out")
    assert outcome.status == 0 and "Made 6 pictures" in outcome.out
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"b.png", "c.png", "d.png"}


def test_neither_runs_nor_translations_in_a_folder_are_translated(fastgan, checkpoint, pictures):
    run = {"fastgan": "0", "recipe": "gan", "settings": {}, "data_fingerprint": ""}
    (pictures / "runs" / "a").mkdir(parents=True)
    (pictures / "runs" / "a" / "config.json").write_text(json.dumps(run))
    PIL.new("L", (16, 16)).save(pictures / "runs" / "a" / "samples.png")
    for force in ([], ["--force"]):
        with pytest.warns(
            UserWarning, match="Left out as the folder of a run, whose pictures are samples: runs/a"
        ):
            outcome = fastgan(
                "translate", checkpoint / "grey", pictures, "--out", pictures / "out", *force
            )
        assert outcome.status == 0 and "Made 3 pictures" in outcome.out, outcome.err


@pytest.mark.parametrize(
    ("run", "options", "said"),
    [
        (
            "pix2pix",
            ["{in}/none.png"],
            "There is no picture or folder '{in}/none.png': check the path.",
        ),
        ("pix2pix", ["{in}/empty"], "The folder '{in}/empty' holds no pictures."),
        (
            "pix2pix",
            ["{in}/alpha.png", "--direction", "AtoB"],
            "pix2pix translates one way only: leave --direction out.",
        ),
        (
            "cyclegan",
            ["{in}/alpha.png", "--direction", "AtoC"],
            "Unknown direction 'AtoC': did you mean 'AtoB'? The directions are AtoB, BtoA.",
        ),
        (
            "pix2pix",
            ["{in}/alpha.png", "--attributes", "striped"],
            "--attributes must be empty for pix2pix, got ('striped',): leave it out.",
        ),
        (
            "stargan",
            ["{in}/alpha.png"],
            "--attributes must name attributes to give to the pictures, got none: choose from "
            "colour=red, colour=blue, striped.",
        ),
        (
            "stargan",
            ["{in}/alpha.png", "--attributes", "stripes"],
            "Unknown attribute 'stripes': did you mean 'striped'? The attributes are colour=red, "
            "colour=blue, striped.",
        ),
        (
            "gaugan",
            ["{in}/alpha.png"],
            "The map '{in}/alpha.png' must have the index of a class in each pixel, got a picture "
            "of mode RGBA: save "
            "it as an 8-bit grey PNG or one with a palette.",
        ),
        (
            "gaugan",
            ["{in}/classes.png"],
            "The map '{in}/classes.png' has the value 3, but there are 3 classes, 0 to 2: correct "
            "the map, name the "
            "class in classes.txt, or train with --void 3 if it stands for unknown.",
        ),
        ("pix2pix", ["{in}/alpha.png", "--tile", "8"], "--tile must be at least 16, got 8."),
        (
            "pix2pix",
            ["{in}/alpha.png", "--out", "{in}/alpha.png"],
            "--out must be a folder, but '{in}/alpha.png' is a file.",
        ),
        (
            "pix2pix",
            ["{in}/alpha.png", "{in}/other/alpha.bmp"],
            "'{in}/alpha.png' and '{in}/other/alpha.bmp' would both become '{out}/alpha.png': "
            "translate them into "
            "folders of their own.",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_in_a_sentence(
    refused, checkpoint, pictures, tmp_path, run, options, said
):
    (pictures / "empty").mkdir()
    (pictures / "other").mkdir()
    PIL.new("RGB", (8, 8)).save(pictures / "other" / "alpha.bmp")
    PIL.new("L", (8, 8), 3).save(pictures / "classes.png")
    places = {"in": pictures, "out": tmp_path / "out"}
    arguments = ["--out", tmp_path / "out", *(option.format(**places) for option in options)]
    assert refused("translate", checkpoint / run, *arguments) == said.format(**places)


def test_a_checkpoint_that_draws_from_noise_is_refused(refused, checkpoint, pictures, tmp_path):
    said = refused("translate", checkpoint / "gan", pictures, "--out", tmp_path / "out")
    assert said.startswith("CHECKPOINT must be of pix2pix, cyclegan, ")
    assert "got gan after 0 images" in said
    said = refused("translate", "net.pkl", pictures, "--out", tmp_path / "out")
    assert said.endswith("got 'net.pkl', a StyleGAN2's file.")
