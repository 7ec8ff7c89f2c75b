from __future__ import annotations

from fastgan.errors import FastganError


class LatentError(FastganError):
    """A latent can't be steered, projected or drawn as asked; the message says why and what to do."""
