"""Settings of a wrong type are refused by name, in any recipe and in the options of a run."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from fastgan.errors import FastganError
from fastgan.recipes import DCGAN, GAN, RECIPES, RecipeError
from fastgan.recipes.fields import check_fields
from fastgan.training.config import ConfigError, RunOptions
from fastgan.training.run_settings import RunSettings

STRANGE: list[Any] = [
    "4",
    4,
    0.5,
    True,
    None,
    (),
    (0.5,),
    ("D", 1),
    [None],
    {},
    object(),
    b"4",
    float,
    4 + 0j,
]
"""No annotation takes all of these."""


@pytest.mark.parametrize("kind", [*RECIPES.values(), RunOptions], ids=lambda kind: kind.__name__)
def test_values_of_another_type_are_refused_with_our_error(kind):
    for setting in fields(kind):
        refused = 0
        for value in STRANGE:
            try:
                kind(**{setting.name: value})
            except FastganError as error:
                refused += f"{setting.name} must be " in str(error) and str(error).endswith(
                    f"got {value!r}."
                )
        assert refused >= 5, setting.name


@pytest.mark.parametrize("name", RECIPES)
def test_defaults_are_of_their_types(name):
    assert RECIPES[name]() == RECIPES[name]()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: DCGAN(batch="4"), "batch must be an int, got '4'."),
        (lambda: DCGAN(batch=4.0), "batch must be an int, got 4.0."),
        (lambda: DCGAN(batch=True), "batch must be an int, got True."),
        (lambda: DCGAN(lr=None), "lr must be a number, got None."),
        (lambda: DCGAN(mirror=1), "mirror must be True or False, got 1."),
        (lambda: DCGAN(d_lr="fast"), "d_lr must be a number or None, got 'fast'."),
        (lambda: DCGAN(betas=(0.5,)), "betas must be a tuple of 2 numbers, got (0.5,)."),
        (lambda: DCGAN(betas=0.5), "betas must be a tuple of 2 numbers, got 0.5."),
        (lambda: GAN(g_hidden=[8, "9"]), "g_hidden must be a tuple of ints, got [8, '9']."),
        (lambda: DCGAN(full_precision="D"), "full_precision must be a tuple of strings, got 'D'."),
        (lambda: DCGAN(d_norm=None), "d_norm must be one of batch, layer, instance, none, got "
                                     "None."),
        (lambda: RECIPES["srgan"](scale=True), "scale must be one of 2, 4, 8, got True."),
        (lambda: RECIPES["pix2pix"](patch="70"), "patch must be one of 1, 16, 34, 70, 142, 286 "
                                                 "or None, got '70'."),
    ],
)  # fmt: skip
def test_errors_name_the_setting_and_its_type(make, said):
    with pytest.raises(RecipeError) as error:
        make()
    assert str(error.value) == said


def test_options_of_a_run_are_checked_too():
    for option, value in (
        ("keep", "3"),
        ("device", "tpu"),
        ("resume", "yes"),
        ("out", 3),
        ("compile", True),
    ):
        with pytest.raises(ConfigError, match=f"^{option} must be .*, got {value!r}"):
            RunOptions(**{option: value})


def test_equivalent_values_are_converted():
    assert DCGAN(betas=[0, 0.9], lr=1) == DCGAN(betas=(0, 0.9), lr=1)
    assert RunSettings.of(GAN, data=Path("some") / "folder").data == str(Path("some") / "folder")
    assert RunOptions(out=Path("a"), measure="fd") == RunOptions(out="a", measure=("fd",))


def test_other_annotations_allow_anything():
    @dataclass
    class Settings:
        pairs: dict[str, int]

    check_fields(Settings(pairs=3), ConfigError)
