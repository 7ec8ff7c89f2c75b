"""`Trained`: the networks of one recipe, and everything that can be done with them."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import torch
from torch import Tensor, nn

from fastgan.data import ImageDataset, Reading
from fastgan.data.captions import encode_caption
from fastgan.data.labels import class_number
from fastgan.data.levels import Levels
from fastgan.data.reading import Fit, levels_of
from fastgan.evaluation.measures import data_metrics, evaluate
from fastgan.export import Form, Source, Written, form_of, write
from fastgan.inference.capabilities import CAPABILITIES, capabilities_of
from fastgan.inference.drawing import BATCH_SIZE, RecipeDrawing
from fastgan.inference.errors import InferenceError
from fastgan.inference.pictures import read_square
from fastgan.inference.samples import sample_images, unseen
from fastgan.inference.translation import TILE, Translator, make_translator
from fastgan.inference.walks import Drawing
from fastgan.latent import Projection, project
from fastgan.metrics.feature_networks import FeaturesName
from fastgan.metrics.figures import OF_TARGETS, Metric
from fastgan.metrics.real import MAX_REAL
from fastgan.names import unknown
from fastgan.networks.stylegan2.generator import NoiseMode
from fastgan.recipes import ImageSpec, Networks, Recipe
from fastgan.recipes.signature import Signature
from fastgan.recipes.translation import Translation
from fastgan.seeds import derive_seed
from fastgan.training import RunResult, RunSettings
from fastgan.training.config import RunConfig

MAX_SEED = 2**32 - 1


class Trained:
    """Trained networks, in eval mode and without gradients.

    :func:`fastgan.load` and :func:`fastgan.train` make one. Arguments that a recipe doesn't take
    are refused; :meth:`can` tells which it takes.

    Attributes:
        recipe: the recipe with its settings.
        networks: networks by name, moving averages where the recipe keeps them.
        origin: recipe, images shown and file, for a person.
        config: configuration of the run; None for networks from another file.
        result: figures and folder of the run; None unless :func:`fastgan.train` made this object.
    """

    def __init__(
        self,
        recipe: Recipe,
        networks: Networks,
        *,
        image_spec: ImageSpec | None,
        origin: str,
        signatures: Mapping[str, Signature],
        averaged: Sequence[str] = (),
        config: RunConfig | None = None,
        result: RunResult | None = None,
        about: Mapping[str, Any] | None = None,
        more: Mapping[str, Callable[[], tuple[nn.Module, Signature]]] | None = None,
        title: Callable[[str, nn.Module], str] | None = None,
        owner: str | None = None,
    ) -> None:
        self.recipe = recipe
        self.networks: Networks = _Networks(
            {name: network.eval().requires_grad_(False) for name, network in networks.items()},
            origin,
        )
        self.origin = origin
        self.config = config
        self.result = result
        self._image_spec = image_spec
        self._signatures = dict(signatures)
        self._averaged = frozenset(averaged)
        self._about = about
        self._more = dict(more or {})
        self._title = title
        self._owner = owner or f"Recipe {recipe.name!r}"

    def __repr__(self) -> str:
        return f"<fastgan.Trained: {self.origin}>"

    # -- what it is ---------------------------------------------------------------------------

    @property
    def image_spec(self) -> ImageSpec:
        """Shape, classes and inputs of the images that the networks were trained on.

        Raises:
            InferenceError: the images aren't square.
        """
        if self._image_spec is None:
            raise InferenceError(
                f"Only square images have an ImageSpec, but {self.origin} makes others: "
                f"see generator.synthesis.image_size."
            )
        return self._image_spec

    @property
    def _settings(self) -> RunSettings:
        """Settings of the run, or usual ones for networks without a run."""
        return RunSettings.of(self.recipe) if self.config is None else self.config.settings

    @property
    def _size(self) -> str:
        """Channels, height and width of an image, for a person."""
        if self._image_spec is not None:
            return "×".join(map(str, self._image_spec.shape))
        return "×".join(map(str, (self.generator.channels, *self.generator.synthesis.image_size)))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of their numbers; empty if they have none."""
        return () if self._image_spec is None else self._image_spec.class_names

    @property
    def measures(self) -> dict[str, float]:
        """Figures that the run ended with; empty unless :func:`fastgan.train` made this object."""
        return {} if self.result is None else dict(self.result.measures)

    @property
    def device(self) -> torch.device:
        """The device of the networks."""
        return next(p.device for network in self.networks.values() for p in network.parameters())

    @property
    def generator(self) -> Any:
        """The generator; of several, the one of the first direction.

        Raises:
            InferenceError: the file holds none.
        """
        name = next((n for n in self.networks if n.startswith("G")), "G")
        return self.networks[name]

    @property
    def discriminator(self) -> Any:
        """The discriminator; of several, the first one.

        Raises:
            InferenceError: the file holds none.
        """
        for names in (self.networks, self._more):
            for name in names:
                if name.startswith("D"):
                    return self._network(name)
        raise InferenceError(
            f"There is no discriminator in {self.origin}: load the run that it is of."
        )

    def can(self, capability: str) -> bool:
        """Tell whether the networks can be used in one way of :data:`fastgan.CAPABILITIES`.

        Raises:
            InferenceError: there is no such capability.
        """
        if capability not in CAPABILITIES:
            raise InferenceError(_unknown_capability(capability))
        return capability in self._capabilities

    @property
    def _capabilities(self) -> frozenset[str]:
        return capabilities_of(self.recipe, self.networks, self._image_spec)

    def to(self, device: torch.device | str) -> Trained:
        """Move all networks to a device, and return this object."""
        for network in self.networks.values():
            network.to(device)
        return self

    # -- samples ------------------------------------------------------------------------------

    def sample(
        self,
        n: int = 1,
        *,
        seed: int = 0,
        seeds: Sequence[int] | None = None,
        label: str | int | None = None,
        caption: str | None = None,
        truncation: float | None = None,
        truncation_cutoff: int | None = None,
        noise: NoiseMode | None = None,
        data: str | Path | ImageDataset | None = None,
        batch_size: int | None = None,
    ) -> Tensor:
        """Draw images; the same seed draws the same ones, and those of ``fastgan sample``.

        Args:
            n: number of images.
            seed: seed of the noise. A StyleGAN2 draws from the seeds ``seed`` to ``seed + n - 1``.
            seeds: one image for each of these seeds, in place of ``n`` and ``seed``; an image
                depends on its own seed alone.
            label: class of all images, by name or index; None draws one for each.
            caption: words that all images show, for ``text2image``.
            truncation: factor that draws styles towards their mean (Karras et al. 2019, section
                B): 1 leaves them, 0 gives the average image.
            truncation_cutoff: truncate only this number of styles, counted from the first.
            noise: noise of a StyleGAN2: "const" (the default), "random" (of the seed) or "none".
            data: folder or data set whose images are translated, for recipes that translate.
            batch_size: images per call of the network, which changes rounding alone. None draws
                images of a StyleGAN2 one by one, others 256 at a time.

        Returns:
            float32 ``[n, C, H, W]`` in [-1, 1] on the networks' device.

        Raises:
            InferenceError: an argument is out of range, or one that this recipe doesn't take.
            DataError: an unknown class or word, or data that can't be opened.
        """
        _check_numbers(n=(n, 1), seed=(seed, 0), batch_size=(batch_size, 1))
        for name in seeds or ():
            _check_numbers(seeds=(name, 0))
        self._refuse(label=label, caption=caption, truncation=truncation, noise=noise)
        if truncation_cutoff is not None and truncation is None:
            raise InferenceError("truncation_cutoff needs truncation: give both.")
        if self.can("truncate"):
            if data is not None:
                raise InferenceError(f"{self.recipe.name} draws from noise: leave data out.")
            drawing = self.drawing(
                label=label,
                truncation=1.0 if truncation is None else truncation,
                truncation_cutoff=truncation_cutoff,
                noise=noise or "const",
            )
            chosen = range(seed, seed + n) if seeds is None else seeds
            images = drawing.images(list(chosen), batch_size=batch_size or 1)
        elif isinstance(self.recipe, Translation) and caption is None:
            images = self._translated(n, seed, seeds, data, batch_size)
        else:
            if data is not None:
                raise InferenceError(f"{self.recipe.name} draws from noise: leave data out.")
            drawn = self._recipe_drawing(label, caption)
            images = (
                drawn.drawn_from(
                    derive_seed(seed, "sample"), n, batch_size=batch_size or BATCH_SIZE
                )
                if seeds is None
                else drawn.images(seeds)
            )
        return images.float().clamp_(-1, 1)

    def drawing(
        self,
        *,
        label: str | int | None = None,
        truncation: float = 1.0,
        truncation_cutoff: int | None = None,
        noise: NoiseMode = "const",
    ) -> Drawing:
        """Return the drawing of a style-based generator, for walks, mixes and directions.

        The functions of :mod:`fastgan.inference` take it. The arguments are those of
        :meth:`sample`.

        Raises:
            InferenceError: the generator has no styles, or an argument is out of range.
        """
        if not self.can("interpolate"):
            raise InferenceError(
                f"Only a StyleGAN2 has styles to walk through, but this is {self.origin}."
            )
        G = self.generator
        if truncation_cutoff is not None and not 0 <= truncation_cutoff <= G.num_ws:
            raise InferenceError(
                f"truncation_cutoff must be from 0 to {G.num_ws}, the styles of this network, "
                f"got {truncation_cutoff}."
            )
        return Drawing(
            G,
            truncation_psi=truncation,
            truncation_cutoff=truncation_cutoff,
            noise=noise,
            label=self._class_number(label),
        )

    def _recipe_drawing(self, label: str | int | None, caption: str | None) -> RecipeDrawing:
        words = None
        if caption is not None:
            words = encode_caption(caption, self.image_spec.inputs["caption"])[None]
            words = words.to(self.device)
        return RecipeDrawing(
            self.recipe, self.networks, label=self._class_number(label), caption=words
        )

    def _translated(
        self,
        n: int,
        seed: int,
        seeds: Sequence[int] | None,
        data: str | Path | ImageDataset | None,
        batch_size: int | None,
    ) -> Tensor:
        """Translate the first rows of a data set."""
        if seeds is not None:
            raise InferenceError(f"{self.recipe.name} draws rows of data: leave seeds out.")
        if data is None:
            source, other = (
                ("captions", "give caption, words to draw")
                if self.can("caption")
                else ("images", "translate a picture with translate()")
            )
            raise InferenceError(
                f"{self.recipe.name} makes images of {source}, not of noise: {other}, or name a "
                f"folder of them in data."
            )
        return sample_images(
            self.recipe,
            self.networks,
            n,
            seed=derive_seed(seed, "sample"),
            chunk=batch_size or BATCH_SIZE,
            dataset=self.open_data(data),
        ).to(self.device)

    def _class_number(self, label: str | int | None) -> int | None:
        if label is None:
            return None
        count = int(getattr(self.generator, "c_dim", 0))
        if not isinstance(label, str):
            if isinstance(label, bool) or not 0 <= int(label) < count:
                raise InferenceError(
                    f"label must be a name or a number from 0 to {count - 1}, got {label!r}."
                )
            return int(label)
        return class_number(label, self.class_names, count)

    def _refuse(self, **arguments: Any) -> None:
        """Raise InferenceError for an argument that this recipe doesn't take."""
        needed = {"truncation": "truncate"}
        for name, value in arguments.items():
            if value is not None and not self.can(needed.get(name, name)):
                reason = "was trained without classes" if name == "label" else f"takes no {name}"
                raise InferenceError(f"{self.recipe.name} {reason}: leave {name} out.")

    # -- translation --------------------------------------------------------------------------

    @overload
    def translate(
        self,
        picture: Tensor,
        *,
        direction: str | None = ...,
        attributes: Sequence[str] = ...,
        mask: Any = ...,
        seed: int = ...,
        tile: int = ...,
    ) -> Tensor: ...

    @overload
    def translate(
        self,
        picture: np.ndarray[Any, Any],
        *,
        direction: str | None = ...,
        attributes: Sequence[str] = ...,
        mask: Any = ...,
        seed: int = ...,
        tile: int = ...,
    ) -> np.ndarray[Any, Any]: ...

    @overload
    def translate(
        self,
        picture: Any,
        *,
        direction: str | None = ...,
        attributes: Sequence[str] = ...,
        mask: Any = ...,
        seed: int = ...,
        tile: int = ...,
    ) -> Any: ...

    def translate(
        self,
        picture: Any,
        *,
        direction: str | None = None,
        attributes: Sequence[str] = (),
        mask: Any = None,
        seed: int = 0,
        tile: int = TILE,
    ) -> Any:
        """Translate a picture of any size, and return the same kind of object.

        Args:
            picture: one of

                - a path, which gives a Pillow image;
                - a Pillow image, which gives another;
                - a uint8 array ``[H, W]`` or ``[H, W, 3]``, with alpha ``[H, W, 4]``;
                - a tensor ``[C, H, W]`` or ``[N, C, H, W]``, float in [-1, 1] or uint8.

                A map of classes (``gaugan``) is a grey or palette image, a uint8 array ``[H, W]``,
                or an integer tensor ``[H, W]`` or ``[N, H, W]``, which gives float images.
            direction: "AtoB" (the default) or "BtoA", for recipes with two.
            attributes: attributes to give the picture, such as "striped" or "not striped".
            mask: nonzero ``[H, W]`` where ``inpaint`` fills; None takes what isn't opaque.
            seed: seed of random parts of a translation.
            tile: side in pixels of the overlapping tiles for a larger picture.

        Returns:
            The translation, ``scale_factor`` times as high and wide; transparency stays.

        Raises:
            InferenceError: the recipe draws from noise, or an argument doesn't fit the recipe.
            DataError: a map of classes can't be read.
            TypeError: the picture is of another type or dtype.
        """
        levels: Levels = ()
        if isinstance(picture, (str, Path)) and Path(picture).is_file():
            levels = self.levels_of([Path(picture)], direction=direction)[0]
        translator = self.translator(
            direction=direction, attributes=attributes, seed=seed, tile=tile, levels=levels
        )
        return translator.translate(picture, mask)

    def translator(
        self,
        *,
        direction: str | None = None,
        attributes: Sequence[str] = (),
        seed: int = 0,
        tile: int = TILE,
        levels: Levels = (),
    ) -> Translator:
        """Return a translator for many pictures, with the arguments of :meth:`translate`.

        Args:
            levels: values that become black and white in files of more than 8 bits, as
                :meth:`levels_of` finds them.

        Raises:
            InferenceError: the recipe draws from noise, or an argument doesn't fit the recipe.
        """
        if not isinstance(self.recipe, Translation) or not self.can("translate"):
            raise InferenceError(
                f"{self.recipe.name} translates no pictures: draw images with sample()."
            )
        _check_numbers(tile=(tile, 16), seed=(seed, 0))
        if isinstance(attributes, str):
            attributes = (attributes,)
        return make_translator(
            self.recipe,
            self.networks,
            self.image_spec.inputs,
            self.image_spec.channels,
            direction=direction,
            attributes=attributes,
            levels=levels,
            seed=seed,
            tile=tile,
        )

    def levels_of(
        self, paths: Sequence[Path], *, direction: str | None = None, range: str | None = None
    ) -> tuple[Levels, list[str]]:
        """Return the levels for files of more than 8 bits to translate, and lines about them.

        Args:
            range: ``LOW:HIGH`` or "auto"; None takes the levels of the run.

        Raises:
            DataError: ``range`` is neither.
        """
        translator = self.translator(direction=direction)
        if translator.spec.kind != "image":
            return (), []
        reading = self.reading(range=range)
        return levels_of(paths, reading, part=int(translator.name in self.image_spec.inputs))

    # -- projection ---------------------------------------------------------------------------

    def project(
        self,
        picture: str | Path | Tensor,
        *,
        steps: int = 1000,
        space: Literal["w", "w+"] = "w",
        seed: int = 0,
        fit: Fit | None = None,
        range: str | None = None,
        **options: Any,
    ) -> Projection:
        """Find the styles and the noise with which a StyleGAN2 makes a picture.

        Args:
            picture: a file, or a tensor ``[1, C, H, W]`` in [-1, 1] of the network's size.
            steps, space: as in :func:`fastgan.latent.project`, which takes ``options`` too.
            seed: seed of the search.
            fit, range: as in :meth:`reading`.

        Raises:
            InferenceError: the generator has no styles, or the file can't be read.
        """
        if not self.can("project"):
            raise InferenceError(f"Only a StyleGAN2 has styles to find, but this is {self.origin}.")
        if not isinstance(picture, Tensor):
            picture = self.read_target(picture, fit=fit, range=range)[0]
        found: Projection = project(
            self.generator,
            picture.to(self.device),
            space=space,
            steps=steps,
            generator=torch.Generator().manual_seed(seed),
            **options,
        )
        return found

    def read_target(
        self, path: str | Path, *, fit: Fit | None = None, range: str | None = None
    ) -> tuple[Tensor, list[str]]:
        """Read a file to project, and lines about its values.

        Args:
            fit, range: as in :meth:`reading`.

        Returns:
            float32 ``[1, C, H, W]`` in [-1, 1], and the lines.

        Raises:
            InferenceError: the file can't be read, or the network's images can't be files.
            DataError: Pillow is missing, or an argument is wrong.
        """
        spec = self._image_spec
        if spec is None or spec.channels not in (1, 3):
            raise InferenceError(
                f"Files are read as square grey or colour images, but this network makes "
                f"{self._size}: use fastgan.latent.project from Python."
            )
        return read_square(path, spec, self.reading(fit=fit, range=range))

    def reading(self, *, fit: Fit | None = None, range: str | None = None) -> Reading:
        """Return settings for reading picture files as those of the run were read.

        Args:
            fit: how a picture becomes a square: "crop", "pad" or "stretch"; None takes the run's.
            range: ``LOW:HIGH``, the values that become black and white in files of more than 8
                bits, or "auto"; None takes the run's.

        Raises:
            DataError: an argument is none of these.
        """
        reading = self.image_spec.reading(self._settings.reading(self.recipe))
        if fit is not None:
            reading = replace(reading, fit=fit)
        if range is not None:
            reading = replace(reading, range=range, levels=(), input_levels=())
        return reading

    # -- figures ------------------------------------------------------------------------------

    def evaluate(
        self,
        metrics: Sequence[Metric] | None = None,
        *,
        data: str | Path | ImageDataset | None = None,
        samples: int | None = None,
        seed: int = 0,
        real: int | None = MAX_REAL,
        features: FeaturesName | None = None,
        weights: str | Path | None = None,
    ) -> dict[str, float]:
        """Measure generated images against real ones.

        Args:
            metrics: "fd", "kd", "score", "prdc", "ppl", "modes"; "fid", "kid", "is"; "l1", "psnr",
                "ssim", "perceptual" for recipes with targets. None takes :meth:`default_metrics`.
            data: folder, name of a data set, or data set of real images; None takes the run's own.
            samples: number of generated images; None takes 2,000, or 25,600 for the modes of
                Stacked MNIST.
            seed: seed of the samples.
            real: limit of real images, evenly spread over a larger set; None takes all.
            features: "mobilenet", "digits" or "inception"; None takes "mobilenet", or "inception"
                for fid, kid and is.
            weights: file of Inception's weights.

        Returns:
            Figures by name, such as ``fd_mobilenet_v2``; docs/measures.md explains them.

        Raises:
            MetricError: a metric can't be taken, or what it needs is missing.
            InferenceError: there is no data to compare with.
        """
        if isinstance(metrics, str):
            metrics = (metrics,)
        dataset = self.open_data(data)
        found = evaluate(
            self.recipe,
            self.networks,
            dataset,
            self.default_metrics(dataset) if metrics is None else metrics,
            features=features,
            weights=weights,
            samples=samples,
            seed=seed,
            real=real,
        )
        measures: dict[str, float] = found["measures"]
        return measures

    def default_metrics(self, dataset: ImageDataset) -> tuple[str, ...]:
        """Return fd, kd, prdc; modes if there is a classifier; metrics of targets if there are any."""
        of_targets = OF_TARGETS if self.recipe.paired else ()
        return ("fd", "kd", "prdc", *data_metrics(dataset), *of_targets)

    def open_data(
        self,
        data: str | Path | ImageDataset | None = None,
        *,
        fit: Fit | None = None,
        range: str | None = None,
    ) -> ImageDataset:
        """Open images to compare with or to translate: held-out ones where there are any.

        Warns if the run's own data has changed since.

        Args:
            data: folder, name of a data set, or data set; None takes the run's own.
            fit, range: as in :meth:`reading`.

        Raises:
            InferenceError: a network without a run has no data of its own.
            DataError: the data can't be opened.
        """
        if isinstance(data, ImageDataset):
            return unseen(self.recipe, data)
        if data is None and self.config is None:
            raise InferenceError(
                "A network without a run has no data of its own: name what to compare with in data."
            )
        spec = self._image_spec
        if spec is None or (spec.channels not in (1, 3) and self.config is None):
            raise InferenceError(
                f"Only square grey and colour images can be measured, but this network makes "
                f"{self._size}."
            )
        reading = {"fit": fit, "range": range}
        changed: dict[str, Any] = {name: x for name, x in reading.items() if x is not None}
        if data is not None:
            changed["data"] = str(data)
        settings = replace(self._settings, **changed)
        dataset = settings.open_data(self.recipe, spec)
        if (
            self.config is not None
            and not changed
            and dataset.fingerprint != self.config.data_fingerprint
        ):
            warnings.warn(
                f"{settings.data!r} no longer holds the images that this checkpoint was trained on.",
                stacklevel=2,
            )
        return unseen(self.recipe, dataset)

    # -- files --------------------------------------------------------------------------------

    def export(
        self,
        path: str | Path,
        *,
        network: str | None = None,
        to: Literal["safetensors", "torch-export", "aotinductor", "onnx"] | None = None,
        inputs: Literal["z", "w"] = "z",
        truncation: float | None = None,
        noise: NoiseMode | None = None,
        batch: int | None = None,
        portable: bool = False,
    ) -> Written:
        """Write a network to a file for other programs, and check that the file computes the same.

        Args:
            path: file to write; one that exists is replaced. Without ``to`` its ending decides:
                ``.safetensors``, ``.onnx``, or ``.pt2`` for torch.export.
            network: name as in docs/export.md, such as "G", "D" or "G_AB"; None is the generator.
            to: format.
            inputs, truncation, noise: see :func:`fastgan.export.form_of`.
            batch: images per call; None leaves their number open.
            portable: plain PyTorch in place of fastgan's ops.

        Raises:
            ExportError: there is no such network or format, or the file computes something else.
            OSError: the file can't be written.
        """
        source = self.source(network)
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
        name = chosen(name, names, self._owner)
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

    def _pair(self, name: str) -> tuple[nn.Module, Signature]:
        if name in self._more:
            network, signature = self._more[name]()
            self._more[name] = lambda: (network, signature)
            return network, signature
        signature = self._signatures[name]
        return self.networks[signature.network], signature

    def _network(self, name: str) -> nn.Module:
        return self.networks[name] if name in self.networks else self._pair(name)[0]


