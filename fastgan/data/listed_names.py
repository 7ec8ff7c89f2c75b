"""Find the files that a list means, however it writes their names."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from fastgan.data.dataset import DataError


class ListedNames:
    """Files of a set, by the names that a list has for them.

    A list may write a name in another Unicode normal form, with backslashes, ``./`` in front, or blanks around
    it. A file of exactly the written name takes precedence.

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
        """The file that ``written`` means, None if there is none.

        Raises:
            DataError: it may be one of two files.
        """
        if written in self._present:
            return written
        meant = self._by_form.get(_form(written), [])
        if len(meant) > 1:
            raise DataError(
                f"The name {written!r} in a list may mean {meant[0]!a} or {meant[1]!a}: rename one of "
                f"the files."
            )
        return meant[0] if meant else None

    def near(self, written: str) -> str:
        """What differs from a file that may be meant, a clause in brackets after a blank; empty if nothing is near."""
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
    """One spelling of all that mean the same file."""
    parts = unicodedata.normalize("NFC", name.strip().replace("\\", "/")).split("/")
    return "/".join(part for part in parts if part not in ("", "."))
