"""Choice of trained weights for a recipe's networks, and the outputs of those networks."""

from __future__ import annotations

import pytest
import torch

from fastgan.training.state import TrainState
from fastgan.training.transfer import TransferError, make_plan, read_source
from fastgan.training.transfer.convert import LUMA, colour_matrix, same_labels
from tests.training.transfers import SMALL, save, small, spec, trained

NOISE = ["gan", "dcgan", "progan", "stylegan", "stylegan2", "r3gan"]
GREY = torch.tensor(LUMA)


@pytest.fixture
def begin(tmp_path):
    """Return the state that begins with a trained one's checkpoint, and the plan."""

    def begin(state, images, recipe, new, seed=0):
        source = read_source(save(tmp_path / "source", state, images))
        recipe, plan = make_plan(source, recipe, new)
        return TrainState.create(recipe, new, seed=seed, plan=plan), plan

    return begin


def grow(state):
    """Return networks grown to their highest resolution."""
    for network in (*state.networks.values(), *state.ema.values()):
        for module in network.modules():
            if hasattr(module, "grow"):
                module.grow(len(module.resolutions) - 1)
    return state


def drawn(state, *labels, averaged=False):
    networks = state.sampler if averaged else state.networks
    z = torch.randn(3, state.recipe.z_dim, generator=torch.Generator().manual_seed(0))
    G = networks["G"].eval()
    with torch.no_grad():
        return state.recipe.images_of({"G": G}, z, *labels)


def judged(state, images, *labels):
    with torch.no_grad():
        return state.networks["D"].eval()(images, *labels)


@pytest.mark.parametrize("name", NOISE)
def test_the_same_networks_take_all_and_draw_the_same(name, begin):
    images = spec(name, 3)
    old = grow(trained(small(name, ema=0.9), images))
    new, plan = begin(old, images, small(name, ema=0.9), images, seed=7)
    for mine, its in ((new.networks, old.networks), (new.ema, old.ema)):
        for network in mine.keys() & {"G", "D"}:
            for key, tensor in its[network].state_dict().items():
                assert torch.equal(mine[network].state_dict()[key], tensor), (network, key)
    assert torch.equal(drawn(new), drawn(old)) and not torch.equal(
        drawn(new), drawn(new, averaged=True)
    )
    assert plan.beginning.whole == ("G",) and new.nimg == new.step == 0
    assert any("G: all" in line for line in plan.news)


@pytest.mark.parametrize("name", NOISE)
def test_a_grey_generator_draws_its_pictures_in_colour(name, begin):
    old = grow(trained(small(name), spec(name, 1)))
    new, plan = begin(old, spec(name, 1), small(name), spec(name, 3))
    assert new.networks["G"].training
    torch.testing.assert_close(drawn(new), drawn(old).expand(-1, 3, -1, -1), rtol=1e-3, atol=1e-4)
    assert any("from grey to colour" in line for line in plan.news)


