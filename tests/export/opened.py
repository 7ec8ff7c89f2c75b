"""Exported files, opened as their users do."""

from __future__ import annotations

import json

import pytest
import torch
import torch._inductor

from fastgan.export import describe, to_aotinductor, to_onnx, to_torch_export

WRITERS = {"torch-export": to_torch_export, "onnx": to_onnx, "aotinductor": to_aotinductor}
SUFFIXES = {
    "torch-export": ".pt2",
    "onnx": ".onnx",
    "aotinductor": ".pt2",
    "safetensors": ".safetensors",
}


def tensors(outputs):
    """Return one tensor or several as a list."""
    return [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)


def opened(path, to):
    """Return a file's function of tensors, a list of tensors, and what the file says of itself."""
    if to == "onnx":
        onnxruntime = pytest.importorskip("onnxruntime")
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [x.name for x in session.get_inputs()]

        def run(*inputs):
            outputs = session.run(
                None, {name: x.numpy() for name, x in zip(names, inputs, strict=True)}
            )
            return [torch.from_numpy(x) for x in outputs]

        about = json.loads(session.get_modelmeta().custom_metadata_map["fastgan"])
        assert names == [port["name"] for port in about["inputs"]]
        assert [x.name for x in session.get_outputs()] == [
            port["name"] for port in about["outputs"]
        ]
        return run, about
    if to == "torch-export":
        extra = {"fastgan": ""}
        module = torch.export.load(path, extra_files=extra).module()
        return lambda *inputs: tensors(module(*inputs)), json.loads(extra["fastgan"])
    if to == "aotinductor":
        package = torch._inductor.aoti_load_package(str(path))
        about = json.loads(package.get_metadata()["fastgan"])
        return lambda *inputs: tensors(package(*inputs)), about
    return None, describe(path)
