"""Lean dispatch of eager calls among torch's tools that watch, transform or repeat autograd."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.checkpoint import checkpoint

from fastgan import ops
from fastgan.ops import _library
from tests.ops.contract import Calls, needs
from tests.ops.lean_network import chain, leaves
from tests.training.launch import torchrun

pytestmark = pytest.mark.skipif(_library.triton_interpreter(), reason="not about Triton")

DEFAULT = "GeneratedBackwardFor_fastgan_bias_act_default"


def gradients(loss=chain, **options) -> list[Tensor]:
    given = leaves()
    loss(*given, **options).backward()
    return [t.grad for t in given]


def registered(op: str, *args):
    return getattr(torch.ops.fastgan, op)(*args)


def equal(a: list[Tensor], b: list[Tensor]) -> bool:
    return len(a) == len(b) and all(torch.equal(*pair) for pair in zip(a, b))


# --------------------------------------------------------------------------- what autograd sees


def test_the_node_has_the_name_of_the_registered_op():
    x, _, b = leaves()
    lean = ops.bias_act(x, b, act="lrelu")
    other = registered("bias_act", x, b, 1, "lrelu", 0.2, 2**0.5, None)
    assert lean.grad_fn.name() == other.grad_fn.name() == DEFAULT + "Backward"
    assert torch.equal(lean, other)


def test_an_op_with_lists_of_tensors_is_the_registered_one():
    assert _library.ops_of("cpu").spectral_norm is torch.ops.fastgan.spectral_norm.default


def test_a_pass_computes_what_it_is_asked_for_each_time():
    """A penalty's first pass leaves out the bias; the next pass over the same graph has it."""
    x, _, b = leaves()
    y = ops.bias_act(x, b, act="swish")
    needed = []
    for asked in ([x], [x, b], [b], [x]):
        with Calls() as seen:
            torch.autograd.grad(y.sum(), asked, retain_graph=True)
        needed += [args["need_db"] for args in seen.of("bias_act_backward")]
    with Calls() as seen:
        y.sum().backward()
    needed += [args["need_db"] for args in seen.of("bias_act_backward")]
    assert needed == [False, True, True, False, True]


