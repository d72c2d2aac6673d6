"""A source – a name of the paper, a generator, an image file – → integer phase labels."""

import dataclasses
import hashlib
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from davegan_tf import registry
from davegan_tf.ellipse_cache import cached_ellipses
from davegan_tf.errors import InputError
from davegan_tf.image_files import READABLE, read_image
from davegan_tf.registry import NAMED
from davegan_tf.segmentation import segment
from davegan_tf.spelling import nearest
from davegan_tf.synthetic import GENERATORS

__all__ = ["NAMED", "Micrograph", "load_micrograph"]


@dataclass(frozen=True)
class Micrograph:
    """What a model is trained on.

    images : (n, height, width) uint8, phase labels 0 … n_phases − 1; n = 1 but for `ellipses`
    n_phases : int, 2 … 8
    name : name of the paper or the generator, or stem of the file
    origin : where it came from, one phrase
    digest : SHA-256 of shape and bytes of all images, held out or not, hexadecimal
    segmentation : how the labels came about, with the volume fractions, one phrase
    fallback_for : name of the micrograph that could not be had and that this one stands in for
    held_out : (m, h, width) uint8, the part kept out of `images` and so out of training; None: nothing
    parameters : (n, 5) float64, those of each of the `ellipses`, see `synthetic.draw_ellipses`; None: of others
    """

    images: np.ndarray
    n_phases: int
    name: str
    origin: str
    digest: str
    segmentation: str
    fallback_for: str | None = None
    held_out: np.ndarray | None = None
    parameters: np.ndarray | None = None

    @property
    def title(self) -> str:
        """Name for titles and messages; a stand-in is never named without what it stands in for."""
        stand_in = f" (built-in generator, in place of {self.fallback_for})"
        return self.name + (stand_in if self.fallback_for else "")


def load_from_config(config) -> Micrograph:
    """What a config trains on, and what it keeps out of training.

    Parameters
    ----------
    config : davegan_tf.config.Config

    Returns
    -------
    Micrograph

    Raises
    ------
    InputError
        As :func:`load_micrograph` and :func:`hold_out` do.
    """
    data = config.data
    micrograph = load_micrograph(
        data.source,
        threshold=data.threshold,
        phases=data.phases,
        offline_fallback=data.offline_fallback,
        micrograph_size=data.micrograph_size,
        count=data.count,
        generator_seed=data.generator_seed,
        min_side=data.image_size,
    )
    return hold_out(micrograph, data.holdout, data.image_size) if data.holdout else micrograph


def hold_out(micrograph: Micrograph, share: float, side: int) -> Micrograph:
    """Keep a share of the material out of training: the bottom rows, of several images the last.

    Parameters
    ----------
    micrograph : Micrograph
    share : float in (0, 1)
        Of the rows or images, rounded.
    side : int
        Of the model's images in pixels: both parts must hold at least one.

    Returns
    -------
    Micrograph
        ``images`` is what is left for training, ``held_out`` the rest.

    Raises
    ------
    InputError
        If a part would be smaller than an image.
    """
    images = micrograph.images
    axis, least = (0, 1) if len(images) > 1 else (1, side)
    extent = images.shape[axis]
    held = round(share * extent)
    if min(held, extent - held) < least:
        what = f"{extent} images" if axis == 0 else f"{extent} rows of pixels"
        low, high = math.ceil(100 * least / extent), math.floor(100 * (1 - least / extent))
        advice = (
            f"choose a share between {low / 100:.2f} and {high / 100:.2f}, or no holdout"
            if low <= high
            else "there are too few for any share; leave data.holdout out"
        )
        raise InputError(
            f"data.holdout: {share} of {what} leaves {extent - held} for training and {held} out of it, and each part "
            f"must have at least {least}; {advice}."
        )
    kept, held_out = np.split(images, [extent - held], axis=axis)
    parameters = micrograph.parameters
    if parameters is not None:
        parameters = parameters[: len(kept)]
    return dataclasses.replace(micrograph, images=kept, held_out=held_out, parameters=parameters)


