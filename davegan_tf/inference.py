"""A trained model on phase labels: labels in, labels out, in batches that fit any memory."""

import numpy as np

from davegan_tf.dataset import cut, decode_phases, encode_phases

BATCH = 64


def generate_labels(model, count, seed):
    """Samples of the prior, rounded to phases: (count, side, side) uint8, a function of the seed."""
    return decode_labels(model, np.asarray(model.sample_latent(count, seed)))


def decode_labels(model, z):
    """Structures of z, (n, latent_dim) float, rounded to phases: (n, side, side) uint8."""
    return np.concatenate([decode_phases(model.generate(part)) for part in batches(z)])


def reconstruct_labels(model, images, n_phases):
    """decode(encode(x)) of images of the model's size, rounded to phases.

    Parameters
    ----------
    model : DAVEGAN
    images : (n, side, side) uint8, phase labels
    n_phases : int

    Returns
    -------
    (n, side, side) uint8
    """
    return np.concatenate(
        [
            decode_phases(model.reconstruct(encode_phases(part, n_phases)).numpy())
            for part in batches(images)
        ]
    )


def reconstruct_image(model, image, n_phases):
    """Reconstruct an image of any size ≥ the model's: cut into tiles and put together again.

    Where the size is no multiple of the model's, the last tiles are moved inwards to end at the border and overlap
    their neighbours, of which only the part not covered yet is filled from them.

    Parameters
    ----------
    model : DAVEGAN
    image : (height, width) uint8, phase labels
    n_phases : int

    Returns
    -------
    (height, width) uint8
    """
    side = model.arguments["image_size"]
    starts = [_starts(length, side) for length in image.shape]
    positions = np.array([(0, row, column) for row in starts[0] for column in starts[1]])
    tiles = reconstruct_labels(model, cut(image[None], positions, side), n_phases)
    whole = np.empty_like(image)
    # From the last to the first: a tile on the grid overwrites the overlap of one that was moved inwards.
    for (_, row, column), tile in zip(positions[::-1], tiles[::-1], strict=True):
        whole[row : row + side, column : column + side] = tile
    return whole


def _starts(length, side):
    starts = list(range(0, length - side + 1, side))
    return starts if length % side == 0 else [*starts, length - side]


def batches(array):
    """Consecutive parts of an array, of BATCH entries each and what is left."""
    return (array[first : first + BATCH] for first in range(0, len(array), BATCH))
