"""The real side of an evaluation: tiles and random crops of the material, with their places."""

import numpy as np
from numpy.typing import NDArray

from davegan_tf import measures, similarity
from davegan_tf.dataset import BatchPositions, cut, tile_positions
from davegan_tf.measures import Labels

# Of the 60,000 images of Section 4.2, so many are enough for a mean.
MOST_TILES = 256
# E_gen looks for the closest of all: this many take a few seconds, 60,000 would take minutes.
MOST_TRAINING_TILES = 4096


def tile_places(images: Labels, side: int) -> NDArray[np.int32]:
    """Places of the tiles that are looked at: all, of more than MOST_TILES evenly spread ones.

    Parameters
    ----------
    images : (n_images, height, width) int
    side : int, pixels

    Returns
    -------
    (n, 3) int32
        (image, row, column) of the upper left corners, see :func:`davegan_tf.dataset.tile_positions`.
    """
    return tile_positions(images.shape, side, MOST_TILES)


class RealPieces:
    """Crops and tiles with their places, and phase fractions.

    Parameters
    ----------
    training : (n_images, height, width) int
        What a model was trained on.
    reference : (n_images, height, width) int
        What tiles and crops are cut from: ``training`` itself, or what was held out.
    side : int, pixels
    count : int
        Number of crops.
    n_phases : int
    seed : int
    turned : bool
        Whether the model was shown ``training`` turned by 180°, too.
    """

    def __init__(
        self,
        training: Labels,
        reference: Labels,
        side: int,
        count: int,
        n_phases: int,
        seed: int,
        turned: bool = False,
    ):
        self.training, self.reference, self.n_phases = training, reference, n_phases
        self.turned = turned
        self.side, self.held_out = side, reference is not training
        crops = BatchPositions(reference.shape, side, "crops", count, seed)
        self.places = crops.positions(0, 1)[0]
        self.crops = cut(reference, self.places, side)
        self.tile_places = tile_places(reference, side)
        self.tiles = cut(reference, self.tile_places, side)
        # Of all pixels, also of those that belong to no tile.
        self.fractions = measures.phase_fractions(reference, n_phases).mean(axis=0)
        # E_gen is the distance to the training tiles, whatever the crops are cut from.
        places = tile_positions(training.shape, side, MOST_TRAINING_TILES)
        self.training_tiles = cut(training, places, side)
        # Which of them a crop, (crops, tiles), has no pixel of.
        self.disjoint = np.full((len(self.places), len(places)), True)
        if not self.held_out:
            self.disjoint = ~similarity.overlapping(self.places, places, side)
