"""File names and other foreign text, made safe for whatever prints, writes or encodes them.

A file name on Linux is bytes. Python decodes those that aren't text to lone surrogates, which no
encoder of UTF-8 takes; a name may also hold line breaks and what moves a terminal's cursor.
"""

from __future__ import annotations

import codecs
import os
import re
import shlex
import tempfile
import unicodedata
from collections.abc import Iterator
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

    Bytes that aren't UTF-8 become ``\xe9``; line breaks, control characters and those that reorder
    text become ``\n``, ``\x1b``, ``\u202e``. All else, ``[red]`` and ``<b>`` too, stays as it is.

    Use it wherever a name is shown, and never to open a file.
    """
    text = portable_name(os.fspath(name))
    text = _NO_BYTE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if unicodedata.category(character) in _ESCAPED or character in _REORDERING:
        return character.encode("unicode_escape").decode()
    return character


def encodable(text: str, encoding: str) -> str:
    """Return `text` with what `encoding` lacks spelt in ASCII: ``x`` for ``×``, else an escape."""
    return text.encode(encoding, _HANDLER).decode(encoding)


def never_fail(stream: Any) -> None:
    """Make a text stream spell what its encoding lacks, as `encodable` does, and not raise."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors=_HANDLER)


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_PLAIN.get(c) or _escape(c) for c in lacking), error.end


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that isn't UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("ascii", "backslashreplace").decode()


codecs.register_error(_HANDLER, _spell)


def shell_word(name: str | os.PathLike[str]) -> str:
    """Return a path as one word of a command that bash and zsh read back to the same name.

    A path that begins with a dash gets ``./`` before it, since it would be taken for an option.
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
    """Return a file name as a process whose file system encoding is UTF-8 has it.

    It is what to store: `local_name` gives it back as this process opens it.
    """
    try:
        return os.fsencode(name).decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # not a name that this process could open
        return name


def local_name(name: str) -> str:
    """Return a stored name as this process opens it: the inverse of `portable_name`."""
    try:
        return os.fsdecode(name.encode("utf-8", "surrogateescape"))
    except UnicodeError:
        return name


@contextmanager
def plain_folder(folder: Path) -> Iterator[Path]:
    """A path of `folder`, which must exist, for libraries that take only plain ones.

    Some encode a path as UTF-8, and torch's writer splits it at backslashes. Where its own path
    isn't plain, this one goes through a link that lasts as long as the block.
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
