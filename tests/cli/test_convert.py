"""`fastgan convert` from end to end."""

from __future__ import annotations

import pytest
import torch

from fastgan.compat import load_discriminator, load_generator
from tests.compat import fake_official as fake


@pytest.fixture
def pickled(tmp_path):
    torch.manual_seed(0)
    networks = {"G": fake.Generator(8), "D": fake.Discriminator(8), "G_ema": fake.Generator(8)}
    return fake.network_pickle(tmp_path / "network.pkl", **networks)


def test_convert(fastgan, pickled, tmp_path):
    out = tmp_path / "made" / "g.safetensors"
    outcome = fastgan("convert", pickled, out)
    assert outcome.status == 0 and outcome.err == "", outcome.err
    parameters = sum(p.numel() for p in load_generator(pickled).parameters())
    assert outcome.out == (
        f"Made {out}: G_ema of {pickled}, a StyleGAN2Generator of 8×8 images with {parameters:,} "
        f"parameters. "
        f"Also in there: G, D (--network).\n"
    )
    z = torch.randn(2, 12)
    expected = load_generator(pickled)(z, truncation_psi=0.7, noise_mode="const")
    assert torch.equal(load_generator(out)(z, truncation_psi=0.7, noise_mode="const"), expected)

    assert fastgan("convert", pickled, out, "--network", "D", "--force").status == 0
    assert torch.equal(load_discriminator(out)(expected), load_discriminator(pickled)(expected))
    assert fastgan("convert", out, tmp_path / "again.safetensors", "--network", "D").status == 0
    assert (tmp_path / "again.safetensors").read_bytes() == out.read_bytes()


def test_what_is_refused(refused, pickled, tmp_path):
    out = tmp_path / "g.safetensors"
    assert "must be a file that ends in .safetensors" in refused(
        "convert", pickled, tmp_path / "g.pt"
    )
    assert "The command needs FILE and OUT." in refused("convert", pickled)
    assert "must be one of G_ema, G, D" in refused("convert", pickled, out, "--network", "E")
    assert "No such file or directory" in refused("convert", tmp_path / "none.pkl", out)
    assert "There is no checkpoint in the folder" in refused("convert", tmp_path, out)

    content = pickled.read_bytes()
    pickled.write_bytes(content[:-100])
    assert "damaged or cut short" in refused("convert", pickled, out)
    pickled.write_bytes(b"\x80\x04cposix\nsystem\nX\x0c\x00\x00\x00touch canary\x85R.")
    assert "it asks for 'posix.system'" in refused("convert", pickled, out)
    pickled.write_text("hello")
    assert "must be a network pickle" in refused("convert", pickled, out)
    fake.network_pickle(pickled, D=fake.Discriminator(8))
    assert "There is no G_ema in" in refused("convert", pickled, out)
    assert not out.exists()

    out.write_text("mine")
    assert "exists: choose another name, or replace it with --force." in refused(
        "convert", pickled, out, "--network", "D"
    )
    assert out.read_text() == "mine"
