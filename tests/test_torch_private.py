"""Torch's private names: the functions around them, and a search for others in the package."""

from __future__ import annotations

import ast
import copy
import inspect
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from fastgan import _torch_private as private

PACKAGE = Path(private.__file__).parent

#: Private attributes of torch's objects, which a search for names under `torch` doesn't see.
ATTRIBUTES = {
    "_buffers",
    "_check_input_dim",
    "_conv_forward",
    "_dynamo_marked_constant",
    "_forward_hooks",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_guards_code",
    "_modules",
    "_op",
    "_parameters",
    "_reversed_padding_repeated_twice",
    "_schema",
}


def is_private(name: str) -> bool:
    return any(part.startswith("_") and not part.startswith("__") for part in name.split("."))


def private_names(source: str) -> list[str]:
    """Return torch's private names in a source: imports and attributes."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch":
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] == "torch"]
        elif isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            if re.fullmatch(r"torch(\.\w+)+", name) or node.attr in ATTRIBUTES:
                found.append(name)
    return [name for name in found if is_private(name)]


def test_no_other_module_uses_a_private_name():
    found = {
        str(path.relative_to(PACKAGE)): names
        for path in PACKAGE.rglob("*.py")
        if path.name != "_torch_private.py" and (names := private_names(path.read_text("utf-8")))
    }
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "import torch._dynamo",
        "import torch._inductor as compiler",
        "from torch._dynamo import config",
        "from torch.nn.modules.conv import _ConvNd",
        "from torch.utils._python_dispatch import TorchDispatchMode",
        "torch._foreach_add_(a, b)",
        "torch._C._functorch.peek_interpreter_stack()",
        "network._forward_hooks.clear()",
    ],
)
def test_a_private_name_is_found(source):
    assert private_names(source)
    assert not private_names("from torch import Tensor, nn\ntorch.nn.Linear(1, 1)._own\n'torch._C'")


def test_every_function_has_a_test():
    source = Path(__file__).read_text("utf-8")
    functions = [
        name
        for name, value in inspect.getmembers(private)
        if inspect.isfunction(value) and value.__module__ == private.__name__
    ]
    assert len(functions) > 10
    assert not [name for name in functions if f"private.{name}(" not in source]


def test_importing_it_is_quick():
    code = """
