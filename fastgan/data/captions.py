"""Sentences as the indices of their words."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable

import torch
from torch import Tensor

from fastgan.data.dataset import DataError
from fastgan.data.inputs import InputSpec

_WORD = re.compile(r"\w+(?:'\w+)*")


def words_of(text: str) -> list[str]:
    """The words of a sentence in lower case; what stands between them is left out."""
    return _WORD.findall(unicodedata.normalize("NFC", text).lower().replace("’", "'"))


def caption_spec(texts: Iterable[str]) -> InputSpec:
    """The vocabulary of ``texts``, sorted, after the empty word; and the length of the longest."""
    sentences = [words_of(text) for text in texts]
    vocabulary = sorted({word for sentence in sentences for word in sentence})
    return InputSpec("caption", names=("", *vocabulary), length=max(map(len, sentences), default=0))


def encode_caption(text: str, spec: InputSpec) -> Tensor:
    """``text`` as int64 ``[spec.length]``: indices of its words in ``spec.names``, then 0.

    Raises:
        DataError: a word that isn't in the vocabulary, more words than ``spec.length``, or none.
    """
    words = words_of(text)
    if not 0 < len(words) <= spec.length:
        raise DataError(
            f"A caption has 1 to {spec.length} words here, but {text!r} has {len(words)}: mend it."
        )
    known = {word: index for index, word in enumerate(spec.names) if word}
    for word in words:
        if word not in known:
            near = difflib.get_close_matches(word, known, n=3) or list(known)[:3]
            raise DataError(
                f"The word {word!r} of the caption {text!r} is not in the vocabulary of {len(known)} words: write one "
                f"that is, such as {', '.join(near)}."
            )
    caption = torch.zeros(spec.length, dtype=torch.int64)
    caption[: len(words)] = torch.tensor([known[word] for word in words])
    return caption
