"""Errors about arguments, in the words of the command line: `total_images` is `--total-images`."""

from __future__ import annotations

import re
from collections.abc import Sequence

_options: list[str] = []

_BEFORE = r"(?:^|(?<=leave )|(?<=lower )|(?<=raise )|(?<=give )|(?<=without )|(?<=name ))"
_AFTER = r"(?= must| needs| out\b| too\b| instead\b| and\b|, |[.:]$)"
"""Contexts in which a word such as `data` is an argument."""
_QUOTED = re.compile(r"('[^']*'|\"[^\"]*\")")


def remember_options(options: Sequence[str]) -> None:
    """Remember the options of the command, such as `--total-images`, for `with_flags`."""
    _options[:] = options


def with_flags(message: str) -> str:
    """Return an error message with the command's options in place of names of arguments.

    A name with an underscore is replaced anywhere outside quotes, one without only where a sentence
    is about an argument: "batch must be …", "leave seeds out".
    """
    parts = _QUOTED.split(message)
    for option in _options:
        name = option.removeprefix("--").replace("-", "_")
        pattern = rf"(?<![\w-]){name}(?![\w(-])"
        if "_" not in name:
            pattern = rf"{_BEFORE}{name}{_AFTER}"
        parts[::2] = [re.sub(pattern, option, part) for part in parts[::2]]
    return "".join(parts)
