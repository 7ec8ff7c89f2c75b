"""Penalties by hand and through every op: derivatives, native kernels and compiled steps."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from fastgan import ops
from fastgan.losses import penalties
from fastgan.losses.adversarial import ADVERSARIAL_LOSSES, adversarial_loss
from fastgan.losses.stabilizers import flip_labels, instance_noise
from fastgan.networks import DiscriminatorOutput
from fastgan.nn import apply_spectral_norm
from tests.losses.every_op import Discriminator, Generator

# -- by hand ---------------------------------------------------------------------------------------


def half_square(x: Tensor) -> Tensor:
    """Return ½‖x‖² of each sample; its gradient is x."""
    return x.square().flatten(1).sum(1) / 2


REAL = torch.tensor([[[[3.0, 0.0]], [[0.0, 4.0]]], [[[1.0, 1.0]], [[1.0, 1.0]]]])
"""Images [2, 2, 1, 2] of norms 5 and 2."""


@pytest.mark.parametrize("shape", [(2, 2, 1, 2), (2, 4), (2, 2, 2)])
def test_norms_are_over_all_elements_of_a_sample(shape):
    """Over channels alone the norms would be 3, 4 and √2."""
    real = REAL.reshape(shape)
    zeros, ones = torch.zeros_like(real), torch.ones(2)
    assert penalties.r1(half_square, real).item() == (25 + 4) / 2 / 2
    assert penalties.r2(half_square, real).item() == (25 + 4) / 2 / 2
    assert penalties.wgan_gp(half_square, real, zeros, alpha=ones).item() == (16 + 1) / 2
    assert penalties.wgan_gp(half_square, real, zeros, alpha=ones, center=3.0).item() == (4 + 1) / 2
    assert penalties.zero_centered(half_square, real, zeros, alpha=ones).item() == (25 + 4) / 2


def test_interpolates_lie_between_real_and_fake():
    alpha = torch.tensor([0.25, 1.0])
    # α·x - (1 - α)·x is -x/2 and x.
    fake = -REAL
    assert penalties.wgan_gp(half_square, REAL, fake, alpha=alpha).item() == (1.5**2 + 1) / 2
    assert penalties.zero_centered(half_square, REAL, fake, alpha=alpha).item() == (2.5**2 + 4) / 2


def test_dragan_is_at_images_with_half_their_deviation_of_noise():
    noise = torch.rand(REAL.shape)
    std = torch.stack([image.std(correction=0) for image in REAL]).view(2, 1, 1, 1)
    norms = (REAL + std / 2 * noise).flatten(1).norm(dim=1)
    expected = (norms - 1).square().mean()
    torch.testing.assert_close(penalties.dragan(half_square, REAL, noise=noise), expected)
    with pytest.raises(ValueError, match=r"noise must have the shape of the images \[2, 2, 1, 2\]"):
        penalties.dragan(half_square, REAL, noise=noise[:, :1])


PENALTIES = {
    "wgan_gp": lambda d, real, fake, alpha, *c: penalties.wgan_gp(d, real, fake, *c, alpha=alpha),
    "zero_centered": lambda d, real, fake, alpha, *c: penalties.zero_centered(
        d, real, fake, *c, alpha=alpha
    ),
    "r1": lambda d, real, fake, alpha, *c: penalties.r1(d, real, *c),
    "r2": lambda d, real, fake, alpha, *c: penalties.r2(d, fake, *c),
    "dragan": lambda d, real, fake, alpha, *c: penalties.dragan(d, real, *c, noise=fake),
}
each_penalty = pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)


@each_penalty
def test_labels_go_to_every_discriminator_and_penalties_add_up(penalty):
    def conditional(x: Tensor, labels: Tensor) -> Tensor:
        return labels * half_square(x) + 1

    scale, fake, alpha = torch.tensor([2.0, -1.0]), torch.randn_like(REAL), torch.rand(2)
    one = penalty(conditional, REAL, fake, alpha, scale)
    scaled = nn.Module()
    scaled.forward = lambda x, labels: conditional(x, -labels)
    both = penalty([conditional, conditional], REAL, fake, alpha, scale)
    torch.testing.assert_close(both, 2 * one)
    modules = nn.ModuleList([scaled, scaled, scaled])
    torch.testing.assert_close(penalty(modules, REAL, fake, alpha, scale), 3 * one)
    by_hand = penalty(lambda x: scale * half_square(x), REAL, fake, alpha)
    torch.testing.assert_close(one, by_hand)


@each_penalty
def test_logits_of_several_scales_are_one_sum(penalty):
    fake, alpha = torch.randn_like(REAL), torch.rand(2)
    several = penalty(
        lambda x: DiscriminatorOutput(
            (x.square() / 4, half_square(x) / 4, half_square(x)[:, None] / 4)
        ),
        REAL,
        fake,
        alpha,
    )
    torch.testing.assert_close(several, penalty(half_square, REAL, fake, alpha))


@each_penalty
def test_one_scale_is_its_tensor(penalty):
    fake, alpha = torch.randn_like(REAL), torch.rand(2)
    one = penalty(lambda x: DiscriminatorOutput((half_square(x),)), REAL, fake, alpha)
    assert torch.equal(one, penalty(half_square, REAL, fake, alpha))


@each_penalty
def test_another_output_is_refused(penalty):
    with pytest.raises(TypeError, match="got a list"):
        penalty(lambda x: [half_square(x)], REAL, REAL, torch.rand(2))


@each_penalty
def test_vanishing_gradients_are_finite(penalty):
    weight = torch.zeros(2, 1, 2, requires_grad=True)
    value = penalty(lambda x: (x * weight).sum((1, 2, 3)), REAL, REAL, torch.rand(2))
    value.backward()
    assert value.item() in (0, 1) and weight.grad.abs().sum() == 0


@each_penalty
def test_images_get_no_gradient_and_keep_their_flags(penalty):
    real, fake = REAL.clone().requires_grad_(), REAL.clone()
    weight = torch.ones((), requires_grad=True)
    penalty(lambda x: weight * half_square(x), real, fake, torch.rand(2)).backward()
    assert real.grad is None and not fake.requires_grad and weight.grad > 0


@each_penalty
@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_without_gradients_there_is_a_clear_error(penalty, off):
    with (
        off(),
        pytest.raises(RuntimeError, match=r"gradients must be enabled.*outside torch.no_grad"),
    ):
        penalty(half_square, REAL, REAL, torch.rand(2))


def test_path_length_by_hand():
    """For G(w) = gain·(w_1, 2·w_2), J_wᵀy is gain·(y_1, 2·y_2) of each sample."""
    w, gain = (
        torch.tensor([[5.0, 6.0], [7.0, 8.0]]).requires_grad_(),
        torch.ones((), requires_grad=True),
    )
    images = gain * (w * torch.tensor([1.0, 2.0]))[:, :, None, None]
    # Path lengths are 5 and 2.
    noise = torch.tensor([[3.0, 2.0], [0.0, 1.0]])[:, :, None, None]
    penalty, mean = penalties.path_length(images, w, noise, torch.tensor(1.0), decay=0.6)
    assert mean.item() == pytest.approx(0.6 * 1 + 0.4 * 3.5) and not mean.requires_grad
    assert penalty.item() == pytest.approx(((5 - 2) ** 2 + (2 - 2) ** 2) / 2)
    penalty.backward()
    # The running mean is a constant.
    assert gain.grad.item() == pytest.approx(2 * (5 - 2) * 5 / 2)


def test_path_length_is_a_mean_over_layers():
    """Equal layers give the penalty of one layer."""
    one = torch.randn(3, 1, 4, requires_grad=True)
    noise, mean = torch.randn(3, 4), torch.tensor(0.5)
    alone = penalties.path_length(one[:, 0].sin(), one, noise, mean)
    five = one.detach().expand(3, 5, 4).clone().requires_grad_()
    torch.testing.assert_close(penalties.path_length(five.sin().sum(1), five, noise, mean), alone)
    flat = one.detach()[:, 0].requires_grad_()
    torch.testing.assert_close(penalties.path_length(flat.sin(), flat, noise, mean), alone)


@pytest.mark.parametrize("resolution", [8, 16, 64, 1024])
def test_path_length_weight_is_the_papers_for_a_mean_over_layers(resolution):
    """The penalty is that of Karras et al. 2020, appendix B, with norms summed over layers."""
    layers = 2 * int(math.log2(resolution)) - 2
    w = torch.randn(5, layers, 3, requires_grad=True)
    images, noise, mean = w.sin().sum(1), torch.randn(5, 3), torch.tensor(0.7)
    penalty, _ = penalties.path_length(images, w, noise, mean, decay=0.9)
    (gradient,) = torch.autograd.grad(w.sin().sum(1), w, noise)
    lengths = gradient.square().sum((1, 2)).sqrt()
    # The paper's a, for lengths summed over layers.
    running = 0.9 * mean * layers**0.5 + 0.1 * lengths.mean()
    gamma = math.log(2) / (resolution**2 * (math.log(resolution) - math.log(2)))
    expected = gamma * (lengths - running).square().mean()
    found = penalties.path_length_weight(resolution**2) * penalty
    assert found.item() == pytest.approx(expected.item(), rel=1e-4)


def test_path_length_weight_needs_pixels():
    with pytest.raises(ValueError, match="pixels must be at least 1, got 0"):
        penalties.path_length_weight(0)


def test_path_length_of_a_constant_generator_is_finite():
    w, gain = torch.randn(2, 3, requires_grad=True), torch.zeros((), requires_grad=True)
    penalty, mean = penalties.path_length(gain * w, w, torch.randn(2, 3), torch.tensor(2.0))
    penalty.backward()
    assert mean.item() == pytest.approx(1.98) and penalty.item() == pytest.approx(1.98**2)
    assert gain.grad == 0


def test_drift_is_the_mean_square():
    assert penalties.drift(torch.tensor([[3.0], [-1.0]])).item() == 5


def test_orthogonal_sees_the_angles_between_filters():
    # Products of the filters are 9, 5 and twice 3.
    filters = torch.tensor([[[[3.0, 0.0]]], [[[1.0, 2.0]]]], requires_grad=True)
    bias = torch.ones(7)
    assert penalties.orthogonal([filters, bias]).item() == 2 * 9
    assert penalties.orthogonal([filters, bias], norms=True).item() == 2 * 9 + 64 + 16
    assert penalties.orthogonal([filters, filters]).item() == 4 * 9
    assert penalties.orthogonal([torch.eye(3, 5)], norms=True).item() == 0
    for norms in (False, True):
        assert torch.autograd.gradcheck(
            lambda w, norms=norms: penalties.orthogonal([w], norms=norms),
            filters.detach().double().requires_grad_(),
        )


@pytest.mark.parametrize("norms", [False, True])
def test_orthogonal_of_more_filters_than_dimensions(norms):
    """The penalty is computed from the smaller product."""
    filters = torch.randn(7, 3, dtype=torch.float64)
    products = filters @ filters.T
    target = torch.eye(7, dtype=torch.float64) if norms else products.diagonal().diag_embed()
    expected = (products - target).square().sum()
    torch.testing.assert_close(penalties.orthogonal([filters], norms=norms), expected)
    assert torch.autograd.gradcheck(
        lambda w: penalties.orthogonal([w], norms=norms), filters.requires_grad_()
    )


def test_filters_of_transposes_convolutions_and_ignores_tables():
    network = nn.Sequential(
        nn.Embedding(5, 4), nn.Linear(4, 6), nn.ConvTranspose2d(6, 2, 3), nn.BatchNorm2d(2)
    )
    assert [list(weight.shape) for weight in penalties.filters_of(network)] == [
        [6, 4],
        [2, 6, 3, 3],
    ]
    apply_spectral_norm(network[2])
    assert [list(weight.shape) for weight in penalties.filters_of(network)] == [
        [6, 4],
        [2, 6, 3, 3],
    ]


def test_clip_weights_in_place():
    layer = nn.Linear(2, 1)
    nn.init.constant_(layer.weight, -3.0), nn.init.constant_(layer.bias, 0.005)
    penalties.clip_weights_(layer.parameters(), 0.01)
    assert layer.weight.tolist() == [
        [pytest.approx(-0.01)] * 2
    ] and layer.bias.item() == pytest.approx(0.005)
    assert layer.weight.requires_grad


W = torch.ones(2, 3, requires_grad=True)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda: penalties.path_length(W * 2, W, torch.ones(3, 2), torch.zeros(())),
            ["[2, 3]", "[3, 2]", "noise"],
        ),
        (
            lambda: penalties.path_length(W.sum() * W[0], W[0], W[0], torch.zeros(())),
            ["[N, layers, D]", "[3]"],
        ),
        (
            lambda: penalties.path_length(W.detach(), W, W, torch.zeros(())),
            ["one of them detached"],
        ),
        (
            lambda: penalties.orthogonal([torch.ones(3)]),
            ["a weight of two dimensions or more, got none"],
        ),
        (lambda: penalties.clip_weights_([W], 0.0), ["positive", "0.0"]),
        (lambda: penalties.clip_weights_([W], math.nan), ["positive", "nan"]),
    ],
)
def test_error(call, says):
    with pytest.raises(ValueError) as caught:
        call()
    assert all(words in str(caught.value) for words in says), caught.value


def test_path_length_without_gradients():
    with torch.no_grad(), pytest.raises(RuntimeError, match="gradients must be enabled"):
        penalties.path_length(W * 2, W, W, torch.zeros(()))


# -- through every op ------------------------------------------------------------------------------


def batch(dtype: torch.dtype, count: int = 2, seed: int = 1) -> tuple[Tensor, ...]:
    """Return real and fake ``[count, 3, 8, 8]``, alpha ``[count]`` and labels ``[count, 4]``."""
    generator = torch.Generator().manual_seed(seed)

    def randn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(dtype)

    alpha = torch.rand(count, generator=generator).to(dtype)
    return randn(count, 3, 8, 8), randn(count, 3, 8, 8), alpha, randn(count, 4)


def path_length(generator, noise: Tensor, fake: Tensor, alpha: Tensor, labels: Tensor) -> Tensor:
    w = torch.stack([labels, labels.sin()], dim=1).requires_grad_()
    mean = torch.tensor(0.5, dtype=w.dtype)
    # With decay 1 the running mean is a constant, as finite differences need it.
    return penalties.path_length(generator(w), w, noise, mean, decay=1.0)[0]


CASES = {name: (Discriminator, penalty) for name, penalty in PENALTIES.items()}
CASES["path_length"] = (Generator, path_length)
each_case = pytest.mark.parametrize(("network", "penalty"), CASES.values(), ids=CASES)


def build(network: type[nn.Module], channels: int, dtype: torch.dtype) -> nn.Module:
    torch.manual_seed(0)
    return network(channels).to(dtype)


class Kernels(TorchDispatchMode):
    """Collect the names of fastgan's ops that run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.namespace == "fastgan":
            self.names.add(func._opname)
        return func(*args, **kwargs or {})


