"""The real side of an evaluation: tiles and random crops of the material, with their places."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from davegan_tf import descriptors, measures, similarity
from davegan_tf.dataset import crop_positions, cut, tile_positions
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
    """Crops and tiles with their places, and phase fractions; computed when they are asked for.

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
        Of the crops.
    turned : bool
        Whether the model was shown ``training`` turned by 180°, too.

    Attributes
    ----------
    places : (count, 3) int32
        (image, row, column) of the upper left corner of each crop of the reference.
    crops : (count, side, side) int
    held_out : bool
        Whether the reference is another than ``training``.
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
        self.places = crop_positions(reference.shape, side, count, seed)
        self.crops = cut(reference, self.places, side)

    @cached_property
    def tile_places(self) -> NDArray[np.int32]:
        """Places of the tiles of the reference, (n_tiles, 3)."""
        return tile_places(self.reference, self.side)

    @cached_property
    def tiles(self) -> Labels:
        """Tiles of the reference, (n_tiles, side, side) int."""
        return cut(self.reference, self.tile_places, self.side)

    @cached_property
    def fractions(self) -> descriptors.Floats:
        """Of the reference's phases, of all pixels, also of those that belong to no tile: (n_phases,) float64."""
        return measures.phase_fractions(self.reference, self.n_phases).mean(axis=0)

    @cached_property
    def training_places(self) -> NDArray[np.int32]:
        """Places of the training tiles that E_gen is the distance to, whatever the crops are cut from, (n, 3)."""
        return tile_positions(self.training.shape, self.side, MOST_TRAINING_TILES)

    @cached_property
    def training_tiles(self) -> Labels:
        """The training tiles themselves, (n, side, side) int."""
        return cut(self.training, self.training_places, self.side)

    @cached_property
    def disjoint(self) -> NDArray[np.bool_]:
        """Which training tiles a crop has no pixel of, (count, n)."""
        if self.held_out:
            return np.full((len(self.places), len(self.training_places)), True)
        return ~similarity.overlapping(self.places, self.training_places, self.side)
