"""The latent space in TensorBoard: images as points z with thumbnails, for its tab "Projector" (Section 4.2).

The folder is a run of its own for TensorBoard: so it is listed where no training has logged (packaged models), and
noticed by a TensorBoard that is already open. Nothing in it is named ``checkpoint``, which the projector would read as
one of TensorFlow's.
"""

import os

import imageio.v3 as iio
import numpy as np

from davegan_tf import descriptors
from davegan_tf.dataset import crop_positions, tile_positions
from davegan_tf.errors import InputError
from davegan_tf.figures import SEPARATOR, to_grey
from davegan_tf.files import atomic_folder, check_not_here, check_writable
from davegan_tf.measures import evaluated_phases

FILES = ("projector_config.pbtxt", "tensors.tsv", "metadata.tsv", "sprite.png")
EVENTS = "events.out.tfevents."
# Browsers draw no larger picture in the projector.
LARGEST_SPRITE = 8192
# Without a frame, in no grey, an image that is white at its rim has no end on the white ground.
FRAME, FRAME_WIDTH = SEPARATOR, 3


def check_folder(folder, option="--out"):
    """Raise InputError unless the folder is new, empty or an older embedding, which may be replaced.

    Parameters
    ----------
    folder : Path
    option : str
        Of the command line, for the message.
    """
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    other = any(name not in FILES and not name.startswith(EVENTS) for name in names)
    # Events alone are the log of a training.
    if folder.is_file() or other or (names and FILES[0] not in names):
        raise InputError(
            f"{option} {folder}: holds something that is no embedding; give a new or an empty folder."
        )
    check_not_here(folder, option)
    check_writable(folder, option)


def choose_places(images_shape, side, count, seed=0):
    """Which pieces of the training data become points: tiles first, then crops at random, none twice.

    Parameters
    ----------
    images_shape : (n_images, height, width), pixels
    side : int
        Of the pieces in pixels.
    count : int ≥ 1
        At most so many; of more tiles, evenly spread ones.
    seed : int
        Of the crops.

    Returns
    -------
    places : (n, 3) int32
        (image, row, column) of the upper left corners.
    n_tiles : int
        How many of them, at the beginning, are tiles.
    """
    tiles = tile_positions(images_shape, side, count)
    crops = crop_positions(images_shape, side, 2 * count, seed)
    places = dict.fromkeys(map(tuple, np.concatenate([tiles, crops]).tolist()))
    return np.array(list(places)[:count], np.int32), len(tiles)


def metadata(labels, n_phases, places, n_tiles):
    """What is known of each point: {column: (n,) values}.

    Parameters
    ----------
    labels : (n, side, side) int, phase labels
    n_phases : int
    places, n_tiles
        See :func:`choose_places`.
    """
    columns = {
        f"volume_fraction_{phase}": descriptors.volume_fraction(labels == phase).round(4)
        for phase in evaluated_phases(n_phases)
    }
    columns["interface_density"] = descriptors.interface_density(labels).round(4)
    columns["kind"] = ["tile"] * n_tiles + ["crop"] * (len(labels) - n_tiles)
    columns |= dict(zip(("image", "row", "column"), places.T, strict=True))
    return columns


def sprite(labels, n_phases):
    """All images in one square picture, row by row from the upper left, as the projector expects it.

    Parameters
    ----------
    labels : (n, side, side) int, phase labels; side is a power of two
    n_phases : int

    Returns
    -------
    picture : (extent, extent, 3) uint8, extent ≤ LARGEST_SPRITE
    thumbnail : int
        Side of an image in it, in pixels: that of the labels, halved until the picture is small enough, and a frame.
    """
    n, side = labels.shape[:2]
    per_row = int(np.ceil(np.sqrt(n)))
    smaller = 1
    while per_row * (side // smaller + 2 * FRAME_WIDTH) > LARGEST_SPRITE:
        smaller *= 2
    inside = side // smaller
    grey = to_grey(labels, n_phases).reshape(n, inside, smaller, inside, smaller)
    thumbnail = inside + 2 * FRAME_WIDTH
    picture = np.full((per_row**2, thumbnail, thumbnail, 3), FRAME, np.uint8)
    within = slice(FRAME_WIDTH, -FRAME_WIDTH)
    picture[:n, within, within] = grey.mean(axis=(2, 4)).round()[..., np.newaxis]
    picture = picture.reshape(per_row, per_row, thumbnail, thumbnail, 3).swapaxes(1, 2)
    return picture.reshape(per_row * thumbnail, per_row * thumbnail, 3), thumbnail


def write_embedding(folder, z, columns, picture, thumbnail, description):
    """Write everything that TensorBoard's projector reads, at once or not at all.

    Parameters
    ----------
    folder : Path
        See :func:`check_folder`; an older embedding in it is replaced.
    z : (n, latent_dim) float32
    columns : dict of str to (n,) values
        See :func:`metadata`.
    picture, thumbnail
        See :func:`sprite`.
    description : str
        Shown in TensorBoard's tab "Text".
    """
    # Not at the top: what is checked first needs neither.
    import tensorflow as tf
    from tensorboard.plugins import projector

    folder = folder.resolve()
    config = projector.ProjectorConfig()
    embedding = config.embeddings.add(
        tensor_name="z_mean", tensor_path="tensors.tsv", metadata_path="metadata.tsv"
    )
    embedding.sprite.image_path = "sprite.png"
    embedding.sprite.single_image_dim.extend([thumbnail, thumbnail])
    with atomic_folder(folder, replace=True) as temporary:
        # Nine digits tell any two float32 apart.
        np.savetxt(temporary / "tensors.tsv", z, fmt="%.9g", delimiter="\t")
        rows = [list(columns), *zip(*columns.values(), strict=True)]
        lines = ("\t".join(map(str, row)) + "\n" for row in rows)
        (temporary / "metadata.tsv").write_text("".join(lines), "utf-8")
        iio.imwrite(temporary / "sprite.png", picture)
        projector.visualize_embeddings(os.fspath(temporary), config)
        # Last, since TensorBoard may be watching: a folder without events is no run to it.
        with tf.summary.create_file_writer(os.fspath(temporary)).as_default(step=0):
            tf.summary.text("projector", description)
