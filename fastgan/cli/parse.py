"""Command lines parsed by tyro, with errors as one sentence."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import io
import itertools
import re
import sys
import typing
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import tyro

from fastgan.cli import UsageError, option, with_options

T = TypeVar("T")

# tyro reports errors only as text. These patterns read it; other texts become a sentence too.
_NOT_A_NUMBER = re.compile(r"Error parsing (--\S+?):.*\b(int|float)\b.*: ('.*')")
_NO_OPTIONAL_NUMBER = re.compile(
    r"Error parsing (--\S+?): no type matching .*?(INT|FLOAT) could .*? from \[('.*?')\]"
)
_NO_VALUE = re.compile(r"Missing value for argument '(\w+)'")
_TOO_FEW = re.compile(r"Missing value for argument '(--[\w-]+)'\. Expected (\d+) values")
_NO_TUPLE = re.compile(r"Error parsing (--[\w-]+): Could not parse arguments \[(.*)\] into tuple")
_NO_OPTIONAL_TUPLE = re.compile(
    r"Error parsing (--[\w-]+): no type matching .*? could be instantiated from \[(.*)\]"
)
_NO_CHOICE = re.compile(
    r".*?invalid choice '(.*?)' for argument '?(--[\w-]+).*?Expected one of \((.*?)\)"
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_TITLE = re.compile(r"[╭┌]|\+-")
_FRAME = re.compile(r"[╰╯│─└┘|]+|-{3,}")


def parse(
    form: type[T],
    arguments: Sequence[str],
    *,
    prog: str,
    default: T | None = None,
    partial: bool = False,
    elsewhere: Callable[[str], str] | None = None,
) -> T:
    """Fill in a form, a dataclass, from command-line arguments.

    It prints help for --help, and exits with status 0.

    Args:
        default: values for options that aren't there, in place of the form's own.
        partial: ignore arguments that the form doesn't know.
        elsewhere: returns a hint for an option that the form doesn't know, empty for none.

    Raises:
        UsageError: an argument is unknown, missing, or has a wrong value.
    """
    options: dict[str, Any] = {} if default is None else {"default": default}
    errors = io.StringIO()
    try:
        help_text: Any = _WithOptions(sys.stdout)
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(help_text):
            filled, extra = tyro.cli(
                form,
                prog=prog,
                args=list(arguments),
                return_unknown_args=True,
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.PositionalMetavarFromFieldName),
                **options,
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise UsageError(f"{_sentence(form, errors.getvalue())} See {prog} --help.") from None
    sys.stderr.write(errors.getvalue())
    if extra and not partial:
        raise UsageError(_unknown_arguments(form, extra, prog, elsewhere))
    return filled


class _WithOptions:
    """Output that writes names of settings in backticks as options."""

    def __init__(self, output: Any) -> None:
        self._output = output

    def write(self, text: str) -> int:
        written: int = self._output.write(with_options(text))
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._output, name)


def _sentence(form: type, box: str) -> str:
    """Return the text in tyro's box, from its title to its first rule, as one line."""
    lines = _COLOUR.sub("", box).splitlines()
    texts = ["" if _TITLE.match(line) else _FRAME.sub("", line).strip() for line in lines]
    blocks = [" ".join(block) for full, block in itertools.groupby(texts, bool) if full]
    # Where the terminal has no box characters, the title is a block of its own.
    untitled = any(_TITLE.match(line) for line in lines) or len(blocks) < 2
    message = blocks[0 if untitled else 1] if blocks else "The command line can't be understood"
    if message.startswith("Missing from"):
        return f"The command needs {' and '.join(_required(form))}."
    if (positional := _NO_VALUE.match(message)) is not None:
        return f"The command needs {positional[1].upper()}."
    if (few := _TOO_FEW.match(message)) is not None:
        name, count = few.groups()
        got = "fewer" if int(count) > 1 else "none"
        return f"{name} must be {_expected(form, name, int(count))}, got {got}."
    if (pair := _NO_TUPLE.match(message)) is not None:
        name, values = pair.groups()
        count = len(typing.get_args(_kinds(form).get(name)))
        return f"{name} must be {_expected(form, name, count)}, got {values}."
    if (pair := _NO_OPTIONAL_TUPLE.match(message)) is not None:
        name, values = pair.groups()
        tuples = [k for k in typing.get_args(_kinds(form).get(name)) if typing.get_args(k)]
        if tuples:
            return f"{name} must be {_values(tuples[0])}, got {values}."
    if (number := _NOT_A_NUMBER.match(message) or _NO_OPTIONAL_NUMBER.match(message)) is not None:
        option, kind, value = number.groups()
        expected = "a whole number" if kind.lower() == "int" else "a number"
        return f"{option} must be {expected}, got {value}."
    if (choice := _NO_CHOICE.match(message)) is not None:
        value, option, choices = choice.groups()
        names = re.findall(r"'([^']*)'", choices)
        # An option that may be left out has None among its choices, in the order of a set.
        if "None" in names:
            names = sorted(set(names) - {"None"})
        near = difflib.get_close_matches(value, names, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        if "," in value and set(value.split(",")) <= set(names):
            hint = f" Separate several by spaces: {option} {value.replace(',', ' ')}."
        return f"{option} must be one of {', '.join(names)}, got {value!r}.{hint}"
    return message if message.endswith((".", "!")) else message + "."


def _expected(form: type, name: str, count: int) -> str:
    """Return the number and kind of the values that an option takes."""
    return _values(_kinds(form).get(name), count)


def _values(kind: Any, count: int | None = None) -> str:
    count = len(typing.get_args(kind)) if count is None else count
    parts = set(typing.get_args(kind)) if typing.get_origin(kind) is tuple else {kind}
    noun = "number" if parts <= {int, float} else "value"
    return f"{count} {noun}s, separated by a space" if count > 1 else f"a {noun}"


def _kinds(form: type) -> dict[str, Any]:
    """Return the types of a dataclass of dataclasses by option."""
    found: dict[str, Any] = {}
    hints = typing.get_type_hints(form)
    for entry in dataclasses.fields(form):
        kind = hints[entry.name]
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            found |= _kinds(kind)
        else:
            found[option(entry.name)] = kind
    return found


def _unknown_arguments(
    form: type, extra: Sequence[str], prog: str, elsewhere: Callable[[str], str] | None
) -> str:
    named = [argument.partition("=")[0] for argument in extra if argument.startswith("--")]
    if not named:
        return f"Unexpected argument {extra[0]!r}: see {prog} --help."
    written = named[0].replace("_", "-")
    near = difflib.get_close_matches(written, options_of(form), n=1, cutoff=0.7)
    usual = f"did you mean {near[0]!r}?" if near else f"see {prog} --help."
    hint = (elsewhere(written) if elsewhere else "") or usual
    return f"Unknown option {named[0]!r}: {hint}"


def _required(form: type) -> list[str]:
    """Return the arguments of a dataclass without a default, as the help writes them."""
    positional = typing.get_type_hints(form, include_extras=True)
    return [
        entry.name.upper()
        if hasattr(positional[entry.name], "__metadata__")
        else option(entry.name)
        for entry in dataclasses.fields(form)
        if entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
    ]


def options_of(form: type) -> list[str]:
    """Return the options of a dataclass of dataclasses, as on the command line."""
    return list(_kinds(form))
