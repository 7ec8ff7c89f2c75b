"""Lookup of the files that a list names, tolerant of spelling."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from fastgan.data.dataset import DataError


class ListedNames:
    """Files of a set, looked up by the names that a list writes.

    A list may write a name in another Unicode normal form, with backslashes, with ``./`` in front,
    or with blanks around it. A file of exactly the written name takes precedence.

    Args:
        present: names of the files, relative, with ``/``.
    """

    def __init__(self, present: Iterable[str]) -> None:
        self._present = frozenset(present)
        self._by_form: dict[str, list[str]] = {}
        for name in sorted(self._present):
            self._by_form.setdefault(_form(name), []).append(name)
        self._folded: dict[str, str] = {}

    def find(self, written: str) -> str | None:
        """Return the file that ``written`` names, None if there is none.

        Raises:
            DataError: ``written`` matches two files.
        """
        if written in self._present:
            return written
        matches = self._by_form.get(_form(written), [])
        if len(matches) > 1:
            raise DataError(
                f"The name {written!r} in a list may mean {matches[0]!a} or {matches[1]!a}: "
                f"rename one of the files."
            )
        return matches[0] if matches else None

    def near(self, written: str) -> str:
        """Suggest a file of a similar name: a clause in brackets after a blank, else ``""``."""
        if not self._folded:
            self._folded = {form.casefold(): names[0] for form, names in self._by_form.items()}
            self._folded |= {
                form.rsplit("/", 1)[-1]: names[0] for form, names in self._by_form.items()
            }
        form = _form(written)
        if (other := self._folded.get(form.casefold())) and _form(
            other
        ).casefold() == form.casefold():
            return f" (only the case differs from {other!r})"
        other = self._folded.get(form.rsplit("/", 1)[-1])
        return f" (a file of that name is {other!r})" if other else ""


def _form(name: str) -> str:
    """Return the one spelling that all spellings of a name share."""
    parts = unicodedata.normalize("NFC", name.strip().replace("\\", "/")).split("/")
    return "/".join(part for part in parts if part not in ("", "."))
