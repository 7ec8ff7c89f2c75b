"""Discriminators of projected features (Sauer et al. 2021, sections 3.1 and 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastgan.networks.alpha import over_mid_grey
from fastgan.networks.checks import check_at_least, check_choice, check_shape
from fastgan.networks.labels import no_labels
from fastgan.networks.protocol import DiscriminatorOutput
from fastgan.nn import BatchNormAct2d, Conv2d

__all__ = ["FrozenFeatures", "ProjectedDiscriminator"]

LOGITS = 4
"""Height and width of the logits at every scale."""


class FrozenFeatures(nn.Module):
    """Features of a pretrained network at several depths, frozen.

    Its weights aren't in the state dict, which has their SHA-256 alone. They are loaded when they
    are first needed, so a state is loaded without them. Other weights than the state's raise
    ValueError.

    Args:
        load_stages: function that returns the parts of the network and the SHA-256 of the file of
            its weights (hex). Each part takes the output of the one before.
        widths: channels of the stages.
        strides: pixels of the input per feature of the stages, along one axis.
        mean, std: those that the network's images are normalised by, for values in [0, 1].
    """

    constant_buffers = ("identity", "mean", "std")
    identity: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        load_stages: Callable[[], tuple[Sequence[nn.Module], str]],
        widths: Sequence[int],
        strides: Sequence[int],
        *,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
    ) -> None:
        super().__init__()
        self.load_stages, self.stages = load_stages, nn.ModuleList()
        self.widths, self.strides = tuple(widths), tuple(strides)
        # Zeros mean that no weights were loaded yet.
        self.register_buffer("identity", torch.zeros(32, dtype=torch.uint8))
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values).view(1, -1, 1, 1), persistent=False)

    def load(self) -> None:
        """Load the weights, unless they are there.

        Raises:
            ValueError: they aren't those that the networks were trained with.
        """
        if len(self.stages):
            return
        stages, sha256 = self.load_stages()
        here = torch.tensor(list(bytes.fromhex(sha256)), dtype=torch.uint8)
        self._check(self.identity, here)
        self.identity.copy_(here)
        for stage in stages:
            for module in stage.modules():
                _freeze(module)
        self.stages.extend(stage.to(self.mean.device) for stage in stages)

    def train(self, mode: bool = True) -> FrozenFeatures:
        """Stay in evaluation mode."""
        super().train(False)
        return self

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the features of images ``[N, 1 to 4, H, W]`` in [-1, 1], the finest first."""
        x = over_mid_grey(images).expand(-1, 3, -1, -1)
        x = ((x + 1) / 2 - self.mean) / self.std
        self.load()
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        saved = state_dict.get(f"{prefix}identity")
        if saved is not None:
            self._check(saved, self.identity)
        super()._load_from_state_dict(state_dict, prefix, *args)

    @staticmethod
    def _check(trained: Tensor, here: Tensor) -> None:
        if trained.is_meta or here.is_meta:
            return
        trained, here = trained.cpu(), here.cpu()
        if trained.any() and here.any() and not torch.equal(trained, here):
            raise ValueError(
                "the pretrained features must be those that the networks were trained with, of "
                f"SHA-256 {_hex(trained)}, got {_hex(here)}: use the same file of weights"
            )


def _hex(identity: Tensor) -> str:
    return bytes(identity.tolist()).hex()


def _freeze(module: nn.Module) -> None:
    """Turn parameters and buffers of one module into buffers that are not in the state dict."""
    module.eval()
    tensors = {
        **dict(module.named_parameters(recurse=False)),
        **dict(module.named_buffers(recurse=False)),
    }
    for name, tensor in tensors.items():
        delattr(module, name)
        module.register_buffer(name, tensor.detach(), persistent=False)
    cast(Any, module).constant_buffers = tuple(tensors)