@pytest.mark.parametrize("name", ["gan", "dcgan", "progan", "stylegan2", "r3gan"])
def test_a_discriminator_sees_images_of_other_channels_as_those_it_knows(name, begin):
    grey = torch.rand(4, 1, 16, 16) * 2 - 1
    colour = torch.rand(4, 3, 16, 16) * 2 - 1
    old = grow(trained(small(name), spec(name, 1)))
    new, _ = begin(old, spec(name, 1), small(name), spec(name, 3))
    luma = torch.einsum("nchw,c->nhw", colour, GREY)[:, None]
    torch.testing.assert_close(judged(new, colour), judged(old, luma), rtol=1e-3, atol=1e-4)
    old = grow(trained(small(name), spec(name, 3)))
    new, _ = begin(old, spec(name, 3), small(name), spec(name, 1))
    torch.testing.assert_close(
        judged(new, grey), judged(old, grey.expand(-1, 3, -1, -1)), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("name", ["progan", "stylegan2", "r3gan"])
def test_a_colour_generator_draws_the_luma_of_its_pictures(name, begin):
    """Others have tanh behind their last layer, which isn't linear."""
    old = grow(trained(small(name), spec(name, 3)))
    new, plan = begin(old, spec(name, 3), small(name), spec(name, 1))
    luma = torch.einsum("nchw,c->nhw", drawn(old), GREY)[:, None]
    torch.testing.assert_close(drawn(new), luma, rtol=1e-3, atol=1e-4)
    assert any("from colour to grey" in line for line in plan.news)


@pytest.mark.parametrize(
    "name", ["gan", "dcgan", "sngan", "biggan", "progan", "stylegan", "stylegan2", "r3gan"]
)
def test_classes_that_stay_are_drawn_and_judged_the_same(name, begin):
    labels = torch.tensor([0, 1, 2])
    pictures = torch.rand(3, 1, 16, 16)
    old = grow(trained(small(name, conditional=True), spec(name, classes=3)))
    new, plan = begin(
        old, spec(name, classes=3), small(name, conditional=True), spec(name, classes=5)
    )
    torch.testing.assert_close(drawn(new, labels), drawn(old, labels), rtol=1e-3, atol=1e-4)
    # These have the spectral norm of a larger matrix, or labels beside all pixels.
    if name not in ("sngan", "biggan", "gan"):
        torch.testing.assert_close(
            judged(new, pictures, labels), judged(old, pictures, labels), rtol=1e-3, atol=1e-4
        )
    assert torch.isfinite(drawn(new, torch.tensor([3, 4, 4]))).all()
    assert any("from 3 to 5 labels" in line for line in plan.news)
    fewer, _ = begin(
        old, spec(name, classes=3), small(name, conditional=True), spec(name, classes=2)
    )
    if name in ("sngan", "progan", "stylegan", "stylegan2", "r3gan"):
        some = torch.tensor([0, 1, 1])
        torch.testing.assert_close(drawn(fewer, some), drawn(old, some), rtol=1e-3, atol=1e-4)


def test_a_new_class_is_the_mean_of_the_old_ones(begin):
    old = trained(small("stylegan2", conditional=True), spec("stylegan2", classes=3))
    new, _ = begin(
        old,
        spec("stylegan2", classes=3),
        small("stylegan2", conditional=True),
        spec("stylegan2", classes=4),
    )
    before, after = (state.networks["G"].mapping.embed for state in (old, new))
    effective = [layer.weight * layer.scale for layer in (before, after)]
    torch.testing.assert_close(effective[1][:, :3], effective[0])
    torch.testing.assert_close(effective[1][:, 3], effective[0].mean(1))


@pytest.mark.parametrize("name", ["gan", "dcgan", "progan", "stylegan2", "r3gan"])
def test_classes_change_nothing_at_first_in_a_generator_that_knew_none(name, begin):
    old = grow(trained(small(name), spec(name)))
    new, plan = begin(old, spec(name), small(name, conditional=True), spec(name, classes=3))
    torch.testing.assert_close(
        drawn(new, torch.tensor([0, 1, 2])), drawn(old), rtol=1e-3, atol=1e-4
    )
    assert any("from no to 3 labels" in line for line in plan.news)


@pytest.mark.parametrize("name", ["stylegan2", "dcgan", "progan"])
def test_a_source_that_knows_classes_begins_a_run_without(name, begin):
    old = trained(small(name, conditional=True), spec(name, classes=3))
    new, plan = begin(old, spec(name, classes=3), small(name), spec(name, classes=3))
    assert torch.isfinite(drawn(new)).all()
    assert any("`conditional` would keep them" in line for line in plan.news)


def test_names_of_labels_decide_which_is_which():
    assert same_labels(("cat", "dog"), ("bird", "dog", "cat")) == [None, 1, 0]
    assert same_labels(("0", "1"), ("0", "1", "2")) == [0, 1, None]
    assert same_labels(("cat", "dog"), ("oak", "ash", "elm")) == [0, 1, None]
    assert same_labels(("a", "b", "c"), ("b",)) == [1]


@pytest.mark.parametrize("name", ["stargan", "gaugan", "text2image"])
def test_attributes_words_and_classes_of_maps_are_known_by_name(name, begin):
    before, after = (
        spec(name, 3, names=("", "red", "blue")),
        spec(name, 3, names=("", "new", "blue", "red")),
    )
    old = trained(small(name), before)
    new, plan = begin(old, before, small(name), after)
    first = {"stargan": "first.0.weight", "gaugan": "start", "text2image": "text.words.weight"}[
        name
    ]
    weights = [state.networks["G"].state_dict() for state in (old, new)]
    key = next(key for key in weights[0] if key.startswith(first) and weights[0][key].ndim > 1)
    dim = 0 if name == "text2image" else 1
    was, now = (w[key].movedim(dim, 0)[-n:] for w, n in zip(weights, (3, 4)))
    assert (
        torch.equal(now[2], was[2]) and torch.equal(now[3], was[1]) and torch.equal(now[0], was[0])
    )
    assert any("from 3 to 4 labels" in line for line in plan.news)


@pytest.mark.parametrize("channels", [(1, 3), (3, 1)])
def test_a_pair_is_judged_in_other_colours(channels, begin):
    """D sees two pictures, each of which changes its channels."""
    old = trained(small("pix2pix"), spec("pix2pix", channels[0]))
    new, _ = begin(
        old, spec("pix2pix", channels[0]), small("pix2pix"), spec("pix2pix", channels[1])
    )
    pictures = [torch.rand(2, channels[1], 16, 16) for _ in range(2)]
    matrix = colour_matrix(channels[1], channels[0])
    seen = [torch.einsum("nchw,dc->ndhw", picture, matrix) for picture in pictures]
    with torch.no_grad():
        mine, its = new.networks["D"].eval()(*pictures), old.networks["D"].eval()(*seen)
    torch.testing.assert_close(mine, its, rtol=1e-3, atol=1e-4)


def test_alpha_is_kept_dropped_and_added():
    grey_alpha, colour = torch.tensor([0.5, 1.0]), torch.tensor([0.2, 0.4, 0.6])
    assert colour_matrix(2, 4) @ grey_alpha == pytest.approx([0.5, 0.5, 0.5, 1.0])
    assert colour_matrix(4, 3) @ torch.tensor([*colour, 0.3]) == pytest.approx(colour.tolist())
    assert colour_matrix(3, 4) @ colour == pytest.approx([*colour.tolist(), 0.0])
    assert colour_matrix(3, 2) @ torch.ones(3) == pytest.approx([1.0, 0.0])


@pytest.mark.parametrize(
    ("name", "sizes"), [(name, sizes) for name in SMALL for sizes in ((16, 32), (32, 16))]
)
def test_another_resolution_takes_what_is_shared(name, sizes, begin):
    images = [spec(name, 3, size, classes=3) for size in sizes]
    old = grow(trained(small(name), images[0]))
    new, plan = begin(old, images[0], small(name), images[1])
    # A layer over all pixels is tied to their number.
    if name == "gan":
        assert any("differ" in line for line in plan.news)
        return
    loaded = {n: sum(t.numel() for t in tensors.values()) for n, tensors in plan.live.items()}
    for network in {n for n in ("G", "D", "G_AB", "D_A") if n in new.networks}:
        total = sum(t.numel() for t in new.networks[network].state_dict().values())
        assert loaded[network] > total / 10, (network, loaded[network], total)


def test_blocks_of_a_shared_resolution_stay_where_they_are(begin):
    for name in ("stylegan2", "progan", "r3gan"):
        old = trained(small(name), spec(name, 3, 16))
        new, _ = begin(old, spec(name, 3, 16), small(name), spec(name, 3, 32))
        mine, its = new.networks["D"].state_dict(), old.networks["D"].state_dict()
        key, there = {
            "stylegan2": ("b8.conv0.weight", "b8.conv0.weight"),
            "progan": ("blocks.0.0.weight", "blocks.0.0.weight"),
            "r3gan": ("layers.4.expand.weight", "layers.2.expand.weight"),
        }[name]
        assert torch.equal(mine[key], its[there]), name


def test_a_source_of_another_kind_is_refused(begin):
    images = spec("stylegan2")
    old = trained(small("stylegan2"), images)
    with pytest.raises(TransferError) as caught:
        begin(old, images, small("dcgan"), images)
    for word in ("stylegan2 after 400 images", "StyleGAN2Generator", "DCGANGenerator", "'dcgan'"):
        assert word in str(caught.value)


def test_numbers_that_are_not_finite_are_refused(begin):
    images = spec("dcgan")
    old = trained(small("dcgan"), images)
    next(old.networks["D"].parameters()).data[0] = float("nan")
    with pytest.raises(TransferError, match=r"D .* aren't finite"):
        begin(old, images, small("dcgan"), images)


def test_other_sizes_are_named(begin):
    old = trained(small("dcgan"), spec("dcgan"))
    _, plan = begin(old, spec("dcgan"), small("dcgan", ndf=6), spec("dcgan"))
    said = "\n".join(plan.news)
    assert "G: all" in said
    assert "D starts fresh: no weight of the source's D has its shape" in said
    assert "layers.0.weight [4, 1, 4, 4] there, [6, 1, 4, 4] here" in said


def test_a_discriminator_of_another_class_starts_fresh(begin):
    old = trained(small("progan"), spec("progan"))
    _, plan = begin(old, spec("progan"), small("stylegan"), spec("stylegan"))
    assert any("G starts fresh: it is a StyleGANGenerator" in line for line in plan.news)
    assert "D" in plan.live and "G" not in plan.live
    assert plan.beginning.whole == ()


def test_vectors_of_spectral_norms_fit_converted_weights(begin):
    old = trained(small("sngan"), spec("sngan", 1))
    new, _ = begin(old, spec("sngan", 1), small("sngan"), spec("sngan", 3))
    layer = new.networks["D"].blocks[0].conv1
    assert torch.linalg.matrix_norm(layer.eval().weight.flatten(1), 2).item() == pytest.approx(
        1, rel=0.05
    )
