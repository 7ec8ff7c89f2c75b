"""What lets D compare the images of a batch before its last layer: G's lack of variety shows there."""

from __future__ import annotations

from torch import Tensor, nn

from fastgan.nn.minibatch_discrimination import MinibatchDiscrimination
from fastgan.ops import minibatch_stddev


class BatchComparison(nn.Module):
    """Minibatch discrimination, minibatch standard deviation, both or neither, around a last layer that is linear.

    Joining kernels to the features of a linear layer is adding a linear layer of theirs to what it gives, so the last
    layer of a convolutional D stays a convolution.

    Args:
        features: of D before its last layer, all places together.
        kernels: of :class:`MinibatchDiscrimination`, 0 for none.
        group_size: of :func:`minibatch_stddev`, 0 for none.
    """

    def __init__(self, features: int, kernels: int, group_size: int) -> None:
        super().__init__()
        self.group_size = group_size
        self.discrimination = MinibatchDiscrimination(features, kernels) if kernels else None
        self.closeness = nn.Linear(kernels, 1, bias=False) if kernels else None

    def joined(self, x: Tensor) -> Tensor:
        """Features `[N, C, ...]` with the channel of minibatch stddev where it is asked for, for the last layer."""
        if not self.group_size:
            return x
        places = x if x.ndim == 4 else x[:, :, None, None]
        return minibatch_stddev(places, group_size=self.group_size).view(
            x.shape[0], -1, *x.shape[2:]
        )

    def added(self, logits: Tensor, x: Tensor) -> Tensor:
        """The last layer's logits `[N]` and, where it is asked for, what minibatch discrimination says of features x."""
        if self.discrimination is None or self.closeness is None:
            return logits
        return logits + self.closeness(self.discrimination(x.flatten(1))).squeeze(1)
