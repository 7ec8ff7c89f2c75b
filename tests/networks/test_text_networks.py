"""Text encoder, and generator and discriminator with captions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fastgan.networks.translation import TextDiscriminator, TextEncoder, TextGenerator
from fastgan.nn import apply_spectral_norm


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", ["gru", "mean"])
def test_padding_is_not_read(kind):
    torch.manual_seed(0)
    encode = TextEncoder(6, text_dim=4, kind=kind)
    short, padded = torch.tensor([[3, 1, 5]]), torch.tensor([[3, 1, 5, 0, 0]])
    torch.testing.assert_close(encode(short), encode(padded))
    other = torch.tensor([[3, 1, 4, 0, 0]])
    assert not torch.allclose(encode(padded), encode(other), atol=1e-3)
    # A caption without words.
    assert not encode(torch.zeros(1, 3, dtype=torch.int64)).any()


def test_the_order_of_words_counts_for_a_gru_alone():
    torch.manual_seed(0)
    one, other = torch.tensor([[1, 2, 3]]), torch.tensor([[3, 2, 1]])
    gru, mean = (TextEncoder(4, text_dim=4, kind=kind) for kind in ("gru", "mean"))
    assert not torch.allclose(gru(one), gru(other), atol=1e-3)
    torch.testing.assert_close(mean(one), mean(other))
    torch.testing.assert_close(mean(one)[0], mean.words.weight[1:].mean(0))


def test_the_gru_is_torchs():
    torch.manual_seed(0)
    encode, captions = TextEncoder(6, text_dim=4), torch.tensor([[3, 1, 5], [2, 4, 4]])
    gru = nn.GRU(4, 4, batch_first=True)
    gru.load_state_dict({f"{name}_l0": p for name, p in encode.cell.state_dict().items()})
    torch.testing.assert_close(encode(captions), gru(encode.words(captions))[1][0])


def test_captions_change_images_and_logits():
    torch.manual_seed(0)
    captions = torch.tensor([[1, 2], [3, 0]])
    g = TextGenerator(4, 16, 1, z_dim=3, text_dim=4, ngf=2).eval()
    images = g(draw(1, 3).expand(2, -1), captions)
    assert images.shape == (2, 1, 16, 16) and images.abs().max() <= 1
    assert not torch.allclose(*images, atol=1e-4)
    d = TextDiscriminator(4, 16, 1, text_dim=4, ndf=2)
    assert not torch.allclose(*d(images[:1].expand(2, -1, -1, -1), captions), atol=1e-4)


def test_the_sentence_is_projected_on_the_features():
    torch.manual_seed(0)
    d = apply_spectral_norm(TextDiscriminator(4, 16, 1, text_dim=4, ndf=2)).eval()
    images, captions = draw(2, 1, 16, 16), torch.tensor([[1, 2], [3, 0]])
    h = d.features(images)
    expected = (h * (d.out.weight[0] + d.project(d.text(captions)))).sum(1) + d.out.bias
    torch.testing.assert_close(d(images, captions), expected)
    # Several captions of one image.
    other = captions.flip(0)
    torch.testing.assert_close(d(images, torch.cat([captions, other]))[2:], d(images, other))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: TextEncoder(4, kind="lstm"), "kind must be one of gru, mean, got 'lstm'"),
        (lambda: TextEncoder(0), "vocabulary must be a whole number of at least 1, got 0"),
        (lambda: TextEncoder(4)(draw(2, 3)), r"must be int64 \[N, T\], got torch.float32 \[2, 3\]"),
        (
            lambda: TextGenerator(4, 24),
            r"resolution must be one of 16, 32, 64, 128, 256, got 24",
        ),
        (
            lambda: TextDiscriminator(4, channels=0),
            "channels must be a whole number of at least 1, got 0",
        ),
        (
            lambda: TextDiscriminator(4, 16, ndf=1)(
                draw(2, 3, 16, 16), torch.ones(3, 1, dtype=torch.int64)
            ),
            "labels must be as many captions as images or a multiple of that, got 3 for 2",
        ),
    ],
)
def test_wrong_arguments_are_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
