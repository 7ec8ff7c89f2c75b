"""Comparison of the images of a batch in front of D's last layer, which shows repeated images."""

from __future__ import annotations

from torch import Tensor, nn

from fastgan.networks.checks import check_at_least
from fastgan.nn.minibatch_discrimination import MinibatchDiscrimination
from fastgan.ops import minibatch_stddev


class BatchComparison(nn.Module):
    """Minibatch discrimination and minibatch standard deviation around a linear last layer.

    Either, both or neither is used. Concatenating closeness measures with the features of a linear
    layer equals adding a linear layer of them to its output. So the last layer of a convolutional D
    stays a convolution.

    Args:
        features: size of D's features before its last layer, over all positions.
        kernels: kernels of :class:`MinibatchDiscrimination`, 0 for none.
        group_size: group size of :func:`fastgan.ops.minibatch_stddev`, 0 for none.
    """

    def __init__(self, features: int, kernels: int, group_size: int) -> None:
        super().__init__()
        check_at_least(0, minibatch_discrimination=kernels, minibatch_stddev=group_size)
        self.group_size = group_size
        self.discrimination = MinibatchDiscrimination(features, kernels) if kernels else None
        self.closeness = nn.Linear(kernels, 1, bias=False) if kernels else None

    def append_stddev(self, x: Tensor) -> Tensor:
        """Append the channel of the minibatch standard deviation to features ``[N, C, ...]``.

        Without one the features are returned.
        """
        if not self.group_size:
            return x
        places = x if x.ndim == 4 else x[:, :, None, None]
        return minibatch_stddev(places, group_size=self.group_size).view(
            x.shape[0], -1, *x.shape[2:]
        )

    def add_closeness(self, logits: Tensor, x: Tensor) -> Tensor:
        """Add the minibatch discrimination of features to logits ``[N]``.

        Without one the logits are returned.
        """
        if self.discrimination is None or self.closeness is None:
            return logits
        return logits + self.closeness(self.discrimination(x.flatten(1))).squeeze(1)
