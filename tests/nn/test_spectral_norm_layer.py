from __future__ import annotations

import copy
import io

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch.nn.utils import parametrizations, parametrize

from fastgan.nn import Conv2d, apply_spectral_norm, remove_spectral_norm


class Network(nn.Module):
    """Network with each kind of layer, a layer of fastgan and a residual block."""

    def __init__(self) -> None:
        super().__init__()
        self.first = Conv2d(3, 6, 3, padding=1)
        up, down = nn.ConvTranspose2d(6, 4, 4, 2, 1, bias=False), nn.Conv2d(4, 6, 4, 2, 1)
        self.block = nn.Sequential(nn.Tanh(), up, nn.Tanh(), down)
        self.last = nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        y = y + self.block(y)
        return self.last(torch.tanh(y).mean((2, 3))).flatten()


def by_torch(network: nn.Module, **options) -> nn.Module:
    for module in list(network.modules()):
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            parametrizations.spectral_norm(module, **options)
    return network


def pair(**options) -> tuple[nn.Module, nn.Module]:
    """Return a float64 network normalised by fastgan and its copy normalised by torch."""
    networks = []
    for normalise in (apply_spectral_norm, by_torch):
        torch.manual_seed(0)
        networks.append(normalise(Network().double(), **options))
    return networks[0], networks[1]


def images(seed: int = 1) -> Tensor:
    return torch.randn(
        2, 3, 4, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )


def assert_same(a: nn.Module, b: nn.Module) -> None:
    ours, theirs = a.state_dict(), b.state_dict()
    assert list(ours) == list(theirs)
    for name in ours:
        assert torch.allclose(ours[name], theirs[name], rtol=1e-9, atol=1e-10), name


@pytest.mark.parametrize(
    "options", [{}, {"n_power_iterations": 3, "eps": 1e-6}], ids=["one", "three"]
)
def test_training_is_torchs_step_by_step(options):
    """States, gradients and eval mode are torch's from the start and after each step.

    A step trains on real and fake images.
    """
    ours, theirs = pair(**options)
    assert_same(ours, theirs)
    optimizers = [torch.optim.SGD(n.parameters(), 0.1) for n in (ours, theirs)]
    for step in range(3):
        for network, optimizer in zip((ours, theirs), optimizers):
            optimizer.zero_grad()
            (
                F.softplus(network(images(step))).mean()
                + F.softplus(-network(images(step + 9))).mean()
            ).backward()
            optimizer.step()
        assert_same(ours, theirs)
        for a, b in zip(ours.parameters(), theirs.parameters()):
            assert torch.allclose(a.grad, b.grad, rtol=1e-9, atol=1e-10)
    # Training mode iterates without gradients too.
    with torch.no_grad():
        assert torch.allclose(ours(images()), theirs(images()))
    ours.eval(), theirs.eval()
    before = copy.deepcopy(ours.state_dict())
    for _ in range(2):
        assert torch.allclose(ours(images()), theirs(images()))
    assert all(torch.equal(before[k], t) for k, t in ours.state_dict().items())
    assert_same(ours, theirs)


def test_state_dicts_go_either_way():
    ours, theirs = pair()
    for target, source in ((ours, Network().double()), (theirs, Network().double())):
        torch.manual_seed(7)
        other = (by_torch if target is ours else apply_spectral_norm)(source)
        other(images())
        file = io.BytesIO()
        torch.save(other.state_dict(), file)
        file.seek(0)
        target.load_state_dict(torch.load(file), strict=True)
        assert torch.allclose(target.eval()(images()), other.eval()(images()))


def test_one_call_serves_all_layers(monkeypatch):
    from fastgan.nn import spectral_norm as module

    network = apply_spectral_norm(Network())
    calls = []
    call = module.ops.spectral_norm
    monkeypatch.setattr(
        module.ops,
        "spectral_norm",
        lambda weights, *a, **k: calls.append(len(weights)) or call(weights, *a, **k),
    )
    network(images().float())
    network.eval()
    network(images().float())
    network.block.train()
    network(images().float())
    # One call for the layers of each mode.
    assert calls == [4, 4, 2, 2]


