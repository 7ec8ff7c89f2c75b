"""Folders whose images have a partner each: half of a file, or a file of the same name."""

from __future__ import annotations

import hashlib
import unicodedata
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, ClassVar

from torch import Tensor

from fastgan.data.dataset import DataError
from fastgan.data.decode import (
    DEFAULT,
    Header,
    decode_halves,
    decode_map,
    fit_map,
    image_header,
    map_header,
    unreadable_reason,
)
from fastgan.data.discovery import PictureKinds
from fastgan.data.folder import CACHE_LIMIT, FolderDataset
from fastgan.data.inputs import InputSpec
from fastgan.data.labels import Labels
from fastgan.data.map_classes import check_map, class_note
from fastgan.data.reading import Reading

MAX_CLASSES = 256
"""Largest number of classes of a map."""
SCANNED = 500
"""Number of maps that are searched for classes in a set too large to keep."""


class TaskFolder(FolderDataset):
    """``FolderDataset`` whose images have an input each, and no class labels.

    Args:
        root: the folder.
        resolution: as for ``FolderDataset``.
        channels: as for ``FolderDataset``.
        cache_limit: as for ``FolderDataset``.
        reading: as for ``FolderDataset``.
        held_out: folder of the same layout with held-out images, if there is one.
        like: inputs of the training set if this is its held-out set, which decide the names here.

    Raises:
        DataError: as ``FolderDataset``. The folder isn't laid out for the task. An image or input
            has no partner of the same size. A class, attribute or word is unknown.
    """

    def __init__(
        self,
        root: Path,
        *,
        resolution: int | None = None,
        channels: int | None = None,
        cache_limit: int = CACHE_LIMIT,
        reading: Reading = DEFAULT,
        held_out: Path | None = None,
        like: Mapping[str, InputSpec] | None = None,
    ) -> None:
        self._held_out, self._like, self._cache_limit = held_out, like, cache_limit
        super().__init__(
            root, resolution=resolution, channels=channels, cache_limit=cache_limit, reading=reading
        )
        self.inputs = self._specs()
        self.fingerprint = hashlib.sha256(
            f"{self.fingerprint} {dict(self.inputs)}".encode()
        ).hexdigest()

    def held_out(self) -> TaskFolder | None:
        if self._held_out is None:
            return None
        return type(self)(
            self._held_out,
            resolution=self.resolution,
            channels=self.channels,
            cache_limit=self._cache_limit,
            reading=replace(self._reading, levels=self.levels, input_levels=self._levels[-1]),
            like=self.inputs,
        )

    @abstractmethod
    def _specs(self) -> Mapping[str, InputSpec]:
        """Return the descriptions of the inputs, once the images are known."""

    def _classes(self) -> Labels:
        return Labels.none(len(self._names))


class SideBySideFolder(TaskFolder):
    """Pairs in one file, the layout of pix2pix: left half the input, right half the target."""

    def _specs(self) -> Mapping[str, InputSpec]:
        return {"input": InputSpec("image", channels=self.channels, levels=self.levels)}

    def _read_header(self, name: str) -> Header:
        header = super()._read_header(name)
        width, height = header[:2]
        if width != 2 * height:
            raise DataError(
                f"The pair {str(self._root / name)!r} must be input and target side by side, twice "
                f"as wide as high, got {width}x{height}: correct it, or put the two into the "
                f"folders inputs/ and images/."
            )
        return header._replace(width=height)

    def _shapes(self) -> tuple[tuple[int, ...], ...]:
        return super()._shapes() * 2

    def _decode(self, name: str, sources: Sequence[Path | BinaryIO]) -> tuple[Tensor, ...]:
        left, right = decode_halves(
            sources[0], self.resolution, self.channels, reading=self._reading, levels=self.levels
        )
        return right, left

    def _inputs_of(self, parts: Sequence[Tensor], indices: Tensor) -> dict[str, Tensor]:
        return {"input": parts[0]}


