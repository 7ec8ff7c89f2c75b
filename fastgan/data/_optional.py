"""Imports of the libraries of the ``train`` extra, at the place of their use."""

from __future__ import annotations

import importlib
from typing import Any

from fastgan.data.dataset import DataError


def require(module: str, package: str, *, purpose: str) -> Any:
    """Import ``module``.

    Args:
        module: name of the module.
        package: name to install it by.
        purpose: subject of the error's sentence, such as "Reading image files".

    Raises:
        DataError: the import fails; the message names what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DataError(
            f"{purpose} needs {package}, which can't be imported ({error}): install it with "
            f"pip install {package}, or all of them with pip install 'fastgan[train]'."
        ) from error
