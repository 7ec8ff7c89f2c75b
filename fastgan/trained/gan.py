"""`Trained`: the networks of one recipe, and everything that can be done with them."""

from __future__ import annotations

from fastgan.trained.exporting import Exporting
from fastgan.trained.projecting import Projecting
from fastgan.trained.sampling import Sampling
from fastgan.trained.translating import Translating


class Trained(Sampling, Translating, Projecting, Exporting):
    """Trained networks, in eval mode and without gradients.

    :func:`fastgan.load` and :func:`fastgan.train` make one. Arguments that a recipe doesn't take
    are refused; :meth:`can` tells which it takes.

    Attributes:
        recipe: the recipe with its settings.
        networks: networks by name, moving averages where the recipe keeps them.
        origin: recipe, images shown and file, for a person.
        config: configuration of the run; None for networks from another file.
        result: figures and folder of the run; None unless :func:`fastgan.train` made this object.
    """
