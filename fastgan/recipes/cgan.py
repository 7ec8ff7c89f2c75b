"""`cgan`: conditional GAN, which draws the class that it's asked for (Mirza and Osindero 2014)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fastgan.recipes.dcgan import DCGAN


@dataclass(frozen=True, kw_only=True)
class CGAN(DCGAN):
    """Mirza 2014 on DCGAN's networks: labels are joined to z in G and to the image in D."""

    name: ClassVar[str] = "cgan"
    summary: ClassVar[str] = "Mirza 2014: labels beside z and the image, on DCGAN's networks"

    conditional: bool = True
