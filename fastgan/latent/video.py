"""Writer of GIF and MP4 files."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from fastgan.data.images import with_channels
from fastgan.files import replacing
from fastgan.latent.errors import LatentError
from fastgan.names import plain_folder

FORMATS = (".gif", ".mp4")
"""Endings of video files."""


def save_video(path: str | os.PathLike[str], frames: Iterable[Tensor], *, fps: int = 25) -> None:
    """Write frames as an endless GIF, or as an MP4 (H.264).

    The file appears whole or not at all. A GIF has 256 colours per frame, and its frames last whole
    hundredths of a second. An MP4's height and width are even, so an odd size gets another row or
    column.

    Args:
        path: file to write; its ending decides the format.
        frames: uint8 ``[1 to 4, H, W]`` each, of one size, such as a tensor ``[F, C, H, W]``. They
            are read one by one.
        fps: frames per second, 1 to 100.

    Raises:
        LatentError: the ending is unknown, there is no frame, Pillow (GIF) or PyAV (MP4) is
            missing, or the file can't be written.
        ValueError: a frame or ``fps`` is wrong.
    """
    if not 1 <= fps <= 100:
        raise ValueError(f"fps must be from 1 to 100, got {fps}")
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in FORMATS:
        raise LatentError(f"A video must end in {' or '.join(FORMATS)}, got {str(path)!r}.")
    library = _require("PIL.Image", "pillow") if suffix == ".gif" else _require("av", "av")
    write = _write_gif if suffix == ".gif" else _write_mp4
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target, plain=suffix) as temporary:
            write(library, temporary, _checked(frames), fps)
    except OSError as error:
        raise LatentError(
            f"The video {str(path)!r} can't be written: {error.strerror or error}."
        ) from error


def _write_gif(pil: Any, path: Path, frames: Iterator[Tensor], fps: int) -> None:
    pictures = (pil.fromarray(frame.permute(1, 2, 0).numpy()).quantize(256) for frame in frames)
    first = next(pictures)
    first.save(path, save_all=True, append_images=pictures, duration=round(100 / fps) * 10, loop=0)


def _write_mp4(av: Any, path: Path, frames: Iterator[Tensor], fps: int) -> None:
    with plain_folder(path.parent) as folder, av.open(str(folder / path.name), "w") as container:
        stream = None
        for frame in frames:
            height, width = frame.shape[1:]
            even = F.pad(frame[None].float(), (0, width % 2, 0, height % 2), mode="replicate")[
                0
            ].byte()
            if stream is None:
                stream = container.add_stream("h264", rate=Fraction(fps), options={"crf": "18"})
                stream.height, stream.width = even.shape[1:]
                # All players support this format.
                stream.pix_fmt = "yuv420p"
            picture = av.VideoFrame.from_ndarray(
                even.permute(1, 2, 0).contiguous().numpy(), format="rgb24"
            )
            container.mux(stream.encode(picture))
        if stream is not None:
            container.mux(stream.encode(None))


def _checked(frames: Iterable[Tensor]) -> Iterator[Tensor]:
    """Check each frame and convert it to colour on the CPU."""
    size = None
    for frame in frames:
        if frame.ndim != 3 or not 1 <= frame.shape[0] <= 4 or "uint8" not in str(frame.dtype):
            raise ValueError(
                f"frames must be uint8 [1 to 4, H, W], got {frame.dtype} {list(frame.shape)}"
            )
        if size not in (None, frame.shape):
            raise ValueError(
                f"frames must have one shape, got {list(size or ())} and {list(frame.shape)}"
            )
        size = frame.shape
        yield with_channels(frame[None].cpu(), 3)[0]
    if size is None:
        raise LatentError("A video must have at least one frame, got none.")


def _require(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise LatentError(
            f"Writing this video needs {package}, which can't be imported ({error}): install it "
            f"with pip install {package}, or write a .gif, which needs Pillow alone."
            if package == "av"
            else f"Writing a GIF needs {package}, which can't be imported ({error}): install it "
            f"with pip install {package}."
        ) from error
