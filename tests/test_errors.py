"""Errors name settings as Python does, and the command line names their options."""

from __future__ import annotations

import pickle

import pytest

from fastgan import cli
from fastgan.errors import FastganError, SettingError
from fastgan.recipes import DCGAN, RecipeError


def test_marks_are_left_out():
    error = FastganError("`d_lr` and `lr` exclude each other, got `1` and 'a`b': choose one.")
    assert str(error) == "d_lr and lr exclude each other, got `1` and 'a`b': choose one."
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_an_error_of_one_setting_has_its_parts():
    with pytest.raises(RecipeError) as caught:
        DCGAN(d_lr=-1.0)
    error = caught.value
    assert (error.setting, error.expected, error.got) == ("d_lr", "a positive number", -1.0)
    assert str(error) == "d_lr must be a positive number, got -1.0."


def test_advice_follows_the_value():
    error = SettingError.of("fit", "crop or pad", "cut", "choose one")
    assert str(error) == "fit must be crop or pad, got 'cut': choose one."
    assert SettingError("`a` and `b` differ.").setting is None


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("`d_lr` must be a number, got 'x'.", "--d-lr must be a number, got 'x'."),
        ("`class_` and `from_`", "--class and --from"),
        ("got `init_from` a.pt", "got --from a.pt"),
        ("no `Setting` in `a.b`", "no `Setting` in `a.b`"),
    ],
)
def test_the_command_line_names_options(message, said, capsys):
    assert cli.complain(FastganError(message)) == 2
    assert capsys.readouterr().err == f"fastgan: {said}\n"
