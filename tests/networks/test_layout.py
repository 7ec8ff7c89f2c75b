from __future__ import annotations

import torch

from fastgan.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from fastgan.networks.layout import in_fastest_layout


def test_features_are_channels_last_under_autocast_alone():
    x = torch.ones(2, 3, 4, 4)
    assert in_fastest_layout(x) is x
    with torch.autocast("cpu", torch.bfloat16):
        assert in_fastest_layout(x).is_contiguous(memory_format=torch.channels_last)


def test_dcgan_keeps_channels_last_features_in_bfloat16():
    """No layer converts its features, so gradients have their layout too."""
    g, d = DCGANGenerator(16, ngf=4), DCGANDiscriminator(16, ndf=4)
    with torch.autocast("cpu", torch.bfloat16):
        images = g(torch.ones(2, 100))
        features = d.features(images)
    for t in (images, features):
        assert t.dtype == torch.bfloat16 and t.is_contiguous(memory_format=torch.channels_last)
