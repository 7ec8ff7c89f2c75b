"""Every network of every recipe: its declared inputs and outputs, and files of every format."""

from __future__ import annotations

import pytest
import torch

from fastgan import load
from fastgan.export import form_of, to_safetensors
from fastgan.recipes import RECIPES
from tests.export.every_recipe import VARIANTS, state_of
from tests.export.opened import SUFFIXES, WRITERS, opened, tensors

ONCE = ("G_BA", "D_B")  # as G_AB and D_A in every respect
# A network of each kind: noise, classes, groups, two outputs, open sizes, an image and a mask.
QUICK = [
    ("gan with classes", "G", "onnx"),
    ("dcgan that compares", "D", "torch-export"),
    ("stargan", "D", "onnx"),
    ("stargan", "D", "torch-export"),
    ("srgan", "G", "torch-export"),
    ("pix2pix of single pixels", "D", "onnx"),
    ("inpaint grey", "D", "torch-export"),
]


def forms_of(state, images, only=None):
    """Return the forms of a state's networks by name, and their networks."""
    found = {}
    for name, signature in state.recipe.signatures(state.sampler, images).items():
        if only is None or name == only:
            network = state.sampler[signature.network].eval().requires_grad_(False)
            found[name] = form_of(network, signature, about={"recipe": state.recipe.name})
    return found


@pytest.fixture(params=VARIANTS)
def forms(request):
    return forms_of(*state_of(request.param))


@torch.no_grad()
def test_networks_take_and_give_what_they_are_declared_to(forms):
    for name, form in forms.items():
        signature = form.signature
        names = [port.name for port in (*signature.inputs, *signature.outputs)]
        assert len(set(names)) == len(names), name
        sides = {}
        if signature.sizes is not None:
            sides = {"height": signature.sizes.at(2), "width": signature.sizes.at(3)}
        got = tensors(form.module(*form.example))
        for port, x in zip(
            (*signature.inputs, *signature.outputs), (*form.example, *got), strict=True
        ):
            shape = [len(form.example[0]), *(size_of(size, sides) for size in port.shape)]
            assert [want or there for want, there in zip(shape, x.shape, strict=True)] == list(
                x.shape
            ), name
            assert x.dtype == port.dtype and x.isfinite().all()
            if port.kind == "image":
                assert x.abs().max() <= 1 or port.meaning.endswith("outside of the range")
        for i, x in enumerate(form.example):  # every input counts
            changed = [*form.example]
            changed[i] = x.roll(1, 0) if x.roll(1, 0).ne(x).any() else 1 - x
            there = tensors(form.module(*changed))
            assert any(not torch.equal(a, b) for a, b in zip(got, there)), (name, i)


def size_of(size, sides):
    """Return a size in pixels, None for one that follows from the layers."""
    if isinstance(size, int):
        return size
    scale, _, side = size.rpartition("*")
    return int(scale or 1) * sides[side] if side in sides else None


@pytest.mark.parametrize("recipe", RECIPES)
def test_weights_of_every_network_come_back(run_of, tmp_path, recipe):
    folder, state = run_of(recipe)
    first = load(folder).source()
    assert first.others and first.signature.network in state.recipe.averaged
    for name in (None, *first.others):
        source = load(folder).source(name)
        assert source.name.endswith("_ema") == (source.signature.network in state.ema)
        path = tmp_path / f"{name}.safetensors"
        to_safetensors(source.network, path, name=source.name, about=source.described)
        again = load(path).source()
        weights = source.network.state_dict()
        assert all(
            torch.equal(weights[key], value) for key, value in again.network.state_dict().items()
        )
        if name in (None, *again.others):
            again = load(path).source(source.about["name"])
        assert again.described["inputs"] == source.described["inputs"]
        assert again.described["recipe"] == recipe and again.described["images"]["resolution"] > 0
        assert b"private" not in path.read_bytes()


@torch.no_grad()
def check(form, to, folder):
    """Export a form and compare the file with the network, on other numbers, samples and sizes."""
    path = folder / f"network{SUFFIXES[to]}"
    written = WRITERS[to](form, path)
    run, about = opened(path, to)
    signature = form.signature
    assert about["recipe"] == form.about["recipe"] and written.difference < 1e-4
    assert [port["shape"][1:] for port in about["inputs"]] == [
        list(port.shape) for port in signature.inputs
    ]
    for n, factors in ((3 * signature.group, (3, 2)), (2 * signature.group, (1, 1))):
        inputs = [x.flip(0) for x in signature.example(n, factors)]
        expected = tensors(form.module(*inputs))
        for ours, theirs in zip(expected, run(*inputs), strict=True):
            torch.testing.assert_close(theirs, ours, atol=1e-4 * max(1, ours.abs().max()), rtol=0)


@pytest.mark.parametrize("variant, name, to", QUICK)
def test_a_file_computes_what_the_network_does(tmp_path, variant, name, to):
    if to == "onnx":
        pytest.importorskip("onnxscript")
    check(forms_of(*state_of(variant), only=name)[name], to, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("to", ["torch-export", "onnx"])
def test_every_file_computes_what_its_network_does(forms, tmp_path, to):
    if to == "onnx":
        pytest.importorskip("onnxscript")
    for name, form in forms.items():
        if name not in ONCE:
            check(form, to, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize(
    "variant, name",
    [
        ("dcgan", "G"),
        ("stylegan2 with classes", "D"),
        ("pix2pix", "G"),
        ("unit", "G_AB"),
        ("stargan", "D"),
        ("gaugan at one scale", "D"),
        ("srgan", "G"),
        ("inpaint", "G"),
        ("text2image", "G"),
        ("r3gan", "G"),
    ],
)
def test_every_package_computes_what_its_network_does(tmp_path, variant, name):
    check(forms_of(*state_of(variant), only=name)[name], "aotinductor", tmp_path)
