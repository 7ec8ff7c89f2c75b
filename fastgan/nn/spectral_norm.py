"""Spectral normalisation of a whole network (Miyato et al. 2018).

All layers are normalised in one call per forward pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fastgan import _torch_private, ops
from fastgan.ops._checks import check_at_least

# Power iterations at creation, as many as torch runs.
_AT_THE_START = 15


class _SpectralNorm(nn.Module):
    """Parametrisation of one weight, with torch's buffers: the singular vectors ``_u`` and ``_v``.

    ``ready`` is the normalised weight, from the start of the network's forward pass until the layer
    reads it.
    """

    _u: Tensor
    _v: Tensor
    ready: Tensor | None

    def __init__(self, weight: Tensor, dim: int, n_power_iterations: int, eps: float) -> None:
        super().__init__()
        self.dim, self.n_power_iterations, self.eps = dim, n_power_iterations, eps
        self.ready = None
        rows = weight.shape[dim]
        with torch.no_grad():
            u = nn.functional.normalize(weight.new_empty(rows).normal_(), dim=0, eps=eps)
            v = nn.functional.normalize(
                weight.new_empty(weight.numel() // rows).normal_(), dim=0, eps=eps
            )
        self.register_buffer("_u", u)
        self.register_buffer("_v", v)
        self.settle(weight)

    @torch.no_grad()
    def settle(self, weight: Tensor) -> None:
        """Update the vectors for this weight by as many iterations as at creation."""
        if weight.is_meta:
            return
        _, _, (u,), (v,) = ops.spectral_norm(
            [weight.detach()],
            [self._u],
            [self._v],
            n_power_iterations=_AT_THE_START,
            eps=self.eps,
            dims=[self.dim],
        )
        self._u.copy_(u)
        self._v.copy_(v)

    def forward(self, weight: Tensor) -> Tensor:
        ready, self.ready = self.ready, None
        return _normalise([self], [weight])[0] if ready is None else ready

    def extra_repr(self) -> str:
        return f"dim={self.dim}, n_power_iterations={self.n_power_iterations}, eps={self.eps}"


def _normalise(layers: Sequence[_SpectralNorm], weights: Sequence[Tensor]) -> list[Tensor]:
    """Return the normalised weights of layers that share mode, dtype and device.

    In training the vectors of the layers are updated.
    """
    first = layers[0]
    us, vs = [layer._u for layer in layers], [layer._v for layer in layers]
    if not first.training:
        # An averaged network has averages of unit vectors, which are shorter than 1.
        us, vs = ([F.normalize(t, dim=0, eps=first.eps) for t in vectors] for vectors in (us, vs))
    normalised, _, new_us, new_vs = ops.spectral_norm(
        weights, us, vs, eps=first.eps, dims=[layer.dim for layer in layers],
        n_power_iterations=first.n_power_iterations if first.training else 0,
    )  # fmt: skip
    if first.training:
        with torch.no_grad():
            _torch_private.copy_all_([*us, *vs], [*new_us, *new_vs])
    return normalised


class _Group:
    """Layers of one network, with the network's hooks as methods.

    Hooks are methods so that a copy of the network has a group of its own.
    """

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        self.layers = list(layers)

    def parametrizations(self) -> Iterator[Any]:
        for layer in self.layers:
            yield layer.parametrizations["weight"]  # type: ignore[index]

    def before(self, network: nn.Module, args: Any) -> None:
        """Normalise all weights at the start of the network's forward pass."""
        alike: dict[Any, list[Any]] = {}
        for each in self.parametrizations():
            weight = each.original
            alike.setdefault((each[0].training, weight.dtype, weight.device), []).append(each)
        for some in alike.values():
            layers = [each[0] for each in some]
            for layer, weight in zip(layers, _normalise(layers, [each.original for each in some])):
                layer.ready = weight

    def after(self, network: nn.Module, args: Any, output: Any) -> None:
        """Drop weights that no layer has read."""
        for each in self.parametrizations():
            each[0].ready = None


