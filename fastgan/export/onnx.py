"""ONNX with standard operators only, for onnxruntime and other runtimes."""

from __future__ import annotations

import copy
import importlib
import inspect
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fastgan._torch_private import replacing_results
from fastgan.export.check import compare, outputs_of
from fastgan.export.files import ExportError, Written, new_file
from fastgan.export.forms import Form, drops
from fastgan.export.metadata import metadata_of
from fastgan.export.trace import trace

RANDOM = ("RandomNormal", "RandomNormalLike")


def to_onnx(form: Form, path: str | Path, *, dynamic_batch: bool = True) -> Written:
    """Write a form in ONNX's standard operators, with its weights in the same file.

    Names of inputs and outputs are those of the signature. Without one, inputs are named as in
    ``forward``, and the output ``output``. The runtime shares no generator with torch, so outputs
    of a network with random noise are compared with zeros in its place.

    Args:
        form: on the CPU; its example has N of at least 2 with ``dynamic_batch``.
        path: ends in ``.onnx``; a file that exists is replaced.

    Raises:
        ExportError: a package of the extra ``export`` is missing, the module can't be captured, an
            operator isn't a standard one, or the file gives other outputs.
        OSError: the file can't be written.
    """
    onnx, _, onnxruntime = (_require(package) for package in ("onnx", "onnxscript", "onnxruntime"))
    if any(drops(module) for module in form.module.modules()):
        raise ExportError(
            "Dropout that is new at every call can't be checked in ONNX: leave noise out, or write "
            "a graph of torch.export."
        )
    inputs, outputs = _names(form)
    with new_file(path, ".onnx") as temporary:
        program = trace(form, dynamic_batch=dynamic_batch, portable=True)
        try:
            exported = torch.onnx.export(
                program, input_names=inputs, output_names=outputs, dynamo=True, verbose=False
            )
        except torch.onnx.errors.OnnxExporterError as error:
            first = str(error).strip().partition("\n")[0]
            raise ExportError(f"The network has no form in ONNX ({first}).") from error
        assert exported is not None
        model = _tidied(exported.model_proto, form, dynamic_batch)
        onnx.helper.set_model_props(model, metadata_of(form, dynamic_batch=dynamic_batch))
        onnx.checker.check_model(model, full_check=True)
        _check_standard(model)
        temporary.write_bytes(content := model.SerializeToString())
        random = any(node.op_type in RANDOM for node in model.graph.node)
        run = _runner(onnxruntime, _noiseless(onnx, model) if random else content, inputs)
        expected = form._replace(module=_Noiseless(form.module)) if random else form
        difference = compare(expected, run, dynamic_batch=dynamic_batch, kind="onnx")
    return Written(
        Path(path), difference, "onnxruntime, or another runtime of ONNX", form.signature
    )


def _names(form: Form) -> tuple[list[str], list[str]]:
    """Return the names of inputs and outputs; no two are the same."""
    if form.signature is None:
        return list(inspect.signature(form.module.forward).parameters)[: len(form.example)], [
            "output"
        ]
    return [port.name for port in form.signature.inputs], [
        port.name for port in form.signature.outputs
    ]


def _require(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ExportError(
            f"Exporting to ONNX needs {package}, which can't be imported ({error}): "
            f"install it with pip install 'fastgan[export]'."
        ) from error


def _tidied(model: Any, form: Form, dynamic_batch: bool) -> Any:
    """Return the model with names of open sizes, without notes that hold paths of this machine."""
    graph = model.graph
    # Every reader infers the shapes in between.
    del graph.value_info[:]
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
    for node in graph.node:
        node.doc_string = ""
    ports = () if form.signature is None else (*form.signature.inputs, *form.signature.outputs)
    values = (*graph.input, *graph.output)
    for value, port in zip_longest(values, ports):
        sizes = value.type.tensor_type.shape.dim
        if dynamic_batch:
            sizes[0].dim_param = "batch"
        for size, name in zip(sizes[1:], port.shape if port is not None else ()):
            if isinstance(name, str):
                size.dim_param = name
    return model


def _check_standard(model: Any) -> None:
    """Raise ExportError for an operator outside ONNX's own domain."""
    other = {
        f"{node.domain}::{node.op_type}"
        for node in model.graph.node
        if node.domain not in ("", "ai.onnx")
    }
    if other or model.functions:
        named = sorted(other | {function.name for function in model.functions})
        raise ExportError(
            f"The network needs operators that aren't ONNX's own ({', '.join(named)})."
        )


def _runner(onnxruntime: Any, model: bytes, names: list[str]) -> Callable[..., tuple[Tensor, ...]]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])

    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        outputs = session.run(None, {name: x.numpy() for name, x in zip(names, inputs)})
        return tuple(map(torch.from_numpy, outputs))

    return run


def _noiseless(onnx: Any, model: Any) -> bytes:
    """Return the model with zeros in place of random numbers."""
    model = copy.deepcopy(model)
    for node in model.graph.node:
        if node.op_type == "RandomNormalLike":  # x - x
            node.op_type = "Sub"
            node.input.append(node.input[0])
            del node.attribute[:]
        elif node.op_type == "RandomNormal":
            shape = next(
                attribute.ints for attribute in node.attribute if attribute.name == "shape"
            )
            zeros = onnx.numpy_helper.from_array(torch.zeros(*shape).numpy())
            node.op_type = "Constant"
            del node.attribute[:]
            node.attribute.append(onnx.helper.make_attribute("value", zeros))
    return bytes(model.SerializeToString())


class _Noiseless(nn.Module):
    """A module with zeros in place of the random numbers that it draws."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        with replacing_results(_without_normals):
            return outputs_of(self.module(*inputs))


def _without_normals(op: Any, result: Any) -> Any:
    drawn = op in (torch.ops.aten.randn.default, torch.ops.aten.randn_like.default)
    return torch.zeros_like(result) if drawn else result
