"""Discriminator of StyleGAN2 against the paper's layers in plain PyTorch."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastgan import ops
from fastgan.networks.stylegan2 import StyleGAN2Discriminator, channels_at
from fastgan.ops import minibatch_stddev
from tests.specs.conv2d import winograd_everywhere
from tests.specs.conv2d_calls import ConvolutionCalls


def discriminator(resolution: int = 16, channels: int = 3, **options) -> StyleGAN2Discriminator:
    """Return a small discriminator whose biases are not zero."""
    torch.manual_seed(0)
    d = StyleGAN2Discriminator(
        resolution, channels, **{"channel_base": 64, "channel_max": 8, **options}
    )
    with torch.no_grad():
        for name, p in d.named_parameters():
            if name.endswith("bias"):
                p.normal_()
    return d


def images_for(d: StyleGAN2Discriminator, batch: int) -> Tensor:
    shape = (batch, d.channels, d.resolution, d.resolution)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def by_hand(d: nn.Module, images: Tensor) -> Tensor:
    """Compute the paper's discriminator from the state dict of ``d``, step by step."""
    p = dict(d.named_parameters())
    blur = torch.tensor([1.0, 3, 3, 1], dtype=images.dtype) / 8

    def conv(x: Tensor, name: str, *, down: int = 1, act: bool = True) -> Tensor:
        w = p[f"{name}.weight"]
        w = w / math.sqrt(w[0].numel())
        k = w.shape[2]
        if down == 2:
            # Filter with zero padding, centred; then convolve and keep every second pixel.
            c = x.shape[1]
            taps = (blur[:, None] * blur).expand(c, 1, 4, 4)
            x = F.conv2d(F.pad(x, [k // 2 + 1] * 4), taps, groups=c)
            x = F.conv2d(x, w, stride=2)
        else:
            x = F.conv2d(x, w, padding=k // 2)
        x = x + p[f"{name}.bias"][:, None, None] if f"{name}.bias" in p else x
        return F.leaky_relu(x, 0.2) * math.sqrt(2) if act else x

    def linear(x: Tensor, name: str) -> Tensor:
        w = p[f"{name}.weight"]
        return F.linear(x, w / math.sqrt(w.shape[1]), p[f"{name}.bias"])

    x, r = conv(images, f"b{images.shape[2]}.fromrgb"), images.shape[2]
    while r > 4:
        main = conv(conv(x, f"b{r}.conv0"), f"b{r}.conv1", down=2)
        x, r = (main + conv(x, f"b{r}.skip", down=2, act=False)) * math.sqrt(0.5), r // 2
    groups = len(x) // min(4, len(x))
    feature = [
        stddev_of([x[j] for j in range(len(x)) if j % groups == i % groups]) for i in range(len(x))
    ]
    x = torch.cat([x, torch.stack(feature)[:, None, None, None].expand(-1, 1, 4, 4)], 1)
    x = conv(x, "b4.conv").flatten(1)
    return linear(F.leaky_relu(linear(x, "b4.fc"), 0.2) * math.sqrt(2), "b4.out").squeeze(1)


def stddev_of(samples: list[Tensor]) -> Tensor:
    """Return the mean over features and positions of the standard deviation over samples."""
    mean = sum(samples) / len(samples)
    variance = sum((s - mean) ** 2 for s in samples) / len(samples)
    return (variance + 1e-8).sqrt().mean()


def r1_gradients(d: nn.Module, logits_of, images: Tensor) -> dict[str, Tensor]:
    """Return gradients of ½·E‖∇D‖² by parameter.

    Parameters that it doesn't depend on are left out.
    """
    x = images.detach().requires_grad_()
    (g,) = torch.autograd.grad(logits_of(x).sum(), x, create_graph=True)
    loss = g.square().sum((1, 2, 3)).mean() / 2
    found = torch.autograd.grad(loss, list(d.parameters()), allow_unused=True)
    return {name: t for (name, _), t in zip(d.named_parameters(), found) if t is not None}


def relative_error(found: Tensor, expected: Tensor) -> float:
    return ((found.double() - expected).abs().max() / expected.abs().max()).item()


@pytest.mark.parametrize(
    ("resolution", "base", "count"), [(1024, 32768, 29_012_513), (256, 16384, 24_001_089)]
)
def test_counts_are_the_published_ones(resolution, base, count):
    with torch.device("meta"):
        d = StyleGAN2Discriminator(resolution, channel_base=base)
    assert sum(p.numel() for p in d.parameters()) == count


def test_names_in_the_state_dict():
    d = discriminator(16)
    layers = [
        "b16.fromrgb",
        *(f"b{r}.{layer}" for r in (16, 8) for layer in ("conv0", "conv1", "skip")),
    ]
    layers += ["b4.conv", "b4.fc", "b4.out"]
    names = {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
    assert set(d.state_dict()) == {name for name in names if not name.endswith("skip.bias")}
    assert channels_at(16, 64, 8) == 4
    assert list(d.b16.conv1.weight.shape) == [8, 4, 3, 3]
    assert list(d.b4.conv.weight.shape) == [8, 9, 3, 3]


@pytest.mark.parametrize(
    ("resolution", "channels", "batch"), [(8, 1, 3), (16, 4, 8), (32, 2, 1), (64, 3, 4)]
)
def test_logits_are_those_of_the_paper(resolution, channels, batch):
    d = discriminator(resolution, channels)
    images = images_for(d, batch)
    logits = d(images)
    assert logits.shape == (batch,) and logits.dtype == torch.float32
    expected = by_hand(d.double(), images.double())
    assert relative_error(logits, expected) < 1e-5
    assert torch.allclose(d(images.double()), expected)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_gradients_of_r1_are_those_of_the_paper(backend):
    """Gradients in float32 agree with plain PyTorch in float64.

    Winograd's algorithm computes them wherever it applies.
    """
    d = discriminator(16)
    images = images_for(d, 4)
    with winograd_everywhere(), ops.use_backend(backend):
        found = r1_gradients(d, d, images)
    d.double()
    expected = r1_gradients(d, lambda x: by_hand(d, x), images.double())
    # Parameters that only shift the logits have no gradient, or zeros.
    names = {name for name, g in expected.items() if g.any()}
    assert {name for name, _ in d.named_parameters()} - names == {
        "b4.conv.bias",
        "b4.fc.bias",
        "b4.out.bias",
    }
    for name in names:
        # Threads decide the order of sums.
        assert relative_error(found[name], expected[name]) < 5e-5, name
    assert not any(g.any() for name, g in found.items() if name not in names)


def test_gradient_of_r1_by_finite_differences():
    d = discriminator(8).double()
    images = images_for(d, 4).double()

    def penalty() -> Tensor:
        x = images.requires_grad_()
        (g,) = torch.autograd.grad(d(x).sum(), x)
        return g.square().sum((1, 2, 3)).mean() / 2

    gradients = r1_gradients(d, d, images)
    generator = torch.Generator().manual_seed(2)
    direction = {
        name: torch.randn(p.shape, generator=generator, dtype=p.dtype)
        for name, p in d.named_parameters()
    }
    ends = []
    for step in (1e-6, -2e-6):
        with torch.no_grad():
            for name, p in d.named_parameters():
                p += step * direction[name]
        ends.append(penalty())
    slope = sum((g * direction[name]).sum() for name, g in gradients.items())
    assert ((ends[0] - ends[1]) / 2e-6).item() == pytest.approx(slope.item(), rel=1e-5)


def test_an_r1_step_runs_only_the_convolutions_of_its_maths():
    """14 convolutions and 2 linear layers run forward, backward, and in the second derivative.

    There each runs at most four times.
    """
    d = discriminator(64, channel_base=512)
    with ConvolutionCalls() as calls, ops.use_backend("cpu"):
        r1_gradients(d, d, images_for(d, 4))
    assert 5 * 14 < calls.count <= 6 * (14 + 2) < 250


def test_images_in_any_layout_run_in_channels_last():
    d = discriminator(16, 1)
    seen = []
    d.b8.conv0.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    images = images_for(d, 2)
    logits = d(images)
    assert torch.allclose(d(images.transpose(2, 3).contiguous().transpose(2, 3)), logits, atol=1e-6)
    assert all(x.is_contiguous(memory_format=torch.channels_last) for x in seen)


def test_groups_of_minibatch_stddev():
    x = torch.randn(6, 3, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = minibatch_stddev(x, group_size=3)
    assert torch.equal(y[:, :3], x)
    for members in ([0, 2, 4], [1, 3, 5]):
        expected = stddev_of([x[i] for i in members])
        assert torch.allclose(y[members, 3], expected)
    assert torch.allclose(minibatch_stddev(x[:2], group_size=4)[:, 3], stddev_of([x[0], x[1]]))
    # A single sample.
    assert torch.allclose(minibatch_stddev(x[:1])[:, 3], torch.tensor(1e-4, dtype=x.dtype))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"resolution": 4}, r"resolution.*8.*1024.*got 4"),
        ({"resolution": 48}, "got 48"),
        ({"channels": 5}, "channels must be one of 1, 2, 3, 4, got 5"),
        ({"channel_base": 8}, "channel_base must be a whole number of at least 16, got 8"),
        ({"channel_max": 0}, "channel_max must be a whole number of at least 1, got 0"),
        ({"half_resolutions": -1}, "half_resolutions must be a whole number of at least 0, got -1"),
        ({"conv_clamp": 0}, "conv_clamp must be None or a number above 0, got 0"),
        (
            {"base": (4,)},
            r"base must be two whole numbers of at least 1, \(height, width\), got \(4,\)",
        ),
        ({"group_size": 2.0}, "group_size must be a whole number of at least 1, got 2.0"),
    ],
)
def test_arguments_out_of_range(arguments, said):
    with pytest.raises(ValueError, match=said):
        discriminator(**arguments)


def test_images_that_do_not_fit():
    d = discriminator(16)
    with pytest.raises(ValueError, match=r"\[N, 3, 16, 16\] tensor, got \[4, 3, 32, 32\]"):
        d(torch.zeros(4, 3, 32, 32))
    with pytest.raises(ValueError, match=r"\[N, 3, 16, 16\] tensor, got \[3, 16, 16\]"):
        d(torch.zeros(3, 16, 16))
    with pytest.raises(
        ValueError, match=r"multiple of 4, got 6; use another batch size or group_size"
    ):
        d(torch.zeros(6, 3, 16, 16))


def test_labels_are_projected_on_the_features():
    """Without labels the last layer returns the logit.

    With labels the logit is the dot product with the mapped label over √dim.
    """
    d = discriminator(8, c_dim=3, cmap_dim=5, mapping_layers=2)
    images, classes = images_for(d, 4), torch.tensor([0, 2, 1, 0])
    one_hot = F.one_hot(classes, 3).float()
    logits = d(images, classes)
    assert torch.equal(d(images, one_hot), logits)
    features, mapped = d.b4(d.b8(images, half=torch.float32)), d.mapping(None, one_hot)
    assert features.shape == mapped.shape == (4, 5)
    assert torch.allclose(logits, (features * mapped).sum(1) / math.sqrt(5), atol=1e-6)
    assert d(images, classes.flip(0))[1] != logits[1]
    assert StyleGAN2Discriminator(**d.config).mapping.fc1.weight.shape == (5, 5)


def test_images_that_are_not_square():
    d = discriminator(16, base=(2, 4))
    assert d(torch.randn(4, 3, 8, 16)).shape == (4,)
    with pytest.raises(ValueError, match=r"\[N, 3, 8, 16\] tensor, got \[4, 3, 16, 16\]"):
        d(torch.zeros(4, 3, 16, 16))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_of_the_highest_resolutions(dtype):
    d = discriminator(32, half_resolutions=2, conv_clamp=256.0)
    images, seen = images_for(d, 4), {}
    d.b4.fc.register_forward_hook(lambda layer, _, y: seen.update({4: y.dtype}))
    for r in (32, 16, 8):
        layer = getattr(d, f"b{r}").conv0
        layer.register_forward_pre_hook(
            lambda layer, inputs, r=r: seen.update({r: inputs[0].dtype})
        )
    with torch.autocast("cpu", dtype=dtype):
        half = d(images)
    single = torch.float32
    assert seen == {32: dtype, 16: dtype, 8: single, 4: single} and half.dtype == single
    full = d(images)
    assert torch.allclose(half, full, atol=2e-2 if dtype == torch.float16 else 0.15)
    assert set(seen.values()) == {single} and not torch.equal(half, full)


@pytest.mark.parametrize(
    ("c_dim", "labels", "said"),
    [
        (
            0,
            torch.zeros(4, 2),
            r"labels must be None for a network without classes, got \[4, 2\]; leave them out",
        ),
        (3, None, "got none; this network needs them"),
        (3, torch.tensor([0, 1, 2, 3]), "got values from 0 to 3"),
        (3, torch.zeros(2, 3), r"with N = 4, got \[2, 3\]"),
    ],
)
def test_labels_that_do_not_fit(c_dim, labels, said):
    d = discriminator(8, c_dim=c_dim)
    with pytest.raises(ValueError, match=said):
        d(images_for(d, 4), labels)
