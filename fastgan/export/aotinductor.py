"""Packages that AOTInductor compiles: AOTInductor's loader opens them, and so does C++."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from fastgan._torch_private import compile_package, load_package
from fastgan.export.check import compare
from fastgan.export.files import ExportError, Written, new_file
from fastgan.export.forms import Form
from fastgan.export.metadata import metadata_of
from fastgan.export.trace import has_own_ops, trace


def to_aotinductor(
    form: Form, path: str | Path, *, dynamic_batch: bool = True, portable: bool = False
) -> Written:
    """Compile a form for this processor or GPU into a package with code and weights.

    It needs a C++ compiler, and about a minute for a large network. Noise is drawn by torch's
    generators, as in the network.

    Args:
        form, dynamic_batch, portable: as in :func:`fastgan.export.to_torch_export`.
        path: ends in ``.pt2``; a file that exists is replaced.

    Raises:
        ExportError: the module can't be captured or compiled, or the package gives other outputs.
        OSError: the file can't be written.
    """
    # torch takes only paths that are UTF-8, so it writes to a temporary folder.
    with new_file(path, ".pt2") as temporary, tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "network.pt2"
        program = trace(form, dynamic_batch=dynamic_batch, portable=portable)
        try:
            compile_package(
                program,
                str(package),
                {
                    "fallback_random": True,
                    "aot_inductor.metadata": metadata_of(form, dynamic_batch=dynamic_batch),
                },
            )
        except Exception as error:  # compilers and code generators raise anything
            first = str(error).strip().partition("\n")[0]
            raise ExportError(
                f"AOTInductor can't compile the network ({first}): is there a C++ compiler (g++)?"
            ) from error
        run = load_package(str(package))
        difference = compare(form, run, dynamic_batch=dynamic_batch, kind="aotinductor")
        shutil.copyfile(package, temporary)
    needs = (
        "torch and fastgan ('import fastgan.ops' first)"
        if has_own_ops(program)
        else "torch alone, in Python or C++"
    )
    needs = f"{needs}, on a processor like this one"
    return Written(Path(path), difference, needs, form.signature)