def load_micrograph(
    source: str | os.PathLike,
    *,
    threshold: str | float | None = None,
    phases: int | None = None,
    offline_fallback: str | None = None,
    micrograph_size: int = 256,
    count: int = 60000,
    generator_seed: int = 0,
    min_side: int = 64,
) -> Micrograph:
    """Load, or generate, a micrograph as phase labels.

    Parameters
    ----------
    source : str or path
        A name in `NAMED` (looked for on this computer, then downloaded), a generator in
        `GENERATORS`, or the path of a PNG, TIFF, BMP, JPEG or NPY file.
    threshold : "otsu", float or None
    phases : int, 2 … 8, or None
        The segmentation, see `davegan_tf.segmentation.segment`.
    offline_fallback : str or None
        Generator that stands in for a named micrograph that cannot be had.
    micrograph_size : int
        Side of a generated micrograph in pixels (`ellipses` are always 32 × 32).
    count : int
        Number of images of `ellipses`.
    generator_seed : int
    min_side : int
        Smallest height and width accepted of a file, in pixels.

    Returns
    -------
    Micrograph

    Raises
    ------
    InputError
        If there is no such source, the file cannot be used or its segmentation must be stated.
    """
    # Checked at once, not on the day when the network is down.
    if offline_fallback is not None and offline_fallback not in GENERATORS:
        raise InputError(
            f'data.offline_fallback: there is no generator "{offline_fallback}"'
            f"{_suggestion(offline_fallback, list(GENERATORS))}; generators are "
            f"{', '.join(GENERATORS)}."
        )
    source, fallback_for = os.fspath(source).strip(), None
    if source in GENERATORS:
        found = _from_generator(source, micrograph_size, count, generator_seed)
    elif source in NAMED:
        try:
            path, origin = _obtain(source)
        except registry.NotObtainable:
            if offline_fallback is None:
                raise
            fallback_for = source
            found = _from_generator(offline_fallback, micrograph_size, count, generator_seed)
        else:
            found = _from_file(path, source, origin, min_side)
    else:
        path, origin = _user_file(source)
        found = _from_file(path, path.stem, origin, min_side)
    # A stand-in is not what the stated segmentation was meant for.
    stated = {} if fallback_for else {"threshold": threshold, "phases": phases}
    labels, n_phases, phrase = segment(found.values, lossy=found.lossy, where=found.where, **stated)
    return Micrograph(
        images=labels,
        n_phases=n_phases,
        name=found.name,
        origin=found.origin,
        digest=_digest(labels),
        segmentation="; ".join([*found.notes, phrase]),
        fallback_for=fallback_for,
        parameters=found.parameters,
    )


class _Found(NamedTuple):
    """Values that are not phases yet, (n, height, width), and what is known of them."""

    values: np.ndarray
    name: str
    origin: str
    where: str  # for messages
    lossy: bool = False
    notes: tuple[str, ...] = ()
    parameters: np.ndarray | None = None


def _from_generator(name: str, size: int, count: int, seed: int) -> _Found:
    where = f"the generated {name}"
    if name == "ellipses":
        values, parameters = cached_ellipses(count, seed)
        origin = f"generated: {count} ellipses of 32 × 32 pixels, seed {seed}"
        return _Found(values, name, origin, where, parameters=parameters)
    # A checkerboard has nothing random.
    seeds = () if name == "checkerboard" else (seed,)
    image = GENERATORS[name](size, *seeds)
    origin = ", ".join(
        [f"generated: {name}", f"{size} × {size} pixels", *(f"seed {each}" for each in seeds)]
    )
    return _Found(image[np.newaxis], name, origin, where)


def _from_file(path: Path, name: str, origin: str, min_side: int) -> _Found:
    image = read_image(path)
    height, width = image.values.shape
    if min(height, width) < min_side:
        raise InputError(
            f"{path} is too small: {height} × {width} pixels (height × width), and at least "
            f"{min_side} × {min_side} are needed; give a larger image or a smaller "
            "data.image_size."
        )
    return _Found(image.values[np.newaxis], name, origin, str(path), image.lossy, image.notes)


def _obtain(name: str) -> tuple[Path, str]:
    """File of a named micrograph and where it came from."""
    path = registry.find_local(name)
    if path is not None:
        return path, f"file {path}"
    path = registry.download(name)
    return path, f"file {path}, downloaded from {registry.UPSTREAM}{path.name}"


def _user_file(source: str) -> tuple[Path, str]:
    path = Path(os.path.expanduser(source))  # unlike Path's, it leaves ~ of no user as it is
    if source and (path.exists() or path.is_symlink()):
        return path, f"file {path}"
    raise InputError(
        f'data.source: there is no file "{source}" and no micrograph of that name'
        f"{_suggestion(source, [*NAMED, *GENERATORS])}; give the path of a {READABLE} file, a name "
        f"({', '.join(NAMED)}) or a generator ({', '.join(GENERATORS)})."
    )


def _suggestion(given: str, names: list[str]) -> str:
    likely = nearest(given.lower(), names)
    return f' (did you mean "{likely}"?)' if likely else ""


def _digest(images: np.ndarray) -> str:
    digest = hashlib.sha256(str(images.shape).encode())
    digest.update(np.ascontiguousarray(images).tobytes())
    return digest.hexdigest()
