"""Putting the functions of this package into the modules of another, and back."""

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
    fma,
    grid_sample_gradfix,
    upfirdn2d,
)

log = logging.getLogger("fastgan")

MODULES: dict[str, ModuleType] = {
    "bias_act": bias_act,
    "conv2d_gradfix": conv2d_gradfix,
    "conv2d_resample": conv2d_resample,
    "fma": fma,
    "grid_sample_gradfix": grid_sample_gradfix,
    "upfirdn2d": upfirdn2d,
}

_installed: dict[str, list[Callable[[], None]]] = {}  # what takes it back, by package


def install(package: ModuleType) -> list[str]:
    """Make a package of StyleGAN ops run on fastgan.

    In the modules of the package that are named like those here, the functions are replaced; all else in them stays. So
    code that calls ``upfirdn2d.upfirdn2d(...)`` runs on fastgan, whether it imported ``upfirdn2d`` before or after. A
    function that was imported by itself before (``from torch_utils.ops.fma import fma``) stays what it was. Where the
    package has no such module, or it fails to import, fastgan's module takes its place.

    Args:
        package: the imported package, such as ``torch_utils.ops``.

    Returns:
        The names replaced, such as ``"upfirdn2d.filter2d"``. Installing a second time changes nothing.

    Raises:
        TypeError: ``package`` is not a package.
    """
    name = _package_name(package)
    if name in _installed:
        uninstall(package)
    names: list[str] = []
    undo = _installed[name] = []
    for short, ours in MODULES.items():
        theirs = _imported(name, short)
        if theirs is None:
            undo.append(_replace(sys.modules, f"{name}.{short}", ours))
            undo.append(_replace(vars(package), short, ours))
        for function in ours.__all__:
            if theirs is not None:
                undo.append(_replace(vars(theirs), function, getattr(ours, function)))
            names.append(f"{short}.{function}")
    return names


def uninstall(package: ModuleType) -> None:
    """Take back what :func:`install` did.

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
            f"package must be an imported package, such as torch_utils.ops, got a {type(package).__name__}"
        )
    if not hasattr(package, "__path__"):
        raise TypeError(
            f"package must be a package, such as torch_utils.ops, got the module {package.__name__}"
        )
    return package.__name__


def _imported(package: str, short: str) -> ModuleType | None:
    """A module of the package, or None where there is none that imports."""
    name = f"{package}.{short}"
    try:
        return importlib.import_module(name)
    except Exception as error:  # whatever code that is not ours raises
        if not (isinstance(error, ModuleNotFoundError) and error.name == name):
            log.warning("%s does not import, fastgan's module takes its place: %s", name, error)
        return None


def _replace(where: dict[str, Any], key: str, value: Any) -> Callable[[], None]:
    """Set an entry; the result sets it back."""
    there, before = key in where, where.get(key)
    where[key] = value

    def undo() -> None:
        if there:
            where[key] = before
        else:
            where.pop(key, None)

    return undo