import sys, fastgan._torch_private
print([name for name in ("torch._dynamo", "torch._inductor") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("granted", [True, False])
def test_amx_takes_the_cpu_and_the_system(monkeypatch, there, granted):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: there)
    monkeypatch.setattr(torch.cpu, "_init_amx", lambda: granted)
    assert private.has_amx() is (there and granted)


def test_amx_is_among_the_flags_of_the_cpu():
    flags = Path("/proc/cpuinfo")
    if private.has_amx() and flags.exists():
        assert " amx_tile" in flags.read_text()


def test_a_constant_result_is_not_traced():
    calls = []

    def number() -> int:
        calls.append(1)
        return 3

    marked = private.assume_constant_result(number)
    compiled = torch.compile(lambda x: x * marked(), fullgraph=True, backend="eager")
    assert torch.equal(compiled(torch.ones(2)), torch.full((2,), 3.0)) and calls


def test_transforms_are_noticed():
    seen = []

    def watch(x):
        seen.append(private.is_transformed())
        return x * 1

    x = torch.ones(2)
    watch(x)
    torch.vmap(watch)(x)
    torch.func.grad(lambda x: watch(x).sum())(x)
    with torch.autograd.forward_ad.dual_level():
        watch(x)
    watch(x)
    assert seen == [False, True, True, True, False]


def test_plain_eager_code_is_told_apart():
    seen = []

    def watch(x):
        seen.append(private.is_plain_eager())
        return x * 1

    x = torch.ones(2)
    watch(x)
    torch.vmap(watch)(x)
    torch.func.grad(lambda x: watch(x).sum())(x)
    with torch.autograd.forward_ad.dual_level():
        watch(x)
    with private.replacing_results(lambda op, result: result):
        watch(x)
    make_fx(watch)(x)
    with FakeTensorMode(allow_non_fake_inputs=True):
        watch(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(watch, x, check_trace=False)
    watch(x)
    assert seen == [True, *[False] * 7, True]


def test_code_that_dynamo_traces_is_not_plain_eager():
    def both(x):
        return x + private.is_plain_eager(), x + private.will_be_computed([None])[0]

    compiled = torch.compile(both, fullgraph=True, backend="eager")
    assert compiled(torch.zeros(())) == (0, 1)


def test_below_autograd_nothing_is_recorded():
    x = torch.ones(2, requires_grad=True)
    with private.below_autograd():
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad


def test_the_dispatcher_is_called_directly():
    assert private.call_of(torch.ops.aten.add.Tensor)(torch.ones(()), 2) == 3


def test_tensors_have_places_in_a_schema():
    aten = torch.ops.aten
    assert private.tensor_places(aten.where.self) == (0, 1, 2)
    assert private.tensor_places(aten.clamp.Tensor) == (0, 1, 2)
    assert private.tensor_places(aten.add.Tensor) == (0, 1)
    assert private.tensor_places(aten.cat.default) is None
    assert private.tensor_places(aten.unbind.int) is None


def test_dynamo_traces_gradients_inside_its_settings():
    if not private.can_trace_gradients():
        pytest.skip("this torch doesn't trace autograd.grad")
    x = torch.tensor(3.0, requires_grad=True)

    def slope():
        return torch.autograd.grad(x * x, x)[0]

    compiled = torch.compile(slope, fullgraph=True, backend="eager")
    with private.dynamo_settings(trace_autograd_ops=True):
        assert compiled() == 6


def test_an_error_of_dynamo_is_of_its_class():
    def prints(x):
        print(x)
        return x + 1

    with pytest.raises(private.dynamo_error()):
        torch.compile(prints, fullgraph=True, backend="eager")(torch.ones(1))


def test_the_engine_tells_which_gradients_are_computed():
    told = []
    a, b = (torch.ones(2, requires_grad=True) for _ in range(2))
    first, second = a * 1, b * 1
    nodes = [t.grad_fn for t in (first, second)]
    y = first * second
    y.register_hook(lambda g: told.append(private.will_be_computed(nodes)))
    torch.autograd.grad(y.sum(), a, retain_graph=True)
    torch.autograd.grad(y.sum(), (a, b))
    assert told == [[True, False], [True, True]]


def test_a_leaf_that_is_asked_for_counts_as_computed():
    told = []
    leaf = torch.ones(2, requires_grad=True)
    y = leaf * 2
    node = y.grad_fn.next_functions[0][0]
    unused = (leaf * 3).grad_fn
    y.register_hook(lambda g: told.append(private.will_be_computed([node, unused])))
    torch.autograd.grad(y.sum(), leaf)
    assert told == [[True, False]]


def test_many_tensors_are_copied_and_added():
    targets, others = [torch.zeros(2), torch.zeros(3)], [torch.ones(2), torch.full((3,), 2.0)]
    private.copy_all_(targets, others)
    assert all(torch.equal(a, b) for a, b in zip(targets, others))
    private.add_all_(targets, others)
    assert all(torch.equal(a, 2 * b) for a, b in zip(targets, others))
    private.copy_all_([], [])
    doubled = private.multiply_all(others, [2.0, 3.0])
    assert [t.tolist() for t in doubled] == [[2, 2], [6, 6, 6]]


def test_convolutions_are_told_apart():
    plain = [nn.Conv1d(1, 1, 1), nn.Conv2d(1, 1, 1), nn.Conv3d(1, 1, 1)]
    turned = [nn.ConvTranspose1d(1, 1, 1), nn.ConvTranspose2d(1, 1, 1)]
    assert all(isinstance(layer, private.CONVOLUTIONS) for layer in plain + turned)
    assert all(isinstance(layer, private.TRANSPOSED_CONVOLUTIONS) for layer in turned)
    assert not any(isinstance(layer, private.TRANSPOSED_CONVOLUTIONS) for layer in plain)
    assert not isinstance(nn.Linear(1, 1), private.CONVOLUTIONS)


def test_padding_is_explicit():
    layer = nn.Conv2d(1, 1, (2, 4), padding="same")
    left, right, top, bottom = private.explicit_padding(layer)
    assert (left, right, top, bottom) == (1, 2, 0, 1)
    x = torch.randn(1, 1, 5, 6)
    expected = F.conv2d(F.pad(x, (left, right, top, bottom)), layer.weight, layer.bias)
    assert torch.allclose(layer(x), expected)
    assert private.explicit_padding(nn.Conv2d(1, 1, 3, padding=(1, 2))) == (2, 2, 1, 1)


def test_ranks_of_batch_norms_are_checked():
    layer = nn.BatchNorm2d(3)
    private.check_batch_norm_input(layer, torch.ones(1, 3, 2, 2))
    with pytest.raises(ValueError, match="4D"):
        private.check_batch_norm_input(layer, torch.ones(1, 3))


def test_hooks_of_a_copy_are_removed():
    class Owner:
        def before(self, *arguments):
            ran.append("before")

        def after(self, *arguments):
            ran.append("after")

    ran = []
    network, owner = nn.Linear(2, 2), Owner()
    network.register_forward_pre_hook(owner.before)
    network.register_forward_hook(owner.after, always_call=True)
    other = copy.deepcopy(network)
    other(torch.ones(1, 2))
    assert ran == ["before", "after"]
    ((key, hook),) = private.forward_pre_hooks(other).items()
    del private.forward_pre_hooks(other)[key]
    private.remove_forward_hooks(other, owner)
    other(torch.ones(1, 2))
    assert ran == ["before", "after", "after"]
    private.remove_forward_hooks(other, hook.__self__)
    other(torch.ones(1, 2))
    network(torch.ones(1, 2))
    assert ran == ["before", "after", "after", "before", "after"]


def test_results_are_replaced():
    def without_normals(op, result):
        return torch.zeros_like(result) if op == torch.ops.aten.randn.default else result

    with private.replacing_results(without_normals):
        assert not torch.randn(3).any() and torch.ones(2).all()
    assert torch.randn(3).any()


class Doubled(nn.Module):
    def forward(self, x):
        return x * 2 + 1


def exported() -> torch.export.ExportedProgram:
    batch = ({0: torch.export.Dim("batch")},)
    return torch.export.export(Doubled(), (torch.ones(2, 3),), dynamic_shapes=batch)


def test_ops_of_a_graph_have_a_namespace():
    spaces = [private.op_namespace(node.target) for node in exported().graph.nodes]
    assert "aten" in spaces and "" in spaces


def test_guards_of_a_program_are_dropped():
    program = exported()
    program._guards_code = ["False"]
    private.drop_guards(program)
    assert torch.equal(program.module()(torch.ones(1, 3)), torch.full((1, 3), 3.0))


@pytest.mark.long
def test_a_package_is_compiled_and_loaded(tmp_path):
    path = str(tmp_path / "network.pt2")
    private.compile_package(exported(), path, {"fallback_random": True})
    assert torch.equal(private.load_package(path)(torch.ones(4, 3)), torch.full((4, 3), 3.0))
