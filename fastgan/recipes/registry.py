"""Every recipe by its name: fastgan's own, those of installed packages, and imported classes."""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import re
import sys
from importlib.metadata import EntryPoint, entry_points

from fastgan.recipes.base import Recipe, imported_kinds
from fastgan.recipes.biggan import BigGAN
from fastgan.recipes.cgan import CGAN
from fastgan.recipes.colorize import Colorize
from fastgan.recipes.cyclegan import CycleGAN
from fastgan.recipes.dcgan import DCGAN
from fastgan.recipes.errors import RecipeError
from fastgan.recipes.gan import GAN
from fastgan.recipes.gaugan import GauGAN
from fastgan.recipes.inpaint import Inpaint
from fastgan.recipes.lightgan import LightGAN
from fastgan.recipes.lsgan import LSGAN
from fastgan.recipes.pix2pix import Pix2Pix
from fastgan.recipes.progan import ProGAN
from fastgan.recipes.r3gan import R3GAN
from fastgan.recipes.sagan import SAGAN
from fastgan.recipes.sngan import SNGAN
from fastgan.recipes.srgan import SRGAN
from fastgan.recipes.stargan import StarGAN
from fastgan.recipes.stylegan import StyleGAN
from fastgan.recipes.stylegan2 import StyleGAN2, StyleGAN2ADA
from fastgan.recipes.stylegan3 import StyleGAN3R, StyleGAN3T
from fastgan.recipes.text2image import Text2Image
from fastgan.recipes.unit import UNIT
from fastgan.recipes.wgan import WGAN
from fastgan.recipes.wgan_gp import WGANGP

GROUP = "fastgan.recipes"
"""Group of entry points for recipes of other packages."""

RECIPES: dict[str, type[Recipe]] = {
    recipe.name: recipe
    for recipe in (
        GAN,
        DCGAN,
        CGAN,
        WGAN,
        WGANGP,
        LSGAN,
        SNGAN,
        SAGAN,
        BigGAN,
        ProGAN,
        StyleGAN,
        StyleGAN2,
        StyleGAN2ADA,
        StyleGAN3T,
        StyleGAN3R,
        R3GAN,
        LightGAN,
        Pix2Pix,
        CycleGAN,
        UNIT,
        StarGAN,
        GauGAN,
        SRGAN,
        Colorize,
        Inpaint,
        Text2Image,
    )
}
"""Every recipe by its name on the command line."""


def get_recipe(name: str, reference: str | None = None) -> type[Recipe]:
    """Return the recipe of this name.

    Names are fastgan's own, those of entry points in the group "fastgan.recipes", and those of
    recipes whose module was imported.

    Args:
        reference: `module:Class` that a saved run adds (`reference_of`). The module is imported if
            it is installed or in the working folder, and if its source defines the class. So a file
            from elsewhere can't run any module.

    Raises:
        RecipeError: there is none; the message suggests the nearest name.
    """
    if name in RECIPES:
        return RECIPES[name]
    if (entry := installed_recipes().get(name)) is not None:
        return _checked(entry.value, _loaded(entry))
    for kind in imported_kinds(Recipe):  # type: ignore[type-abstract]
        if vars(kind).get("name") == name:
            return kind
    if reference is not None and _defines(reference):
        kind = import_recipe(reference)
        if kind.name == name:
            return kind
    known = [*RECIPES, *installed_recipes()]
    kinds = [f"{other!r}" for other in known if other.startswith(f"{name.lower()}-")]
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.4)
    meant = " or ".join(kinds) or (f"{near[0]!r}" if near else "")
    hint = f"did you mean {meant}? " if meant else ""
    raise RecipeError(
        f"Unknown recipe {name!r}: {hint}The recipes are {', '.join(known)}. Import the module of "
        "one of your own first, or work in its folder."
    )


def reference_of(recipe: type[Recipe]) -> str | None:
    """Return `module:Class` of a recipe of one's own; None for others and for one of a script."""
    inside = "." in recipe.__qualname__ or recipe.__module__ == "__main__"
    if RECIPES.get(recipe.name) is recipe or inside:
        return None
    return f"{recipe.__module__}:{recipe.__qualname__}"


def _defines(reference: str) -> bool:
    """Return True if the source of a module, which can be imported, defines a class."""
    module, _, name = reference.partition(":")
    _find_in_working_folder()
    try:
        spec = importlib.util.find_spec(module)
        source = getattr(spec and spec.loader, "get_source", lambda module: None)(module)
    except (ImportError, ValueError):
        return False
    return re.search(rf"^class {re.escape(name)}\(", source or "", re.MULTILINE) is not None


def _find_in_working_folder() -> None:
    if "" not in sys.path:
        sys.path.insert(0, "")


def installed_recipes() -> dict[str, EntryPoint]:
    """Return the entry points of other packages' recipes by name."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def import_recipe(name: str) -> type[Recipe]:
    """Return the recipe of this name, or import it if the name is `module:Class`.

    Modules in the working folder are found too.

    Raises:
        RecipeError: there is none, or it can't be imported.
    """
    if ":" not in name:
        return get_recipe(name)
    _find_in_working_folder()
    return _checked(name, _loaded(EntryPoint("", name, GROUP)))


def _loaded(entry: EntryPoint) -> object:
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        raise RecipeError(
            f"Recipe {entry.value!r} can't be imported ({error}): write module:Class, with a "
            "module in the working folder or installed."
        ) from error


def _checked(reference: str, found: object) -> type[Recipe]:
    """Return what was imported if it is a recipe."""
    if isinstance(found, type) and issubclass(found, Recipe) and not inspect.isabstract(found):
        return found
    raise RecipeError(
        f"Recipe {reference!r} must be a class that derives from fastgan.recipes.Recipe and "
        f"defines its methods, got {found!r}."
    )
