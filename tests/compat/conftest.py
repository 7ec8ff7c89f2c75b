from __future__ import annotations

import pytest
import torch

from fastgan.compat import load_generator
from fastgan.foreign.errors import CompatError
from tests.compat import fake_official as fake


@pytest.fixture
def refusal(tmp_path, monkeypatch):
    """Asserts that content is refused as one sentence that names the file, that nothing ran, and returns the sentence."""
    monkeypatch.chdir(tmp_path)

    def run(content: bytes, load=load_generator) -> str:
        path = tmp_path / "network.pkl"
        path.write_bytes(content)
        with pytest.raises(CompatError) as caught:
            load(path)
        said = str(caught.value)
        assert (
            "network.pkl" in said and said.endswith(".") and "\n" not in said and len(said) < 600
        ), said
        assert [entry.name for entry in tmp_path.iterdir()] == ["network.pkl"], (
            "something in the file was run"
        )
        return said

    return run


@pytest.fixture
def seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def small_pickle() -> bytes:
    """A network pickle with a G_ema of 8×8 images alone."""
    torch.manual_seed(0)
    return fake.dumps({"G_ema": fake.Generator(8, z_dim=4, w_dim=4, base=32, most=4)})