def apply_spectral_norm(
    network: nn.Module, n_power_iterations: int = 1, eps: float = 1e-12
) -> nn.Module:
    """Normalise all weights of linear layers and convolutions by their spectral norms, in place.

    The layers are torch's (``Linear``, ``Conv1d`` to ``3d``, ``ConvTranspose1d`` to ``3d``) and
    their subclasses, such as :class:`fastgan.nn.Conv2d`. The result is that of
    :func:`torch.nn.utils.parametrizations.spectral_norm` applied to each of them in the order of
    ``network.modules()``: the same draws and 15 iterations at the start, the same parameters and
    the same state dict. Training mode runs ``n_power_iterations`` per forward pass, eval mode none.
    One call of :func:`fastgan.ops.spectral_norm` serves all layers.

    A layer called on its own, or a second time in a pass, is normalised on its own, as torch does.
    A pass in training mode also iterates the vectors of layers that it skips. Copies of the network
    are independent of it.

    Args:
        network: a module, or a single layer.
        n_power_iterations: power iterations per forward pass in training, at least 1.
        eps: least norm to divide by.

    Returns:
        ``network``.

    Raises:
        TypeError: ``network`` is not a module.
        ValueError: ``network`` has no such layer, a weight is already parametrised or has no shape
            yet (a lazy layer), or an argument is out of range.
    """
    if not isinstance(network, nn.Module):
        raise TypeError(f"network must be a torch.nn.Module, got a {type(network).__name__}")
    check_at_least(1, n_power_iterations=n_power_iterations)
    kinds: tuple[type[Any], ...] = (nn.Linear, *_torch_private.CONVOLUTIONS)
    layers = [(name, m) for name, m in network.named_modules() if isinstance(m, kinds)]
    if not layers:
        raise ValueError(
            "network must hold a linear layer or a convolution of torch (or fastgan.nn.Conv2d), "
            f"got a {type(network).__name__} without one"
        )
    for name, layer in layers:
        where = f"layer {name!r} of network" if name else "network"
        if parametrize.is_parametrized(layer, "weight"):
            raise ValueError(
                f"the weight of {where} is parametrised already; call remove_spectral_norm or "
                "torch.nn.utils.parametrize.remove_parametrizations first"
            )
        if nn.parameter.is_lazy(layer.weight):
            raise ValueError(
                f"the weight of {where} has no shape yet; run a batch through the network first"
            )
    for _, layer in layers:
        dim = int(isinstance(layer, _torch_private.TRANSPOSED_CONVOLUTIONS))
        norm = _SpectralNorm(layer.weight, dim, n_power_iterations, eps)
        parametrize.register_parametrization(layer, "weight", norm)
    group = _Group([layer for _, layer in layers])
    network.register_forward_pre_hook(group.before)
    network.register_forward_hook(group.after, always_call=True)
    return network


def has_spectral_norm(network: nn.Module) -> bool:
    """Return True if :func:`apply_spectral_norm` was applied to a module or a part of it."""
    return any(isinstance(module, _SpectralNorm) for module in network.modules())


def remove_spectral_norm(network: nn.Module) -> nn.Module:
    """Undo :func:`apply_spectral_norm`, in place: weights become plain parameters again.

    Their values are those of eval mode.

    Returns:
        ``network``. Its parameters are the same objects, so optimisers keep them.

    Raises:
        ValueError: :func:`apply_spectral_norm` was not applied to this module itself.
    """
    pre_hooks = _torch_private.forward_pre_hooks(network)
    hooks = [(key, hook) for key, hook in pre_hooks.items() if _group_of(hook) is not None]
    if not hooks:
        raise ValueError(
            f"apply_spectral_norm has not been applied to this {type(network).__name__}"
        )
    for key, hook in hooks:
        group = _group_of(hook)
        assert group is not None
        for layer, each in zip(group.layers, list(group.parametrizations())):
            each[0].eval()
            _own_class(layer)
            parametrize.remove_parametrizations(layer, "weight")
        del pre_hooks[key]
        _torch_private.remove_forward_hooks(network, group)
    return network


def _own_class(layer: nn.Module) -> None:
    """Give a parametrised layer its own class.

    Copies of a layer share its class, and removing a parametrisation deletes a property of the
    class.
    """
    shared = type(layer)
    contents = {k: v for k, v in shared.__dict__.items() if k not in ("__dict__", "__weakref__")}
    layer.__class__ = type(shared.__name__, shared.__bases__, contents)


def _group_of(hook: Any) -> _Group | None:
    """Return the group whose method a hook is, or None."""
    group = getattr(hook, "__self__", None)
    return group if isinstance(group, _Group) else None
