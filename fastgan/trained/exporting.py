"""Files for other programs."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from fastgan.export import ExportError, Form, Format, Source, Written, form_of, write
from fastgan.networks.stylegan2.generator import NoiseMode
from fastgan.trained.core import Core


class Exporting(Core):
    """Exports of trained networks."""

    def export(
        self,
        path: str | Path,
        *,
        network: str | None = None,
        to: Format | None = None,
        inputs: Literal["z", "w"] = "z",
        truncation: float | None = None,
        noise: NoiseMode | None = None,
        batch: int | None = None,
        portable: bool = False,
        force: bool = False,
    ) -> Written:
        """Write a network to a file for other programs, and check that the file computes the same.

        Args:
            path: file to write. Without ``to`` its ending decides: ``.safetensors``, ``.onnx``, or
                ``.pt2`` for torch.export.
            network: name as in docs/export.md, such as "G", "D" or "G_AB"; None is the generator.
            to: format.
            inputs, truncation, noise: see :func:`fastgan.export.form_of`.
            batch: images per call; None leaves their number open.
            portable: plain PyTorch in place of fastgan's ops.
            force: replace a file that exists.

        Raises:
            ExportError: there is no such network or format, the file exists, or what was written
                computes something else.
            OSError: the file can't be written.
        """
        source = self.source(network)
        if Path(path).exists() and not force:
            raise ExportError(
                f"The file {str(path)!r} exists: replace it with `force`, or choose another path."
            )
        return write(
            source,
            path,
            to=to,
            inputs=inputs,
            truncation_psi=truncation,
            noise=noise,
            batch=batch,
            portable=portable,
        )

    def source(self, name: str | None = None) -> Source:
        """Return a network with its signature and description, ready for :mod:`fastgan.export`.

        Args:
            name: as the recipe's ``signatures`` call it, such as "G", "D" or "G_AB"; None is the
                generator.

        Raises:
            ExportError: there is no such network.
        """
        names = [*self._signatures, *self._more]
        name = _chosen(name, names, self._owner)
        network, signature = self._pair(name)
        averaged = signature.network in self._averaged
        title = (
            self._title(name, network)
            if self._title is not None
            else f"{'averaged ' if averaged else ''}{name} of {self.origin}"
        )
        return Source(
            network,
            f"{signature.network}_ema" if averaged else signature.network,
            title,
            signature,
            {} if self._about is None else {"name": name, **self._about},
            tuple(other for other in names if other != name),
        )

    def form(self, name: str | None = None, **options: Any) -> Form:
        """Return a network as a module of tensors alone, see :func:`fastgan.export.form_of`."""
        source = self.source(name)
        return form_of(source.network, source.signature, about=source.about, **options)


def _chosen(name: str | None, names: Sequence[str], owner: str) -> str:
    """Return the name if it is one of ``names``, the first of them for None.

    Raises:
        ExportError: it is none of them, or there are none.
    """
    if not names:
        raise ExportError(f"{owner} has no network that can be exported.")
    if name is None or name in names:
        return name or names[0]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ExportError(f"{owner} has no network {name!r}, only {', '.join(names)}.{hint}")