class _Networks(dict[str, nn.Module]):
    """Networks by name; one that is missing is an error that says what there is."""

    def __init__(self, networks: Networks, origin: str) -> None:
        super().__init__(networks)
        self._origin = origin

    def __missing__(self, name: str) -> nn.Module:
        held = ", ".join(self) or "none"
        raise InferenceError(
            f"This needs the network {name}, but {self._origin} holds {held}: load the run instead."
        )


def chosen(name: str | None, names: Sequence[str], owner: str) -> str:
    """Return the name if it is one of ``names``, the first of them for None.

    Raises:
        ExportError: it is none of them, or there are none.
    """
    from fastgan.export import ExportError

    if not names:
        raise ExportError(f"{owner} has no network that can be exported.")
    if name is None or name in names:
        return name or names[0]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ExportError(f"{owner} has no network {name!r}, only {', '.join(names)}.{hint}")


def _check_numbers(**numbers: tuple[int | None, int]) -> None:
    """Raise InferenceError for a number that is no whole one from its least value on."""
    for name, (value, least) in numbers.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_SEED:
            raise InferenceError(f"{name} must be a whole number from {least} on, got {value!r}.")


def _unknown_capability(name: str) -> str:
    return unknown("capability", name, CAPABILITIES).replace("capabilitys", "capabilities")
