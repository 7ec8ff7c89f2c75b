"""Error of the latent space's tools."""

from __future__ import annotations

from fastgan.errors import FastganError


class LatentError(FastganError):
    """A latent that can't be edited, projected or rendered as requested."""
