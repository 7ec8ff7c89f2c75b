"""Light networks: sizes at each resolution, excitation, noise, parts and decoders."""

from __future__ import annotations

import pytest
import torch

from fastgan.networks.lightgan import (
    RESOLUTIONS,
    LightDecoders,
    LightDiscriminator,
    LightGenerator,
    channels_at,
    part_of,
    pixels_of,
)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_channels_halve_where_the_resolution_doubles():
    widths = [channels_at(r, 4) for r in (4, 8, 16, 32, 64, 128, 256, 512, 1024)]
    assert widths == [64, 32, 16, 8, 4, 2, 1, 1, 1]
    assert channels_at(2, 4) == 64


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_every_resolution(resolution):
    channels = 1 + resolution.bit_length() % 4
    with torch.device("meta"):
        g = LightGenerator(resolution, channels, z_dim=3, ngf=2)
        d = LightDiscriminator(resolution, channels, ndf=2)
        decoders = LightDecoders(resolution, channels, ndf=2)
        images = g(torch.empty(2, 3))
        assert images.shape == (2, channels, resolution, resolution)
        output = d(images)
        (logits,), (features,) = output.logits, output.features
        assert logits.shape == (2, 1, 5, 5)
        assert [f.shape[2] for f in features] == [16, 8]
        places = torch.zeros(2, 2, dtype=torch.int64)
        (part, of_part), (whole, of_whole) = decoders(*features, images, places)
    excited = [int(r) for r in g.excitations]
    assert excited == [r for r in RESOLUTIONS if 64 <= r <= resolution]
    assert part.shape == of_part.shape and part.shape[2] == min(resolution // 2, 128)
    assert whole.shape == of_whole.shape and whole.shape[2] == min(resolution, 128)


@pytest.mark.parametrize("places", [(0, 0), (8, 8), (3, 5)])
def test_a_part_of_the_features_is_that_of_the_pixels(places):
    """A feature at 16×16 lies where 4×4 pixels of an image of 64×64 lie."""
    features, places = draw(1, 2, 16, 16), torch.tensor([places])
    pixels = features.repeat_interleave(4, 2).repeat_interleave(4, 3)
    row, column = places[0].tolist()
    part = part_of(features, places)
    assert torch.equal(part, features[:, :, row : row + 8, column : column + 8])
    enlarged = part.repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert torch.equal(pixels_of(pixels, places), enlarged)


def test_each_image_has_a_place_of_its_own():
    features, places = draw(2, 1, 16, 16), torch.tensor([[0, 8], [5, 1]])
    parts = part_of(features, places)
    for i in range(2):
        assert torch.equal(parts[i : i + 1], part_of(features[i : i + 1], places[i : i + 1]))


def test_decoders_are_told_the_pixels_that_they_draw():
    decoders, images = LightDecoders(32, 1, ndf=1), draw(1, 1, 32, 32)
    places = torch.tensor([[2, 4]])
    pairs = decoders(draw(1, 4, 16, 16), draw(1, 8, 8, 8), images, places)
    (_, of_part), (_, of_whole) = pairs
    assert torch.equal(of_whole, images) and torch.equal(of_part, images[:, :, 4:20, 8:24])


def test_noise_is_new_in_training_and_constant_in_evaluation():
    torch.manual_seed(0)
    g, z = LightGenerator(16, 1, z_dim=3, ngf=1), draw(2, 3)
    for block in g.blocks.values():
        block.noise.strength.data.fill_(1.0)
    assert not torch.equal(g(z), g(z))
    g.eval()
    assert torch.equal(g(z), g(z))


def test_excitation_follows_the_features_of_a_16th():
    torch.manual_seed(0)
    g, z = LightGenerator(64, 1, z_dim=3, ngf=1).eval(), draw(2, 3)
    before = g(z)
    g.excitations["64"].mixed.weight.data.add_(1.0)
    assert not torch.equal(g(z), before)


@pytest.mark.parametrize("kind", [LightGenerator, LightDiscriminator, LightDecoders])
def test_other_images_are_refused(kind):
    for resolution in (8, 48, 2048):
        with pytest.raises(ValueError, match="resolution must be one of 16, 32, 64, 128, 256, 512"):
            kind(resolution)
    with pytest.raises(ValueError, match="channels must be one of 1, 2, 3, 4, got 5"):
        kind(16, 5)


def test_labels_are_refused():
    with pytest.raises(ValueError, match="labels must be None"):
        LightGenerator(16, 1, z_dim=3, ngf=1)(draw(2, 3), torch.zeros(2))
