"""ADA as a module: probabilities, derivatives, dtypes, compiled graphs and the control of p."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from fastgan import nn
from fastgan.augment import ADA, PRESETS, TRANSFORMATIONS, preview
from fastgan.losses import penalties
from tests.augment.rows import rows_with


def drawn(pipe, count, seed=0):
    return pipe.draw(count, torch.Generator().manual_seed(seed))


SHARES = {"flip": 1 / 2, "luma_flip": 1 / 2, "rotate90": 3 / 4, "integer_translation": 3 / 4}
"""Shares of the draws that change an image, 1 for other transformations.

Half of the flips and a quarter of the rotations change nothing. Neither do half of the shifts along
an axis, by at most one pixel of 8.
"""


@pytest.mark.parametrize("name", [name for names in TRANSFORMATIONS.values() for name in names])
def test_a_transformation_is_applied_with_its_probability(name):
    count, p = 1000, 0.4
    multipliers = {other: 0.0 for names in TRANSFORMATIONS.values() for other in names} | {
        name: 0.75
    }
    pipe = ADA(8, 3, categories="bgcfnc", p=p, multipliers=multipliers)
    images = torch.rand(count, 3, 8, 8) + 0.1
    found = pipe(images, drawn(pipe, count))
    share = (found != images).flatten(1).any(1).double().mean().item()
    expected = 0.75 * p * SHARES.get(name, 1.0)
    assert abs(share - expected) < 4.5 * (expected * (1 - expected) / count) ** 0.5


def test_rotations_by_quarters_do_not_leak_below_p_1():
    """The pipe acts on a distribution of rotated images by a circulant matrix.

    It is invertible while no eigenvalue is 0.
    """
    image = torch.rand(1, 1, 4, 4)
    turned = torch.cat([image.rot90(k, (2, 3)) for k in range(4)])
    for p, undoable in ((0.6, True), (1.0, False)):
        pipe = ADA(
            4, 1, categories="blit", p=p, multipliers={"flip": 0.0, "integer_translation": 0.0}
        )
        found = pipe(image.expand(4000, -1, -1, -1), drawn(pipe, 4000))
        shares = torch.stack([(found == t).flatten(1).all(1).double().mean() for t in turned])
        assert shares.sum() == 1 and abs(shares[0] - (1 - 0.75 * p)) < 0.03
        eigenvalues = torch.fft.fft(shares).abs()
        assert (eigenvalues.min() > 0.2) == undoable


@pytest.mark.parametrize("categories", [*TRANSFORMATIONS, "bgcfnc"])
def test_derivatives(categories):
    torch.manual_seed(0)
    pipe = ADA((6, 5), 3, categories=categories, p=1.0)
    images = torch.randn(2, 3, 6, 5, dtype=torch.float64, requires_grad=True)
    rows = drawn(pipe, 2)

    # The pipe alone is affine in the images.
    def curved(images):
        return pipe(images, rows).tanh()

    assert torch.autograd.gradcheck(curved, images, fast_mode=True)
    assert torch.autograd.gradgradcheck(curved, images, fast_mode=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_half_types_are_computed_in_float32(dtype):
    pipe = ADA(8, 3, categories="bgcfnc", p=0.8)
    rows, images = drawn(pipe, 4), torch.rand(4, 3, 8, 8).to(dtype)
    expected = pipe(images.float(), rows).to(dtype)
    assert torch.equal(pipe(images, rows), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(pipe(images, rows), expected)


def test_rows_belong_to_images():
    """A part of the batch with its rows gives the same result as in the whole batch."""
    pipe = ADA(12, 3, categories="bgcfnc", p=0.7)
    rows, images = drawn(pipe, 6), torch.randn(6, 3, 12, 12)
    whole = pipe(images, rows)
    part = pipe(images[2:4], {name: table[2:4] for name, table in rows.items()})
    torch.testing.assert_close(part, whole[2:4], atol=1e-5, rtol=1e-5)
    assert [table.shape for table in drawn(ADA(12, 3), 6).values()] == [(6, 19), (6, 10), (6, 12)]
    assert torch.equal(
        drawn(pipe, 6)["gate"], drawn(ADA(12, 3, categories="blit", p=0.1), 6)["gate"]
    )


@pytest.mark.backends
def test_one_graph_holds_an_update_at_every_p():
    """A graph holds D's loss, its regulariser through the pipe, gradients and observed signs.

    A new p compiles no new graph.
    """
    torch.manual_seed(0)
    critic = torch.nn.Sequential(
        nn.EqualConv2d(3, 2, 3, act="softplus", down=2), torch.nn.Flatten(1)
    )
    weights = list(critic.parameters())
    pipe = ADA(8, 3, categories="bgcfnc")
    rows, images = drawn(pipe, 2), torch.randn(2, 3, 8, 8)

    def update(images, rows):
        logits = critic(pipe(images, rows))
        pipe.observe(logits)
        penalty = penalties.r1(lambda x: critic(pipe(x, rows)), images)
        return torch.autograd.grad(logits.square().mean() + penalty, weights)

    compiled = torch.compile(update, fullgraph=True, backend="eager")
    with torch._dynamo.config.patch(trace_autograd_ops=True, error_on_recompile=True):
        for p in (0.0, 0.5, 1.0):
            pipe.p.fill_(p)
            torch.testing.assert_close(compiled(images, rows), update(images, rows))
    assert pipe.signs[1] == 6 * len(critic(images).flatten())
    torch._dynamo.reset()


def test_p_moves_towards_the_target_of_r_t():
    # p moves by 0.001 per image.
    pipe = ADA(8, 3, p=0.5, target=0.6, kimg=1.0)
    learned, torn = torch.ones(40, 1), torch.tensor([[1.0], [-1.0]] * 20)
    pipe.observe(learned)
    pipe.adjust(100)
    # 40 images are fewer than 100.
    assert pipe.p == 0.5 and pipe.signs.tolist() == [40, 40]
    pipe.observe(learned)
    pipe.observe(learned)
    pipe.adjust(100)
    assert pipe.p.item() == pytest.approx(0.62) and pipe.signs.tolist() == [0, 0]
    pipe.adjust(100)
    # No image was observed in between.
    assert pipe.p.item() == pytest.approx(0.62)
    pipe.observe(torn)
    pipe.adjust(40)
    assert pipe.p.item() == pytest.approx(0.58)
    for logits, end in ((torch.ones(5000), 1.0), (-torch.ones(5000), 0.0)):
        pipe.observe(logits)
        pipe.adjust(1)
        assert pipe.p == end


def test_the_state_is_p_and_the_observed_signs():
    pipe = ADA(8, 3, categories="bgcfnc", p=0.25)
    pipe.observe(torch.tensor([1.0, -2.0, 3.0]))
    assert list(pipe.state_dict()) == ["p", "signs"] and not list(pipe.parameters())
    other = ADA(8, 3, categories="bgcfnc")
    other.load_state_dict(pipe.state_dict())
    assert other.p == 0.25 and other.signs.tolist() == [1, 3]


def test_several_processes_move_p_like_one(monkeypatch):
    """``signs`` is the mean over two ranks, as the trainer makes it."""
    logits = torch.tensor([1.0] * 7 + [-1.0])
    alone, ranks = ADA(8, 3, kimg=1.0), [ADA(8, 3, kimg=1.0) for _ in range(2)]
    alone.observe(logits)
    alone.adjust(8)
    for rank, part in zip(ranks, logits.split(4)):
        rank.observe(part)
    mean = (ranks[0].signs + ranks[1].signs) / 2
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    for rank in ranks:
        rank.signs.copy_(mean)
        rank.adjust(8)
        assert rank.p == alone.p == pytest.approx(0.008)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: ADA(2), ValueError, ["resolution", "at least 4", "2"]),
        (lambda: ADA(8, 5), ValueError, ["channels", "1, 2, 3 or 4", "5"]),
        (lambda: ADA(8, categories="bgf"), ValueError, ["blit", "bgcfnc", "'bgf'"]),
        (lambda: ADA(8, categories=["blit", "colour"]), ValueError, ["color", "['colour']"]),
        (lambda: ADA(8, categories=[]), ValueError, ["color", "[]"]),
        (lambda: ADA(8, p=1.5), ValueError, ["p must be from 0 to 1", "1.5"]),
        (lambda: ADA(8, kimg=0), ValueError, ["kimg must be", "0"]),
        (lambda: ADA(8, multipliers={"flips": 1.0}), ValueError, ["flip,", "'flips'"]),
        (lambda: ADA(8, multipliers={"flip": 2.0}), ValueError, ["from 0 to 1", "2.0", "'flip'"]),
        (lambda: ADA(8).adjust(0), ValueError, ["images must be at least 1", "0"]),
        (
            lambda: ADA(8)(torch.ones(1, 3, 8, 9), rows_with()),
            ValueError,
            ["[N, 3, 8, 8]", "[1, 3, 8, 9]"],
        ),
        (
            lambda: ADA(8)(torch.ones(3, 8, 8), rows_with()),
            ValueError,
            ["[N, 1 to 4, H, W]", "[3, 8, 8]"],
        ),
        (
            lambda: ADA(8)(torch.ones(2, 3, 8, 8), rows_with()),
            ValueError,
            ["1 of 'gate'", "2 images"],
        ),
        (
            lambda: ADA(8)(torch.ones(1, 3, 8, 8).byte(), rows_with()),
            TypeError,
            ["floating-point", "uint8"],
        ),
    ],
)
def test_error(call, error, says):
    with pytest.raises(error) as caught:
        call()
    assert all(words in str(caught.value) for words in says), caught.value


def test_presets_are_named_by_their_initials():
    for name, categories in PRESETS.items():
        assert name in TRANSFORMATIONS or name == "".join(category[0] for category in categories)
        assert ADA(8, categories=categories).categories == categories


def test_the_preview_is_a_picture(tmp_path):
    preview(tmp_path / "ada.png", resolution=16, count=2)
    with Image.open(tmp_path / "ada.png") as picture:
        assert picture.size == (2 * 18 + 2, 9 * 18 + 2)
