"""Small generators with random weights."""

import torch

from fastgan.networks.stylegan2 import StyleGAN2Generator


def generator(*, resolution: int = 32, **options) -> StyleGAN2Generator:
    """Return a small generator with random weights and visible noise."""
    torch.manual_seed(0)
    settings = {
        "z_dim": 16,
        "w_dim": 16,
        "channel_base": 256,
        "channel_max": 16,
        "mapping_layers": 2,
    }
    G = StyleGAN2Generator(resolution, 3, **{**settings, **options}).eval()
    for name, parameter in G.synthesis.named_parameters():
        if name.endswith("noise.strength"):
            parameter.data.fill_(0.05)
    return G
