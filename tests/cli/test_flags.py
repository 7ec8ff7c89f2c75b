"""Errors that name arguments name options on the command line."""

from __future__ import annotations

import pytest

from fastgan.cli import flags


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("batch must be at least 2, got 1.", "--batch must be at least 2, got 1."),
        ("total_images must be at least 1, got 0.", "--total-images must be at least 1, got 0."),
        ("Give both, or lower total_images.", "Give both, or lower --total-images."),
        ("It takes no data: leave data out.", "It takes no data: leave --data out."),
        ("The data set 'batch must' has no data.", "The data set 'batch must' has no data."),
        ("--batch must be 2: leave --data out.", "--batch must be 2: leave --data out."),
        ("my_total_images and batch sizes stay.", "my_total_images and batch sizes stay."),
    ],
)
def test_arguments_become_options(monkeypatch, message, expected):
    monkeypatch.setattr(flags, "_options", [])
    assert flags.with_flags(message) == message
    flags.remember_options(["--batch", "--total-images", "--data"])
    assert flags.with_flags(message) == expected


def test_a_command_knows_its_options(refused, tmp_path):
    said = refused("train", "gan", "--total-images", "0", "--out", tmp_path / "run")
    assert said == "--total-images must be at least 1, got 0."
