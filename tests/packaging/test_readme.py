"""What the documentation shows is run as it stands."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.long
@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/ops.md",
        "docs/compat.md",
        "docs/latent.md",
        "docs/losses.md",
        "docs/export.md",
        "docs/augment.md",
        "docs/scale.md",
        "docs/train.md",
        "docs/measures.md",
        "docs/networks.md",
        "docs/data.md",
    ],
)
def test_python_examples_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # what they write
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:  # one after the other: later ones use what earlier ones made
        exec(compile(block, page, "exec"), names)
