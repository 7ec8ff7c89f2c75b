"""Libraries of the ``train`` extra, imported where they are used and nowhere else."""

from __future__ import annotations

import importlib
from typing import Any

from fastgan.data.dataset import DataError


def require(module: str, package: str, *, purpose: str) -> Any:
    """Import ``module``. Raises DataError naming what to install when ``package`` is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DataError(
            f"{purpose} needs {package}, which can't be imported ({error}): "
            f"install it with pip install {package}, or all of them with pip install 'fastgan[train]'."
        ) from error
