"""Truncation, layer ranges and mixing of styles."""

import pytest
import torch

from fastgan.latent import LatentError, layers_of, mix, resolution_of, truncate


def test_truncation_equals_that_of_the_mapping_network(G):
    z = torch.randn(3, 16)
    G.mapping.w_avg.copy_(torch.randn(16))
    ws = G.mapping(z)
    for psi, cutoff in ((0.7, None), (0.5, 3), (-1.0, 2), (1.0, None), (0.3, 0)):
        expected = G.mapping(z, truncation_psi=psi, truncation_cutoff=cutoff)
        torch.testing.assert_close(truncate(ws, G.mapping.w_avg, psi, cutoff), expected)


def test_truncation_ends():
    ws, w_avg = torch.randn(2, 8, 4), torch.randn(4)
    before = ws.clone()
    assert torch.equal(truncate(ws, w_avg, 0.0), w_avg.expand(2, 8, 4))
    assert torch.equal(truncate(ws, w_avg, 0.0, 3)[:, 3:], ws[:, 3:])
    assert torch.equal(ws, before)
    with pytest.raises(
        ValueError, match=r"cutoff must be from 0 to the number of styles, 8, got 9"
    ):
        truncate(ws, w_avg, 0.5, 9)
    with pytest.raises(ValueError, match=r"w_avg must have shape \[4\], got \[8, 4\]"):
        truncate(ws, ws[0], 0.5)
    with pytest.raises(
        ValueError,
        match=r"ws must be floating-point \[\.\.\., num_ws, w_dim\], got torch.float32 \[4\]",
    ):
        truncate(w_avg, w_avg, 0.5)


def test_every_style_is_at_the_resolution_of_its_convolution(G):
    sides = []
    for block in G.synthesis.blocks():
        side = block.conv1.noise.const.shape[0]
        sides += [side] * block.num_convs
    # The last style is that of the image layer.
    assert [resolution_of(i, G.num_ws) for i in range(G.num_ws)] == [*sides, 32]


def test_ranges():
    assert layers_of("coarse", 18) == [0, 1, 2]
    assert layers_of("middle", 18) == [3, 4, 5, 6]
    assert layers_of("fine", 18) == [*range(7, 18)]
    assert [layers_of(name, 8) for name in ("coarse", "middle")] == [[0, 1, 2], [3, 4, 5, 6, 7]]
    assert (
        layers_of("2-4", 8) == [2, 3, 4]
        and layers_of("5", 8) == [5]
        and layers_of([0, 7], 8) == [0, 7]
    )


@pytest.mark.parametrize("layers", ["rough", "3-1", "0-8", "-1", "", "1-2-3", "1.5", [8], [-1], []])
def test_wrong_layers(layers):
    with pytest.raises(LatentError, match=r"^layers must be .* 0 to 7.*, got .*\.$"):
        layers_of(layers, 8)


def test_a_range_that_a_small_generator_lacks():
    with pytest.raises(
        LatentError,
        match=r"^The fine layers begin at 64 pixels, but this generator ends at 32: .* 0-7\.$",
    ):
        layers_of("fine", 8)


def test_mixing(G):
    a, b = torch.randn(2, 8, 16), torch.randn(1, 8, 16)
    mixed = mix(a, b, "coarse")
    assert torch.equal(mixed[:, :3], b.expand(2, 8, 16)[:, :3]) and torch.equal(
        mixed[:, 3:], a[:, 3:]
    )
    assert torch.equal(mix(a, b, "0-7"), b.expand(2, 8, 16))
    with pytest.raises(ValueError, match="same number and size of styles"):
        mix(a, b[:, 1:], "coarse")