class PartnerFolder(TaskFolder):
    """``images/`` and a second folder with a partner for each image, of the same size and name.

    The ending of the name may differ.
    """

    second: ClassVar[str]
    """Name of the second folder."""
    noun: ClassVar[str]
    """Noun for a partner."""

    def _find(self) -> list[str]:
        for folder in ("images", self.second):
            if not (self._root / folder).is_dir():
                raise DataError(
                    f"The folder {str(self._root)!r} must have the folders images/ and "
                    f"{self.second}/, with a {self.noun} for each image under the same name: "
                    f"add {folder}/."
                )
        images, partners = self._by_stem("images"), self._by_stem(self.second)
        for here, there, folder, noun in (
            (images, partners, self.second, self.noun),
            (partners, images, "images", "image"),
        ):
            for stem in here:
                if stem not in there:
                    near = next((there[s] for s in there if s.casefold() == stem.casefold()), None)
                    differs = f" (only the case differs from {near!r})" if near else ""
                    raise DataError(
                        f"{str(self._root / here[stem])!r} has no {noun}{differs}: add "
                        f"{folder}/{stem} with the ending of any picture, or remove the file."
                    )
        if not images:
            raise DataError(
                f"The folder {str(self._root / 'images')!r} holds no images: put some there."
            )
        self._partner = {name: partners[stem] for stem, name in images.items()}
        return list(self._partner)

    def _by_stem(self, folder: str) -> dict[str, str]:
        paths: dict[str, str] = {}
        kinds = PictureKinds()
        for name in self._search(folder).pictures:
            stem, path = unicodedata.normalize("NFC", kinds.stem(name)), f"{folder}/{name}"
            if stem in paths:
                same = stem == kinds.stem(name) == kinds.stem(paths[stem].split("/", 1)[1])
                difference = "but for the ending" if same else "in two Unicode forms"
                raise DataError(
                    f"{str(self._root / path)!r} and {paths[stem]!r} have the same name "
                    f"{difference}, so the partner is ambiguous: rename one."
                )
            paths[stem] = path
        return paths

    def _files(self, name: str) -> tuple[Path, ...]:
        return self._root / name, self._root / self._partner[name]

    @contextmanager
    def _reading_partner(self, name: str) -> Iterator[None]:
        """Name the partner, not the image, in errors of decoders inside the block."""
        try:
            yield
        except DataError:
            raise
        # Decoders raise nearly anything on broken files.
        except Exception as error:
            raise ValueError(f"{self._partner[name]}: {unreadable_reason(error)}") from error

    def _check_size(self, name: str, size: tuple[int, int], partner: tuple[int, int]) -> None:
        if size != partner:
            raise DataError(
                f"{str(self._root / self._partner[name])!r} must have the size of its image "
                f"{name!r}, {size[0]}x{size[1]}, got {partner[0]}x{partner[1]}: "
                f"resize one of them."
            )


class InputFolder(PartnerFolder):
    """Pairs in two files each: ``inputs/`` and the targets in ``images/``."""

    second, noun = "inputs", "input"
    _places = (" of images/", " of inputs/")

    def _specs(self) -> Mapping[str, InputSpec]:
        return {"input": InputSpec("image", channels=self.channels, levels=self._levels[1])}

    def _read_header(self, name: str) -> Header:
        path, partner_path = self._files(name)
        image = image_header(path)
        with self._reading_partner(name):
            partner = image_header(partner_path)
        self._check_size(name, image[:2], partner[:2])
        return image._replace(grey=image.grey and partner.grey, kinds=image.kinds + partner.kinds)

    def _shapes(self) -> tuple[tuple[int, ...], ...]:
        return super()._shapes() * 2

    def _decode(self, name: str, sources: Sequence[Path | BinaryIO]) -> tuple[Tensor, ...]:
        (image,) = super()._decode(name, sources)
        with self._reading_partner(name):
            return image, self._picture(sources[1], part=1)

    def _inputs_of(self, parts: Sequence[Tensor], indices: Tensor) -> dict[str, Tensor]:
        return {"input": parts[0]}