KERNELS = {
    Discriminator: {
        "winograd_conv2d", "winograd_conv2d_input", "winograd_conv2d_weight", "upfirdn2d",
        "bias_act_double_backward", "scale_bias_act_double_backward",
    },
    Generator: {"winograd_conv_transpose2d", "upfirdn2d", "scale_bias_act_double_backward"},
}  # fmt: skip
"""Ops that must run for a network."""


def wide_batch(dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Return a batch of as many samples as Winograd's algorithm needs, far from kinks.

    At 0, lrelu's first derivative jumps, and elu's second. One sign that rounding changes there
    moves a penalty by 5e-4.
    """
    return batch(dtype, count=16, seed=77)


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
def test_no_sign_before_a_kink_depends_on_rounding(penalty, monkeypatch):
    distances = {"lrelu": [], "elu": []}

    def watch(name: str) -> None:
        op = getattr(ops, name)

        def watched(x: Tensor, *args: Tensor, act: str) -> Tensor:
            if act in distances:
                before = op(x, *args, act="linear", gain=1.0)
                distances[act].append(before.abs().min().item())
            return op(x, *args, act=act)

        monkeypatch.setattr(ops, name, watched)

    watch("bias_act"), watch("scale_bias_act")
    with ops.use_backend("reference"):
        penalty(build(Discriminator, 64, torch.float64), *wide_batch(torch.float64))
    # Rounding in float32 moves these values by 1.4e-6.
    assert all(each and min(each) > 2e-5 for each in distances.values()), distances


@each_case
def test_native_parameter_gradients_are_those_of_float64(network, penalty):
    """Channels and samples are as many as Winograd's algorithm needs."""
    found = []
    for backend, dtype in (("cpu", torch.float32), ("reference", torch.float64)):
        net = build(network, 64, dtype)
        with ops.use_backend(backend), Kernels() as kernels:
            value = penalty(net, *wide_batch(dtype))
            gradients = torch.autograd.grad(value, list(net.parameters()), materialize_grads=True)
        found.append([value.detach(), *gradients])
        assert (kernels.names >= KERNELS[network]) if backend == "cpu" else not kernels.names
    for native, exact in zip(*found):
        torch.testing.assert_close(
            native.double(), exact, rtol=0, atol=2e-5 * exact.abs().max().item()
        )


@each_case
def test_gradients_of_a_penalty_are_exact_to_second_order(network, penalty):
    """Native kernels in float64 are differentiated to third order."""
    net = build(network, 3, torch.float64)
    parameters = dict(net.named_parameters())

    def value(*tensors: Tensor) -> Tensor:
        def call(*args: Tensor) -> Tensor:
            return torch.func.functional_call(net, dict(zip(parameters, tensors)), args)

        return penalty(call, *batch(torch.float64))

    with ops.use_backend("cpu"):
        assert torch.autograd.gradcheck(value, tuple(parameters.values()), fast_mode=True)
        assert torch.autograd.gradgradcheck(value, tuple(parameters.values()), fast_mode=True)


def run_compiled_and_eager(step, net: nn.Module, *inputs: Tensor) -> None:
    """Check that one graph of forward pass, penalty and backward pass gives the eager gradients."""
    found = []
    torch._dynamo.reset()
    with torch._dynamo.config.patch(trace_autograd_ops=True), ops.use_backend("cpu"):
        for f in (step, torch.compile(step, fullgraph=True, backend="aot_eager")):
            net.zero_grad(set_to_none=True)
            value = f(*inputs)
            found.append([value, *(p.grad for p in net.parameters())])
    for eager, compiled in zip(*found):
        assert (eager is None) == (compiled is None)
        if eager is not None:
            torch.testing.assert_close(
                compiled, eager, rtol=1e-5, atol=1e-5 * eager.abs().max().item()
            )


@pytest.mark.backends
@each_case
def test_a_compiled_penalty_has_the_eager_parameter_gradients(network, penalty):
    net = build(network, 4, torch.float32)
    # Several discriminators compile as well.
    player = [net] if network is Discriminator else net

    def step(*inputs: Tensor) -> Tensor:
        value = penalty(player, *inputs)
        value.backward()
        return value.detach()

    run_compiled_and_eager(step, net, *batch(torch.float32))


@pytest.mark.backends
def test_compiled_losses_have_the_eager_parameter_gradients():
    """One graph holds all losses with all options."""
    net = build(Discriminator, 4, torch.float32)
    losses = [
        *ADVERSARIAL_LOSSES.values(),
        adversarial_loss("least-squares", real_label=0.9, fake_label=0.1),
    ]
    losses.append(adversarial_loss("minimax", real_label=0.9, fake_label=0.1))

    def step(real: Tensor, fake: Tensor, alpha: Tensor, labels: Tensor) -> Tensor:
        real = instance_noise(real, fake, alpha[0])
        logits = flip_labels(net(real, labels), net(fake), alpha < 0.5)
        values = torch.stack(
            [loss.d(*logits) + weight * loss.g(*logits) for weight, loss in enumerate(losses)]
        )
        total = (values * torch.arange(1.0, len(losses) + 1)).sum()
        total = total + penalties.drift(logits[0]) + penalties.orthogonal(net.parameters())
        total.backward()
        return values.detach()

    run_compiled_and_eager(step, net, *batch(torch.float32))
