"""Encoding of captions as the indices of their words."""

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
    """Split a sentence into its words, in lower case and without punctuation."""
    return _WORD.findall(unicodedata.normalize("NFC", text).lower().replace("’", "'"))


def caption_spec(texts: Iterable[str]) -> InputSpec:
    """Return the input of captions: sorted vocabulary after the empty word, longest length."""
    sentences = [words_of(text) for text in texts]
    vocabulary = sorted({word for sentence in sentences for word in sentence})
    return InputSpec("caption", names=("", *vocabulary), length=max(map(len, sentences), default=0))


def encode_caption(text: str, spec: InputSpec) -> Tensor:
    """Encode a caption as the indices of its words.

    Args:
        text: the caption, of 1 to ``spec.length`` words.
        spec: vocabulary and length (see ``caption_spec``).

    Returns:
        int64 ``[spec.length]``, indices in ``spec.names``; 0 after the last word.

    Raises:
        DataError: a word isn't in the vocabulary, or the number of words is out of range.
    """
    words = words_of(text)
    if not 0 < len(words) <= spec.length:
        raise DataError(
            f"A caption must have 1 to {spec.length} words, got {len(words)} in {text!r}: "
            f"correct it."
        )
    known = {word: index for index, word in enumerate(spec.names) if word}
    for word in words:
        if word not in known:
            near = difflib.get_close_matches(word, known, n=3) or list(known)[:3]
            raise DataError(
                f"The word {word!r} of the caption {text!r} is not in the vocabulary of "
                f"{len(known)} words: write one that is, such as {', '.join(near)}."
            )
    caption = torch.zeros(spec.length, dtype=torch.int64)
    caption[: len(words)] = torch.tensor([known[word] for word in words])
    return caption
