"""ONNX: standard operators only, for onnxruntime and whatever else reads them."""

from __future__ import annotations

import copy
import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from fastgan.export.check import compare
from fastgan.export.files import ExportError, Written, new_file
from fastgan.export.trace import trace

RANDOM = ("RandomNormal", "RandomNormalLike")


def to_onnx(
    module: nn.Module, example: tuple[Tensor, ...], path: str | Path, *, dynamic_batch: bool = True
) -> Written:
    """Writes ``module(*example)`` in ONNX's standard operators, with its weights in the same file.

    Inputs are named as the module's ``forward`` does, the output ``output``. Random noise is drawn by the runtime, which
    shares no generator with torch: outputs are compared with zeros in its place then.

    Args:
        module: in eval mode and on the CPU; it returns one tensor.
        example: tensors ``[N, …]``; with ``dynamic_batch`` N is at least 2 here and anything later.
        path: ends in ``.onnx``; a file that exists is replaced.

    Raises:
        ExportError: a package of the extra ``export`` is missing, the module can't be captured, an operator isn't a
            standard one, or the file gives other outputs.
        OSError: the file can't be written.
    """
    onnx, _, onnxruntime = (_require(package) for package in ("onnx", "onnxscript", "onnxruntime"))
    names = list(inspect.signature(module.forward).parameters)[: len(example)]
    with new_file(path, ".onnx") as temporary:
        program = trace(module, example, dynamic_batch=dynamic_batch, portable=True)
        try:
            exported = torch.onnx.export(
                program, input_names=names, output_names=["output"], dynamo=True, verbose=False
            )
        except torch.onnx.errors.OnnxExporterError as error:
            first = str(error).strip().partition("\n")[0]
            raise ExportError(f"The network has no form in ONNX ({first}).") from error
        assert exported is not None
        model = _tidied(exported.model_proto, dynamic_batch)
        onnx.checker.check_model(model, full_check=True)
        _check_standard(model)
        onnx.save(model, temporary)
        random = any(node.op_type in RANDOM for node in model.graph.node)
        run = _runner(onnxruntime, _noiseless(onnx, model) if random else str(temporary), names)
        expected = _Noiseless(module) if random else module
        difference = compare(expected, run, example, dynamic_batch=dynamic_batch, kind="onnx")
    return Written(Path(path), difference, "onnxruntime, or another runtime of ONNX")


def _require(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ExportError(
            f"Exporting to ONNX needs {package}, which can't be imported ({error}): "
            f"install it with pip install 'fastgan[export]'."
        ) from error


def _tidied(model: Any, dynamic_batch: bool) -> Any:
    """Without the exporter's notes, which hold paths and source lines of this machine; the batch is named ``batch``."""
    graph = model.graph
    del graph.value_info[:]  # shapes in between, which every reader infers
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
    for node in graph.node:
        node.doc_string = ""
    if dynamic_batch:
        for value in (*graph.input, *graph.output):
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
    return model


def _check_standard(model: Any) -> None:
    """Raises ExportError for an operator outside ONNX's own domain."""
    other = {
        f"{node.domain}::{node.op_type}" for node in model.graph.node if node.domain not in ("", "ai.onnx")
    }
    if other or model.functions:
        named = sorted(other | {function.name for function in model.functions})
        raise ExportError(f"The network needs operators that aren't ONNX's own ({', '.join(named)}).")


def _runner(onnxruntime: Any, model: str | bytes, names: list[str]) -> Callable[..., Tensor]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])

    def run(*inputs: Tensor) -> Tensor:
        (output,) = session.run(None, {name: x.numpy() for name, x in zip(names, inputs)})
        return torch.from_numpy(output)

    return run


def _noiseless(onnx: Any, model: Any) -> bytes:
    """The model with zeros for random numbers."""
    model = copy.deepcopy(model)
    for node in model.graph.node:
        if node.op_type == "RandomNormalLike":  # x - x
            node.op_type = "Sub"
            node.input.append(node.input[0])
            del node.attribute[:]
        elif node.op_type == "RandomNormal":
            shape = next(attribute.ints for attribute in node.attribute if attribute.name == "shape")
            zeros = onnx.numpy_helper.from_array(torch.zeros(*shape).numpy())
            node.op_type = "Constant"
            del node.attribute[:]
            node.attribute.append(onnx.helper.make_attribute("value", zeros))
    return bytes(model.SerializeToString())


class _Noiseless(nn.Module):
    """A module with zeros for the random numbers that it draws."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> Tensor:
        with _ZeroNormals():
            output: Tensor = self.module(*inputs)
        return output


class _ZeroNormals(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        drawn = func in (torch.ops.aten.randn.default, torch.ops.aten.randn_like.default)
        return torch.zeros_like(result) if drawn else result
