"""Checks of a dataclass' values against the annotations of its fields."""

from __future__ import annotations

import functools
import os
import types
from dataclasses import fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from fastgan.errors import SettingError

NUMBERS: dict[object, tuple[type, ...]] = {int: (int,), float: (int, float)}
WORDS = {
    int: ("an int", "ints"),
    float: ("a number", "numbers"),
    bool: ("True or False", "True or False"),
    str: ("a string", "strings"),
    type(None): ("None", "None"),
}


def check_fields(settings: Any, error: type[SettingError]) -> None:
    """Raise `error` for the first field whose value isn't of its annotated type.

    Lists become tuples, and paths become strings, where those belong. An int is a number too; a
    bool is neither. Annotations that this module doesn't know allow any value.

    Args:
        settings: dataclass instance.
        error: class of the error.
    """
    # Any, since mypy takes a dataclass for unhashable.
    form: Any = type(settings)
    for name, kind in _annotations(form).items():
        value = getattr(settings, name)
        plain = tuple(value) if isinstance(value, list) else value
        plain = os.fspath(plain) if isinstance(plain, os.PathLike) else plain
        if not _fits(plain, kind):
            raise error.of(name, _words(kind), value)
        if plain is not value:
            object.__setattr__(settings, name, plain)


@functools.cache
def _annotations(form: Any) -> dict[str, Any]:
    hints = get_type_hints(form)
    return {field.name: hints[field.name] for field in fields(form)}


def _fits(value: object, kind: Any) -> bool:
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in parts)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if parts[-1] is Ellipsis:
            return all(_fits(item, parts[0]) for item in value)
        return len(value) == len(parts) and all(map(_fits, value, parts))
    if kind in NUMBERS:
        return isinstance(value, NUMBERS[kind]) and not isinstance(value, bool)
    return isinstance(value, kind) if kind in WORDS else True


def _words(kind: Any) -> str:
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(map(_words, parts))
    if origin is Literal:
        return f"one of {', '.join(map(str, parts))}"
    if origin is tuple:
        item = "ones" if parts[0] not in WORDS else WORDS[parts[0]][1]
        if get_origin(parts[0]) is Literal:
            return f"a tuple of {', '.join(map(str, get_args(parts[0])))}"
        return f"a tuple of {item}" if parts[-1] is Ellipsis else f"a tuple of {len(parts)} {item}"
    return WORDS[kind][0]