class MapFolder(PartnerFolder):
    """Images in ``images/`` and their maps in ``maps/``, whose pixels are indices of classes.

    Maps are grey files, or files with a palette. The lines of ``classes.txt`` name the classes.
    Without it they are numbers, up to the largest in any map. Pixels of the value ``reading.void``
    have no class.
    """

    second, noun = "maps", "map"

    def _find(self) -> list[str]:
        if self._reading.fit == "pad" and self._reading.void is None:
            raise DataError(
                "`fit` pad needs `void`, the value of pixels without a class, which maps are "
                "padded with: give it, such as `void` 255, or another `fit`."
            )
        self._known = self._like["map"].names if self._like else self._listed_classes()
        self._occurring: set[int] = set()
        return super()._find()

    def _listed_classes(self) -> tuple[str, ...]:
        """Return the names in ``classes.txt``, none without such a file."""
        folders = [self._root, self._root.parent] if self._root.name == "train" else [self._root]
        for path in (folder / "classes.txt" for folder in folders):
            if path.is_file():
                names = tuple(
                    unicodedata.normalize("NFC", line.strip())
                    for line in read_list(path).rstrip().split("\n")
                )
                if (
                    not 0 < len(names) <= MAX_CLASSES
                    or not all(names)
                    or len(set(names)) < len(names)
                ):
                    raise DataError(
                        f"{str(path)!r} must have 1 to {MAX_CLASSES} names of classes, one a line, "
                        f"none empty or twice, got {len(names)} lines, {len(set(names))} of them "
                        f"different: correct it."
                    )
                return names
        return ()

    def _specs(self) -> Mapping[str, InputSpec]:
        examined = self._examined()
        void = self._reading.void
        if void is not None:
            if self._occurring == {void}:
                raise DataError(
                    f"No pixel of {examined} in {str(self._root)!r} has a class, since all have "
                    f"the value of `void`, {void}: give the value of unknown pixels, or correct "
                    f"the maps."
                )
            self._occurring.discard(void)
        names = self._known or tuple(
            str(index) for index in range(1 + max(self._occurring, default=0))
        )
        if not self._like:
            self._notes.append(
                class_note(names, self._occurring, examined, named=bool(self._known))
            )
        return {"map": InputSpec("map", names=names, void=void)}

    def _examined(self) -> str:
        """Fill ``_occurring`` with the values that occur; return a phrase for the maps read."""
        # Every map of a set in memory has been decoded.
        if self._cache is not None:
            return "the maps"
        names = self._names
        if self._known and len(names) > SCANNED:
            names = [names[i * len(names) // SCANNED] for i in range(SCANNED)]
        for _, indices in self._try_each(
            lambda name: self._indices(self._files(name)[1], name), names
        ):
            self._occurring.update(indices.unique().tolist())
        return "the maps" if len(names) == len(self._names) else f"{len(names)} of the maps"

    def _read_header(self, name: str) -> Header:
        path, partner = self._files(name)
        image = image_header(path)
        with self._reading_partner(name):
            size = map_header(partner)
        self._check_size(name, image[:2], size)
        return image

    def _shapes(self) -> tuple[tuple[int, ...], ...]:
        return *super()._shapes(), (self.resolution, self.resolution)

    def _decode(self, name: str, sources: Sequence[Path | BinaryIO]) -> tuple[Tensor, ...]:
        indices = self._indices(sources[1], name)
        (image,) = super()._decode(name, sources)
        self._occurring.update(indices.unique().tolist())
        void = self._reading.void
        return image, fit_map(indices, self.resolution, fit=self._reading.fit, void=void or 0)

    def _indices(self, source: Path | BinaryIO, name: str) -> Tensor:
        """Decode the map of an image and check its values."""
        with self._reading_partner(name):
            indices = decode_map(source)
        if self._known:
            path = str(self._root / self._partner[name])
            check_map(indices, path, classes=len(self._known), void=self._reading.void)
        return indices

    def _inputs_of(self, parts: Sequence[Tensor], indices: Tensor) -> dict[str, Tensor]:
        return {"map": parts[0]}


def read_list(path: Path) -> str:
    """Read a list that lies beside images.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: the file can't be read as UTF-8.
    """
    try:
        # Spreadsheets write a byte order mark, which utf-8-sig drops.
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"The list {str(path)!r} can't be read as text in UTF-8 ({error}): save it as such."
        ) from error
