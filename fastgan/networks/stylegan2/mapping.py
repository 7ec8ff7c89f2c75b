"""Mapping network from z and labels to w (Karras et al. 2019, section 2; 2020b for labels)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastgan.networks.checks import check_at_least, check_shape
from fastgan.networks.half import autocast_off
from fastgan.networks.labels import label_rows, no_labels
from fastgan.nn import EqualLinear
from fastgan.nn.scaling import scaled_together
from fastgan.ops import pixel_norm


class MappingNetwork(nn.Module):
    """Map z ``[N, z_dim]`` and labels to w ``[N, num_ws, w_dim]``, equal for all layers.

    z and the embedding of labels are each divided by their root mean square. Fully connected layers
    with leaky ReLU follow. ``w_avg`` is a moving average of w over z and labels, the centre of
    truncation. The network computes in the dtype of its parameters, under autocast too.

    Args:
        z_dim: length of z, 0 for none.
        c_dim: number of classes, or length of other labels; 0 for none.
        w_dim: length of w, and width of all layers.
        num_ws: number of layers that w is repeated for; None returns w ``[N, w_dim]``.
        num_layers: number of fully connected layers.
        lr_multiplier: learning rate of the layers relative to the rest of the network.
        w_avg_beta: share of ``w_avg`` that an update keeps; None for no ``w_avg``.

    Raises:
        ValueError: a size is out of range, or z and labels are both absent.
    """

    w_avg: Tensor

    def __init__(
        self,
        z_dim: int = 512,
        c_dim: int = 0,
        w_dim: int = 512,
        *,
        num_ws: int | None,
        num_layers: int = 8,
        lr_multiplier: float = 0.01,
        w_avg_beta: float | None = 0.998,
    ) -> None:
        super().__init__()
        check_at_least(0, z_dim=z_dim, c_dim=c_dim)
        check_at_least(1, w_dim=w_dim, num_layers=num_layers)
        if num_ws is not None:
            check_at_least(1, num_ws=num_ws)
        if z_dim == c_dim == 0:
            raise ValueError("z_dim or c_dim must be at least 1, got 0 for both")
        if w_avg_beta is not None and not 0 <= w_avg_beta <= 1:
            raise ValueError(f"w_avg_beta must be None or from 0 to 1, got {w_avg_beta!r}")
        self.z_dim, self.c_dim, self.w_dim, self.num_ws = z_dim, c_dim, w_dim, num_ws
        self.num_layers, self.w_avg_beta = num_layers, w_avg_beta
        if c_dim:
            self.embed = EqualLinear(c_dim, w_dim)
        for i in range(num_layers):
            features = w_dim if i else z_dim + (w_dim if c_dim else 0)
            layer = EqualLinear(features, w_dim, act="lrelu", lr_multiplier=lr_multiplier)
            self.add_module(f"fc{i}", layer)
        if w_avg_beta is not None:
            self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(
        self,
        z: Tensor | None,
        labels: Tensor | None = None,
        *,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
        update_w_avg: bool = False,
    ) -> Tensor:
        """Return w ``[N, num_ws, w_dim]``, or ``[N, w_dim]`` without ``num_ws``.

        Args:
            z: ``[N, z_dim]``, standard normal; None where ``z_dim`` is 0.
            labels: class indices int64 ``[N]``, or rows ``[N, c_dim]``.
            truncation_psi: 1 keeps w, 0 returns ``w_avg``; values between interpolate (Karras et
                al. 2019, section B).
            truncation_cutoff: truncate w of this many first layers only.
            update_w_avg: move ``w_avg`` towards this batch's mean.

        Raises:
            ValueError: z or labels have another shape, labels are missing or out of range, or
                truncation needs a ``w_avg`` that the network doesn't have.
        """
        with autocast_off(next(self.parameters())), scaled_together(self.layers()):
            w = self._mapped(z, labels)
        if update_w_avg:
            self._need_w_avg("update_w_avg")
            with torch.no_grad():
                assert self.w_avg_beta is not None
                mean = w.detach().to(self.w_avg.dtype).mean(0)
                self.w_avg.copy_(mean.lerp(self.w_avg, self.w_avg_beta))
        if truncation_psi != 1:
            self._need_w_avg("truncation_psi")
        if self.num_ws is None:
            return w if truncation_psi == 1 else self.w_avg.to(w.dtype).lerp(w, truncation_psi)
        ws = w[:, None].expand(-1, self.num_ws, -1)
        if truncation_psi == 1:
            return ws
        truncated = self.w_avg.to(w.dtype).lerp(ws, truncation_psi)
        if truncation_cutoff is None:
            return truncated
        return torch.cat([truncated[:, :truncation_cutoff], ws[:, truncation_cutoff:]], 1)

    def layers(self) -> list[EqualLinear]:
        """Return the layers in the order of their calls."""
        embed = [self.embed] if self.c_dim else []
        return [*embed, *(getattr(self, f"fc{i}") for i in range(self.num_layers))]

    def _mapped(self, z: Tensor | None, labels: Tensor | None) -> Tensor:
        """Return w ``[N, w_dim]``."""
        dtype = next(self.parameters()).dtype
        parts = []
        if self.z_dim:
            check_shape("z", z, self.z_dim)
            assert z is not None
            parts.append(pixel_norm(z.to(dtype)))
        if self.c_dim:
            label = label_rows(
                labels, self.c_dim, None if z is None or not self.z_dim else z.shape[0]
            )
            parts.append(pixel_norm(self.embed(label.to(dtype))))
        else:
            no_labels(labels)
        w = torch.cat(parts, 1) if len(parts) > 1 else parts[0]
        for i in range(self.num_layers):
            w = getattr(self, f"fc{i}")(w)
        return w

    def _need_w_avg(self, argument: str) -> None:
        """Raise ValueError without ``w_avg``, naming the argument that needs it."""
        if self.w_avg_beta is None:
            raise ValueError(
                f"w_avg_beta must be a number for {argument}, got None; create the network with one"
            )
