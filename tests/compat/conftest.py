from __future__ import annotations

import pytest
import torch

from fastgan.compat import load_generator
from fastgan.foreign.errors import CompatError
from tests.compat import fake_official as fake


@pytest.fixture
def refusal(tmp_path, monkeypatch):
    """Return a function that asserts a refusal in one sentence without running the file.

    It returns the sentence, which names the file.
    """
    monkeypatch.chdir(tmp_path)

    def run(content: bytes, load=load_generator) -> str:
        path = tmp_path / "network.pkl"
        path.write_bytes(content)
        with pytest.raises(CompatError) as caught:
            load(path)
        message = str(caught.value)
        assert "network.pkl" in message and len(message) < 600, message
        assert message.endswith(".") and "\n" not in message, message
        assert [entry.name for entry in tmp_path.iterdir()] == ["network.pkl"], (
            "something in the file was run"
        )
        return message

    return run


@pytest.fixture
def seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def small_pickle() -> bytes:
    """Return a network pickle with only a G_ema, of 8×8 images."""
    torch.manual_seed(0)
    return fake.dumps({"G_ema": fake.Generator(8, z_dim=4, w_dim=4, base=32, most=4)})