def test_a_layer_called_alone_or_twice_is_torchs():
    ours, theirs = pair()
    x = images()
    for network in (ours, theirs):
        network.first(x)
        network.block(network.first(x))
    assert_same(ours, theirs)
    assert torch.allclose(ours.first.weight, theirs.first.weight)
    assert_same(ours, theirs)
    (a, b) = (
        n(nn.Linear(3, 3).double()) for n in (apply_spectral_norm, parametrizations.spectral_norm)
    )
    b.load_state_dict(a.state_dict())
    assert torch.allclose(a(a(torch.ones(1, 3).double())), b(b(torch.ones(1, 3).double())))
    assert_same(a, b)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(torch.tanh(self.layer(x)))


def test_a_layer_twice_in_one_pass_is_iterated_twice_as_in_torch():
    torch.manual_seed(0)
    ours = apply_spectral_norm(Twice().double())
    theirs = by_torch(Twice().double())
    theirs.load_state_dict(ours.state_dict())
    x = torch.ones(2, 4).double()
    for _ in range(2):
        assert torch.allclose(ours(x), theirs(x))
    assert_same(ours, theirs)


def test_copies_are_independent():
    network = apply_spectral_norm(Network().double())
    network(images())
    average = copy.deepcopy(network).eval().requires_grad_(False)
    expected = average(images())
    network(images())
    with torch.no_grad():
        for p in network.parameters():
            p.mul_(3)
    assert torch.equal(average(images()), expected)
    for mean, value in zip(average.state_dict().values(), network.state_dict().values()):
        # The trainer averages so.
        mean.lerp_(value, 0.5)
    assert not torch.equal(average(images()), expected)
    average.train()
    average(images())
    assert not torch.equal(
        average.first.parametrizations.weight[0]._u, network.first.parametrizations.weight[0]._u
    )


def test_an_average_of_networks_is_normalised_by_unit_vectors():
    """Averaged u and v are shorter than 1 and would make the weights too large."""
    network = apply_spectral_norm(Network().double())
    network(images())
    average = copy.deepcopy(network).eval()
    expected = average(images())
    for name, vector in average.named_buffers():
        if name.endswith(("_u", "_v")):
            vector.mul_(0.6)
    assert torch.allclose(average(images()), expected)


def test_frozen_layers_are_normalised_and_get_no_gradient():
    ours, theirs = pair()
    for network in (ours, theirs):
        network.block.requires_grad_(False)
        x = images().requires_grad_()
        network(x).sum().backward()
        network.x_grad = x.grad
    assert torch.allclose(ours.x_grad, theirs.x_grad)
    assert ours.block[1].parametrizations.weight.original.grad is None
    assert torch.allclose(
        ours.first.parametrizations.weight.original.grad,
        theirs.first.parametrizations.weight.original.grad,
    )
    network = apply_spectral_norm(Network()).requires_grad_(False)
    assert not network(images().float()).requires_grad


def test_an_exception_leaves_no_weight_behind():
    network = apply_spectral_norm(Network())
    with pytest.raises(ValueError):
        network(torch.zeros(2, 5, 4, 4))
    assert all(each[0].ready is None for each in parametrizations_of(network))


def parametrizations_of(network: nn.Module) -> list:
    return [m for m in network.modules() if isinstance(m, parametrize.ParametrizationList)]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=["float64", "bfloat16"])
def test_moves_to_another_dtype(dtype):
    network = apply_spectral_norm(Network()).to(dtype)
    y = network(images().to(dtype))
    y.sum().backward()
    assert y.dtype == dtype and all(b.dtype == dtype for b in network.buffers())
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


