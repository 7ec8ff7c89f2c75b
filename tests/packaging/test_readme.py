"""The documentation's code blocks run as they are."""

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
    monkeypatch.chdir(tmp_path)  # the blocks write files
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert blocks
    names: dict[str, object] = {}
    # Later blocks use results of earlier ones.
    for block in blocks:
        exec(compile(block, page, "exec"), names)
