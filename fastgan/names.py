"""Conversion of file names and other foreign text to a form that can be printed and stored.

A file name on Linux is bytes. Python decodes bytes that aren't UTF-8 to lone surrogates, which
UTF-8 encoders reject. A name may also hold line breaks and control codes of terminals.
"""

from __future__ import annotations

import codecs
import difflib
import os
import re
import shlex
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_ESCAPED = frozenset({"Cc", "Cs", "Zl", "Zp"})
_REORDERING = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_PLAIN = {
    "×": "x", "·": "*", "–": "-", "—": "-", "…": "...", "±": "+/-", "→": "->", "≥": ">=", "≤": "<=",
    "“": '"', "”": '"', "‘": "'", "’": "'",
}  # fmt: skip
_HANDLER = "fastgan.readable"


def printable(name: str | os.PathLike[str]) -> str:
    r"""Return a name as one line of text that UTF-8 can encode.

    Bytes that aren't UTF-8 become ``\xe9``. Line breaks, control characters and characters that
    reorder text become ``\n``, ``\x1b``, ``\u202e``. Everything else stays as it is, ``[red]`` and
    ``<b>`` too.

    Use it wherever a name is displayed, and never to open a file.
    """
    text = portable_name(os.fspath(name))
    text = _NO_BYTE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if unicodedata.category(character) in _ESCAPED or character in _REORDERING:
        return character.encode("unicode_escape").decode()
    return character


def encodable(text: str, encoding: str) -> str:
    """Replace the characters that `encoding` lacks by ASCII: ``x`` for ``×``, else an escape."""
    return text.encode(encoding, _HANDLER).decode(encoding)


def never_fail(stream: Any) -> None:
    """Make a text stream replace characters that its encoding lacks (see `encodable`)."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors=_HANDLER)


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_PLAIN.get(c) or _escape(c) for c in lacking), error.end


def _escape(character: str) -> str:
    code = ord(character)
    # A byte that isn't UTF-8.
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("ascii", "backslashreplace").decode()


codecs.register_error(_HANDLER, _spell)


def unknown(kind: str, name: str, names: Iterable[str], *, cutoff: float = 0.4) -> str:
    """Return the error that `name` is no `kind`, with the nearest of `names` if there is one."""
    known = list(names)
    near = difflib.get_close_matches(name, known, n=1, cutoff=cutoff)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"Unknown {kind} {name!r}: {hint}The {kind}s are {', '.join(known)}."


def shell_word(name: str | os.PathLike[str]) -> str:
    """Quote a path so that bash and zsh read it back as the same name.

    A path that begins with a dash gets the prefix ``./``, so that it isn't taken for an option.
    """
    text = portable_name(os.fspath(name))
    if text.startswith("-"):
        text = f"./{text}"
    if printable(text) == text:
        return shlex.quote(text)
    return "$'" + "".join(map(_in_dollar_quotes, text)) + "'"


def _in_dollar_quotes(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if printable(character) == character:
        return character
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogateescape"))


def portable_name(name: str) -> str:
    """Convert a file name to the form of a process whose file system encoding is UTF-8.

    Store names in this form; `local_name` converts them back.
    """
    try:
        return os.fsencode(name).decode("utf-8", "surrogateescape")
    # This process could not open a file of such a name.
    except UnicodeEncodeError:
        return name


def local_name(name: str) -> str:
    """Convert a stored name to the form that this process opens: invert `portable_name`."""
    try:
        return os.fsdecode(name.encode("utf-8", "surrogateescape"))
    except UnicodeError:
        return name


@contextmanager
def plain_folder(folder: Path) -> Iterator[Path]:
    """Provide a path of an existing folder that is valid UTF-8 and has no backslash.

    Some libraries encode a path as UTF-8, and torch's writer splits it at backslashes. The path
    goes through a temporary symbolic link where `folder` itself doesn't qualify.
    """
    if os.name == "nt" or (_is_utf8(str(folder)) and "\\" not in str(folder)):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="fastgan-") as place:
        link = Path(place, "folder")
        link.symlink_to(folder.absolute(), target_is_directory=True)
        yield link


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