def test_layers_of_different_dtypes():
    network = apply_spectral_norm(Network())
    network.last.double()
    network.last.register_forward_pre_hook(lambda layer, args: (args[0].double(),))
    assert network(images().float()).dtype == torch.float64


def test_runs_under_autocast():
    network = apply_spectral_norm(Network())
    with torch.autocast("cpu", torch.bfloat16):
        loss = network(images().float()).sum()
    loss.backward()
    assert all(p.grad.dtype == torch.float32 for p in network.parameters())


@pytest.mark.backends
def test_a_whole_step_compiles():
    """One graph holds both passes and a penalty with its second derivative.

    Gradients and buffers are those of eager mode.
    """

    def step(network: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        scores = network(real)
        (g,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
        loss = F.softplus(network(fake)).mean() + F.softplus(-scores).mean() + g.square().sum()
        loss.backward()
        return loss.detach()

    torch.manual_seed(0)
    networks = [apply_spectral_norm(Network().double())]
    networks.append(copy.deepcopy(networks[0]))
    counter = CompileCounterWithBackend("aot_eager")
    torch._dynamo.reset()
    with torch._dynamo.config.patch(trace_autograd_ops=True):
        compiled = torch.compile(step, fullgraph=True, backend=counter)
        for k in range(3):
            losses = []
            for f, network in zip((step, compiled), networks):
                network.zero_grad(set_to_none=False)
                losses.append(f(network, images(k).requires_grad_(), images(k + 5)))
            assert torch.allclose(*losses)
            assert all(torch.allclose(a, b) for a, b in zip(*(n.buffers() for n in networks)))
            assert all(
                torch.allclose(a.grad, b.grad) for a, b in zip(*(n.parameters() for n in networks))
            )
    # The first step has no gradients yet, which costs a graph.
    assert counter.frame_count <= 2


def test_removing_keeps_the_normalised_weights():
    network = apply_spectral_norm(Network().double())
    network(images())
    parameters = {id(p) for p in network.parameters()}
    copied = copy.deepcopy(network).eval()
    assert remove_spectral_norm(network) is network
    assert torch.allclose(network(images()), copied(images()))
    assert set(network.state_dict()) == set(Network().state_dict())
    assert {id(p) for p in network.parameters()} == parameters
    assert not network._forward_pre_hooks and not network._forward_hooks
    with pytest.raises(
        ValueError, match="apply_spectral_norm has not been applied to this Network"
    ):
        remove_spectral_norm(network)
    apply_spectral_norm(network)


@pytest.mark.parametrize(
    "make,error,words",
    [
        (
            lambda: apply_spectral_norm("network"),
            TypeError,
            "network must be a torch.nn.Module, got a str",
        ),
        (
            lambda: apply_spectral_norm(nn.Tanh()),
            ValueError,
            "linear layer or a convolution of torch .*, got a Tanh without one",
        ),
        (
            lambda: apply_spectral_norm(apply_spectral_norm(Network())),
            ValueError,
            "'first' of network is parametrised already",
        ),
        (
            lambda: apply_spectral_norm(by_torch(nn.Linear(2, 2))),
            ValueError,
            "weight of network is parametrised already",
        ),
        (
            lambda: apply_spectral_norm(nn.LazyLinear(2)),
            ValueError,
            "weight of network has no shape yet",
        ),
        (
            lambda: apply_spectral_norm(Network(), 0),
            ValueError,
            "n_power_iterations must be .* at least 1, got 0",
        ),
        (
            lambda: apply_spectral_norm(Network(), eps=-1.0),
            ValueError,
            "eps must be a number of at least 0, got -1.0",
        ),
    ],
)
def test_errors(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_a_refused_network_is_unchanged():
    network = Network()
    parametrizations.spectral_norm(network.last)
    with pytest.raises(ValueError):
        apply_spectral_norm(network)
    assert not parametrize.is_parametrized(network.first) and not network._forward_pre_hooks