class Mixing(nn.Module):
    """Fixed random projections of features (section 3.2 and figure 2).

    Random 1×1 convolutions mix the channels of each scale. From the coarsest to the finest scale, a
    random 3×3 convolution mixes the sum of a scale and the enlarged scale below it. The weights are
    Kaiming's, are drawn once and are in the state dict.

    Args:
        widths: channels of the features, the finest first.
        outputs: channels of the finest result, twice as many at each next one.
    """

    def __init__(self, widths: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.widths = tuple(outputs << i for i in range(len(widths)))
        names = []
        for i, (inputs, width) in enumerate(zip(widths, self.widths)):
            # The 3×3 convolution of a scale makes the channels of the next finer one.
            finer = self.widths[max(i - 1, 0)]
            for name, shape in (
                (f"channels_{i}", (width, inputs, 1, 1)),
                (f"scales_{i}", (finer, width, 3, 3)),
            ):
                self.register_buffer(name, nn.init.kaiming_normal_(torch.empty(shape), a=1.0))
                names.append(name)
        self.constant_buffers = tuple(names)
        self.outputs = tuple(self.widths[max(i - 1, 0)] for i in range(len(widths)))

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        mixed: list[Tensor] = []
        below: Tensor | None = None
        for i in reversed(range(len(features))):
            x = F.conv2d(features[i], cast(Tensor, getattr(self, f"channels_{i}")))
            if below is not None:
                x = x + F.interpolate(below, size=x.shape[2:], mode="bilinear")
            below = F.conv2d(x, cast(Tensor, getattr(self, f"scales_{i}")), padding=1)
            mixed.insert(0, below)
        return mixed


class Heads(nn.Module):
    """A discriminator for each scale, with logits ``[N, 1, 4, 4]``.

    Each factor of 2 down to 4×4 is a strided 4×4 convolution, batch norm and leaky ReLU.
    """

    def __init__(self, inputs: Sequence[int], sizes: Sequence[int], width: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList()
        for channels, size in zip(inputs, sizes):
            downs = (size // LOGITS).bit_length() - 1
            widths = [channels, *(width << i for i in range(downs))]
            layers: list[nn.Module] = []
            for a, b in pairwise(widths):
                layers += [Conv2d(a, b, 4, 2, 1, bias=False), BatchNormAct2d(b, act="lrelu")]
            layers.append(Conv2d(widths[-1], 1, 3, 1, 1))
            self.scales.append(nn.Sequential(*layers))

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return tuple(scale(f) for scale, f in zip(self.scales, features))


class ProjectedDiscriminator(nn.Module):
    """Map images ``[N, channels, resolution, resolution]`` in [-1, 1] to logits ``[N, 1, 4, 4]``.

    Images are enlarged to ``size``, projected to frozen features, and judged at each of their
    scales. Only the heads learn.

    Args:
        resolution: height and width of the images.
        channels: channels of the images, 1 to 4.
        features: the pretrained network.
        ndf: channels of the finest projection and of the first layers of the heads.
        size: height and width of the pretrained network's input, a multiple of 128.

    Raises:
        ValueError: an argument is out of range, images have another shape, or there are labels.
    """

    c_dim = 0

    def __init__(
        self, resolution: int, channels: int, features: FrozenFeatures, *, ndf: int = 64,
        size: int = 128,
    ) -> None:  # fmt: skip
        super().__init__()
        check_at_least(1, resolution=resolution, ndf=ndf)
        check_choice("channels", channels, (1, 2, 3, 4))
        check_choice("size", size, (128, 256))
        self.image_shape, self.size = (channels, resolution, resolution), size
        self.features = features
        self.mixing = Mixing(features.widths, ndf)
        sizes = [size // stride for stride in features.strides]
        self.heads = Heads(self.mixing.outputs, sizes, ndf)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        check_shape("images", images, *self.image_shape)
        no_labels(labels)
        if images.shape[2] != self.size:
            images = F.interpolate(images, size=(self.size, self.size), mode="bilinear")
        return DiscriminatorOutput(self.heads(self.mixing(self.features(images))))