def test_second_derivatives_leave_out_what_nobody_asked_for():
    x, scale, b = leaves()
    y = ops.scale_bias_act(x, scale, None, b, act="swish")
    (g,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    with Calls() as seen:
        torch.autograd.grad(g.square().sum(), [scale], retain_graph=True)
    (args,) = seen.of("scale_bias_act_double_backward")
    assert needs(args) == {"dscale"}


def test_gradients_of_leaves_share_no_memory():
    """A linear op passes the incoming gradient on, which ``backward()`` copies for each leaf."""
    x, _, b = leaves()
    direction = torch.ones_like(x)
    ops.bias_act(x, b).backward(direction)
    x.grad.mul_(2)
    assert torch.equal(direction, torch.ones_like(x))


def test_leaves_are_accumulated_into():
    once = gradients()
    given = leaves()
    for _ in range(2):
        chain(*given).backward()
    assert all(torch.allclose(t.grad, 2 * g) for t, g in zip(given, once))


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_without_gradients_nothing_is_recorded(context):
    x, _, b = leaves()
    with context():
        y = ops.bias_act(x, b, act="lrelu")
    assert y.grad_fn is None and not y.requires_grad
    assert y.is_inference() == (context is torch.inference_mode)
    assert torch.equal(y, ops.bias_act(x, b, act="lrelu"))


# ------------------------------------------------------------------------------ torch's tools


@pytest.mark.parametrize("use_reentrant", [False, True], ids=["non_reentrant", "reentrant"])
def test_checkpoint(use_reentrant):
    def loss(*tensors: Tensor) -> Tensor:
        return checkpoint(chain, *tensors, use_reentrant=use_reentrant)

    assert equal(gradients(loss), gradients())


def test_a_penalty_through_a_checkpoint():
    def penalty(x: Tensor, scale: Tensor, b: Tensor, run=chain) -> Tensor:
        (g,) = torch.autograd.grad(run(x, scale, b), x, create_graph=True)
        return g.square().sum()

    def checkpointed(*tensors: Tensor) -> Tensor:
        return checkpoint(chain, *tensors, use_reentrant=False)

    assert equal(gradients(penalty, run=checkpointed), gradients(penalty))


def test_hooks_of_saved_tensors():
    packed: list[Tensor] = []

    def pack(t: Tensor) -> Tensor:
        packed.append(t)
        return t.detach().clone()

    def loss(*tensors: Tensor) -> Tensor:
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            return chain(*tensors)

    expected = gradients()
    assert equal(gradients(loss), expected)
    # x and b of bias_act; x, scale and b of scale_bias_act; the filter; x of pixel_norm.
    assert len(packed) >= 7

    def on_cpu(*tensors: Tensor) -> Tensor:
        with torch.autograd.graph.save_on_cpu():
            return chain(*tensors)

    assert equal(gradients(on_cpu), expected)


def test_hooks_of_tensors_and_of_leaves():
    x, scale, b = leaves()
    seen = []
    x.register_hook(lambda g: seen.append("hook"))
    x.register_post_accumulate_grad_hook(lambda t: seen.append("accumulated"))
    chain(x, scale, b).backward()
    assert seen == ["hook", "accumulated"]


@pytest.mark.parametrize("compiler", ["eager", pytest.param("aot_eager", marks=pytest.mark.long)])
def test_compiled_autograd(compiler):
    """One graph of the backward pass, also for other settings and other leaves."""
    expected = [gradients(), gradients(gain=0.5)]
    torch._dynamo.reset()
    counters.clear()
    compile = torch.compile(backend=compiler, fullgraph=True)
    with torch._dynamo.compiled_autograd._enable(compile):
        found = [gradients(), gradients(gain=0.5)]
        x, scale, b = leaves()
        chain(x, scale.detach(), b).backward()
    assert counters["compiled_autograd"]["captures"] >= 1 and not counters["graph_break"]
    for a, b_ in zip(found, expected):
        assert all(torch.allclose(*pair, rtol=1e-5, atol=1e-6) for pair in zip(a, b_))
    assert torch.allclose(x.grad, expected[0][0], rtol=1e-5, atol=1e-6)


def test_compiled_autograd_of_a_compiled_step():
    def step(*tensors: Tensor) -> None:
        chain(*tensors).backward()

    torch._dynamo.reset()
    with torch._dynamo.config.patch(compiled_autograd=True):
        given = leaves()
        torch.compile(step, backend="aot_eager")(*given)
    expected = gradients()
    assert all(torch.allclose(t.grad, g, rtol=1e-5, atol=1e-6) for t, g in zip(given, expected))


def test_a_batch_of_gradients():
    """The backward pass under vmap calls the registered op."""
    x, _, b = leaves()
    y = ops.bias_act(x, b, act="swish")
    directions = torch.stack([torch.ones_like(y), torch.full_like(y, 2.0)])
    dx, db = torch.autograd.grad(y, (x, b), directions, is_grads_batched=True)
    assert torch.equal(dx[1], 2 * dx[0]) and torch.allclose(db[1], 2 * db[0])


def test_transforms_of_a_function_that_differentiates():
    x, scale, b = (t.detach() for t in leaves())

    def loss(x: Tensor) -> Tensor:
        return chain(x, scale, b)

    found = torch.func.grad(loss)(x)
    assert torch.allclose(found, gradients()[0], rtol=1e-4, atol=1e-5)
    each = torch.vmap(torch.func.grad(loss))(torch.stack([x, x]))
    assert torch.allclose(each[1], found, rtol=1e-4, atol=1e-5)
    _, tangent = torch.func.jvp(loss, (x,), (torch.ones_like(x),))
    assert torch.allclose(tangent, found.sum(), rtol=1e-4)


def test_a_tensor_that_outlives_its_transform():
    left = []
    torch.func.grad(lambda x: (left.append(x * 2), x.sum())[1])(torch.ones(2, 4, 5, 5))
    _, _, b = leaves()
    y = ops.bias_act(left[0], b, act="lrelu")
    (found,) = torch.autograd.grad(y.sum(), b)
    plain = ops.bias_act(torch.full((2, 4, 5, 5), 2.0), b, act="lrelu")
    assert torch.equal(found, torch.autograd.grad(plain.sum(), b)[0])


@pytest.mark.parametrize("pre_dispatch", [False, True])
def test_make_fx_traces_the_registered_op(pre_dispatch):
    x, _, b = leaves()
    graph = make_fx(lambda x, b: ops.bias_act(x, b, act="lrelu"), pre_dispatch=pre_dispatch)(x, b)
    assert "fastgan.bias_act.default" in [str(node.target) for node in graph.graph.nodes]
    assert torch.equal(graph(x, b), ops.bias_act(x, b, act="lrelu"))


def test_make_fx_traces_registered_derivatives():
    def step(x: Tensor, b: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(ops.bias_act(x, b, act="lrelu").sum(), (x, b))

    x, _, b = leaves()
    graph = make_fx(step)(x, b)
    assert "fastgan.bias_act_backward.default" in [str(node.target) for node in graph.graph.nodes]
    assert equal(graph(x, b), step(x, b))


@pytest.mark.parametrize("inside", [True, False])
def test_fake_tensors(inside):
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    x, scale, b = (mode.from_tensor(t) for t in leaves())
    with mode if inside else torch.enable_grad():
        loss = chain(x, scale, b)
        found = torch.autograd.grad(loss, (x, scale, b))
    assert [g.shape for g in found] == [t.shape for t in leaves()]
    assert all(isinstance(g, type(x)) for g in found)


@pytest.mark.filterwarnings("ignore:`torch.jit.trace` is deprecated")
def test_a_trace_has_the_registered_op():
    x, _, _ = leaves()
    traced = torch.jit.trace(lambda x: ops.bias_act(x, act="lrelu"), x)
    assert "fastgan::bias_act" in str(traced.graph)
    assert torch.equal(traced(x), ops.bias_act(x, act="lrelu"))


def test_a_subclass_stays_one():
    class Image(Tensor):
        pass

    x = leaves()[0].detach().as_subclass(Image)
    assert type(ops.bias_act(x, act="lrelu")) is Image
    assert type(ops.bias_act(x.requires_grad_(), act="lrelu")) is Image


@pytest.mark.slow
def test_parallel_training_in_two_processes():
    """DistributedDataParallel and fully_shard have the gradients of one process."""
    process = torchrun("-m", "tests.ops.lean_worker")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert sorted(out.split()) == ["ddp", "ddp", "ddp_static", "ddp_static", "fsdp", "fsdp"]
