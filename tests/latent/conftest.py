import pytest

from fastgan.networks.stylegan2 import StyleGAN2Generator
from tests.latent.generators import generator


@pytest.fixture(scope="module")
def G() -> StyleGAN2Generator:
    return generator()
