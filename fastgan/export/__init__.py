"""Networks as files for other programs: weights, graphs, compiled packages, ONNX.

>>> import fastgan
>>> from fastgan import export
>>> source = fastgan.load("runs/demo").source()
>>> export.to_onnx(export.form_of(source.network, source.signature), "G.onnx")

Every writer runs its file and compares the outputs with the network's. A file that computes
something else is removed.
"""

from fastgan.export.aotinductor import to_aotinductor
from fastgan.export.files import ExportError, Written
from fastgan.export.forms import Form, discriminator_form, form_of, generator_form
from fastgan.export.onnx import to_onnx
from fastgan.export.safetensors import describe, load_safetensors, to_safetensors
from fastgan.export.source import Source
from fastgan.export.torch_export import to_torch_export
from fastgan.export.writing import FORMATS, Format, write

__all__ = [
    "FORMATS",
    "ExportError",
    "Form",
    "Format",
    "Source",
    "Written",
    "describe",
    "discriminator_form",
    "form_of",
    "generator_form",
    "load_safetensors",
    "to_aotinductor",
    "to_onnx",
    "to_safetensors",
    "to_torch_export",
    "write",
]
