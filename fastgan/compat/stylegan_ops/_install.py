"""Replacement of the functions of an official package of ops by those of this one."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from fastgan.compat.stylegan_ops import (
    bias_act,
    conv2d_gradfix,
    conv2d_resample,
    filtered_lrelu,
    fma,
    grid_sample_gradfix,
    upfirdn2d,
)

log = logging.getLogger("fastgan")

MODULES: dict[str, ModuleType] = {
    "bias_act": bias_act,
    "conv2d_gradfix": conv2d_gradfix,
    "conv2d_resample": conv2d_resample,
    "filtered_lrelu": filtered_lrelu,
    "fma": fma,
    "grid_sample_gradfix": grid_sample_gradfix,
    "upfirdn2d": upfirdn2d,
}

# Functions that undo an installation, by package.
_installed: dict[str, list[Callable[[], None]]] = {}


def install(package: ModuleType) -> list[str]:
    """Make a package of StyleGAN ops run on fastgan.

    Functions in modules of the same name are replaced, and all else in the modules stays. So code
    that calls ``upfirdn2d.upfirdn2d(...)`` runs on fastgan, whether it imported ``upfirdn2d``
    before or after. A function that was imported by itself before (``from torch_utils.ops.fma
    import fma``) stays the official one. fastgan's module replaces a module that is missing or
    fails to import.

    Args:
        package: the imported package, such as ``torch_utils.ops``.

    Returns:
        The names replaced, such as ``"upfirdn2d.filter2d"``. A second call changes nothing.

    Raises:
        TypeError: ``package`` is not a package.
    """
    name = _package_name(package)
    if name in _installed:
        uninstall(package)
    names: list[str] = []
    undo = _installed[name] = []
    for short, module in MODULES.items():
        official = _imported(name, short)
        if official is None:
            undo.append(_replace(sys.modules, f"{name}.{short}", module))
            undo.append(_replace(vars(package), short, module))
        for function in module.__all__:
            if official is not None:
                undo.append(_replace(vars(official), function, getattr(module, function)))
            names.append(f"{short}.{function}")
    return names


def uninstall(package: ModuleType) -> None:
    """Undo :func:`install`.

    Args:
        package: the imported package, such as ``torch_utils.ops``.

    Raises:
        TypeError: ``package`` is not a package.
        ValueError: nothing is installed in it.
    """
    name = _package_name(package)
    if name not in _installed:
        raise ValueError(f"nothing of fastgan is installed in {name}; call install first")
    for step in reversed(_installed.pop(name)):
        step()


def _package_name(package: ModuleType) -> str:
    if not isinstance(package, ModuleType):
        raise TypeError(
            f"package must be an imported package, such as torch_utils.ops, "
            f"got a {type(package).__name__}"
        )
    if not hasattr(package, "__path__"):
        raise TypeError(
            f"package must be a package, such as torch_utils.ops, got the module {package.__name__}"
        )
    return package.__name__


def _imported(package: str, short: str) -> ModuleType | None:
    """Import a module of the package; return None if it is missing or fails to import."""
    name = f"{package}.{short}"
    try:
        return importlib.import_module(name)
    # Foreign code may raise errors of any type.
    except Exception as error:
        if not (isinstance(error, ModuleNotFoundError) and error.name == name):
            log.warning("%s does not import, fastgan's module takes its place: %s", name, error)
        return None


def _replace(where: dict[str, Any], key: str, value: Any) -> Callable[[], None]:
    """Set an entry of a dict and return a function that restores it."""
    existed, before = key in where, where.get(key)
    where[key] = value

    def undo() -> None:
        if existed:
            where[key] = before
        else:
            where.pop(key, None)

    return undo
