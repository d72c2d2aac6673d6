"""A point of the latent space named on the command line: by a seed, an image or a tile of the training data.

Everything that can be wrong with it is found before TensorFlow is imported.
"""

import re
from typing import Any, NamedTuple

from cli.image_argument import check_not_replaced, load_image
from cli.options import SEED

_TILE = re.compile(r"tile:(\d+)")


class LatentPoint(NamedTuple):
    """What was asked for.

    name : for messages and pictures
    seed : of z ~ N(0, 1); None: the point is the mean of the posterior of an image
    labels : (side, side) uint8, that image's phase labels; None: the point is a seed's
    """

    name: str
    seed: int | None = None
    labels: Any = None

    def z(self, model, n_phases):
        """The latent vector: (latent_dim,) float32."""
        from davegan_tf.dataset import encode_phases
        from davegan_tf.latent import z_of_image, z_of_seed

        if self.labels is None:
            return z_of_seed(model, self.seed)
        return z_of_image(model, encode_phases(self.labels, n_phases))

    def same_as(self, other):
        """Whether both are one point."""
        if self.labels is None or other.labels is None:
            return self.seed == other.seed
        return bool((self.labels == other.labels).all())


def of_text(folder, text, threshold=None, phases=None):
    """A whole number is a seed, ``tile:N`` a tile, anything else an image (a file named 7 is written ./7)."""
    if text.isdecimal():
        return of_seed(int(text))
    if tile := _TILE.fullmatch(text):
        return of_tile(folder, int(tile[1]))
    return of_image(folder, text, threshold, phases)


def is_image(text):
    """Whether :func:`of_text` takes it for an image."""
    return not (text.isdecimal() or _TILE.fullmatch(text))


def of_seed(seed):
    """The first sample that ``generate`` makes with this seed, an int ≥ 0."""
    from davegan_tf.errors import InputError

    if seed > SEED.max:
        raise InputError(f"{seed}: is no seed; seeds are 0 to {SEED.max}.")
    return LatentPoint(f"seed {seed}", seed=seed)


def of_tile(folder, number):
    """A tile of the training data, numbered from 0 from the upper left, along rows.

    Parameters
    ----------
    folder : davegan_tf.run_folder.RunFolder
    number : int ≥ 0
    """
    from davegan_tf.dataset import cut, tile_positions
    from davegan_tf.errors import InputError

    side = folder.read_config().data.image_size
    micrograph = folder.load_micrograph()
    places = tile_positions(micrograph.images.shape, side)
    if number >= len(places):
        raise InputError(
            f"There is no tile {number}: {micrograph.title} has {len(places)}, 0 to {len(places) - 1}."
        )
    labels = cut(micrograph.images, places[number], side)
    return LatentPoint(f"tile {number} of {micrograph.title}", labels=labels)


def of_image(folder, image, threshold=None, phases=None):
    """An image file, or a micrograph or generator by name; of a larger image the upper left corner.

    Parameters
    ----------
    folder : davegan_tf.run_folder.RunFolder
    image : str
    threshold, phases : optional
        Of :func:`cli.image_argument.segmentation_options`.
    """
    micrograph = load_image(folder, image, threshold, phases)
    (height, width), side = micrograph.images.shape[1:], folder.read_config().data.image_size
    corner = "" if (height, width) == (side, side) else ", upper left corner"
    return LatentPoint(micrograph.name + corner, labels=micrograph.images[0, :side, :side])


def title(folder, step):
    """For pictures, which travel: the run by its name alone, its data and the step."""
    return f"{folder.name} ({folder.material}), step {step}"


def check_pictures(folder, out, suffix, images=()):
    """Raise InputError now if a file could not be written later, or would replace an image that is read.

    Parameters
    ----------
    folder : davegan_tf.run_folder.RunFolder
    out : Path
        ``--out``, which must end in ``.png``.
    suffix : str
        Of the file that is written beside it.
    images : sequence of str
        Arguments that may be image files.

    Returns
    -------
    Path
        The file beside it.
    """
    from davegan_tf.errors import InputError
    from davegan_tf.files import check_writable

    if out.suffix.lower() != ".png":
        raise InputError(f"--out {out}: must be the name of a picture, ending in .png.")
    beside = out.with_suffix(suffix)
    for path in (out, beside):
        if path.is_dir():
            raise InputError(f"--out {out}: {path} is a folder; choose another name.")
    check_not_replaced(folder, (out, beside), images)
    check_writable(out)
    return beside
