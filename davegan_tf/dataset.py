"""Phase labels to batches of images: tiles, random crops, one-hot images (Sections 4.2, 4.3).

Which samples a training step sees is a pure function of (seed, step). A resumed run therefore needs
nothing but the number of its next step to go on exactly where it was interrupted.
"""

import math
from collections.abc import Sequence

import numpy as np

from davegan_tf.errors import InputError

SAMPLINGS = ("tiles", "crops")


def _check_side(images_shape: Sequence[int], side: int) -> tuple[int, int, int]:
    n_images, height, width = (int(extent) for extent in images_shape)
    if side < 1 or n_images < 1 or side > min(height, width):
        raise InputError(
            f"data.image_size: {n_images} image(s) of {height} × {width} pixels hold no image of "
            f"{side} × {side}; choose a smaller image_size or a larger micrograph."
        )
    return n_images, height, width


def tile_positions(images_shape: Sequence[int], side: int, most: int | None = None) -> np.ndarray:
    """Upper left corners of the grid of tiles that do not overlap, starting at the upper left.

    Parameters
    ----------
    images_shape : (n_images, height, width), pixels
    side : int
        Side of the square tiles in pixels.
    most : int ≥ 1, optional
        Of more tiles so many, evenly spread over all; None: all.

    Returns
    -------
    positions : (n_tiles, 3) int32
        (image, row, column) of each tile, in this order, rows first.
        A 256 × 256 micrograph has the 16 tiles of 64 × 64 of Section 4.3.

    Raises
    ------
    InputError
        If not even one tile fits.
    """
    n_images, height, width = _check_side(images_shape, side)
    rows = np.arange(height // side) * side
    columns = np.arange(width // side) * side
    grid = np.meshgrid(np.arange(n_images), rows, columns, indexing="ij")
    positions = np.stack(grid, axis=-1).reshape(-1, 3).astype(np.int32)
    if most is None or len(positions) <= most:
        return positions
    return positions[np.rint(np.linspace(0, len(positions) - 1, most)).astype(np.intp)]


def tiles(images: np.ndarray, side: int, most: int | None = None) -> np.ndarray:
    """The tiles at :func:`tile_positions` themselves: (n_tiles, side, side), of the images' dtype."""
    return cut(images, tile_positions(images.shape, side, most), side)


def crop_positions(images_shape: Sequence[int], side: int, count: int, seed: int) -> np.ndarray:
    """Upper left corners of random crops, see :class:`BatchPositions`: (count, 3) int32."""
    return BatchPositions(images_shape, side, "crops", count, seed).positions(0, 1)[0]


def tile_remainder(images_shape: Sequence[int], side: int) -> tuple[int, int]:
    """Rows at the bottom and columns at the right that no tile covers, in pixels."""
    _, height, width = _check_side(images_shape, side)
    return height % side, width % side


class BatchPositions:
    """Positions of the samples of every training step.

    Parameters
    ----------
    images_shape : (n_images, height, width), pixels
    side : int
        Side of the samples in pixels.
    sampling : {"tiles", "crops"}
        "tiles": each epoch visits each tile of the grid exactly once, in an order of its own.
        The epochs follow each other without a gap, so that a batch may hold the end of one epoch
        and the start of the next. "crops": the centre of each sample is any pixel of any image,
        uniformly; where the sample would leave the image it is moved inside. (Corners drawn
        uniformly would show the rim of a micrograph far less often than its middle.)
    batch_size : int ≥ 1
    seed : int ≥ 0
    stream : int ≥ 0
        Positions of another stream are independent of these.

    Raises
    ------
    InputError
        If `sampling` is unknown or the images are smaller than `side`.
    """

    def __init__(
        self,
        images_shape: Sequence[int],
        side: int,
        sampling: str,
        batch_size: int,
        seed: int,
        stream: int = 0,
    ):
        if sampling not in SAMPLINGS:
            raise InputError(f'data.sampling must be "tiles" or "crops", not {sampling!r}.')
        if batch_size < 1:
            raise InputError(f"training.batch_size must be at least 1, not {batch_size}.")
        self.side = int(side)
        self.sampling = sampling
        self.batch_size = int(batch_size)
        self.seed, self.stream = int(seed), int(stream)
        self._shape = _check_side(images_shape, side)
        self._tiles = tile_positions(images_shape, side)

    @property
    def samples_per_epoch(self) -> int:
        """Number of tiles; crops count epochs in the same measure, to be comparable."""
        return len(self._tiles)

    def steps(self, epochs: int) -> int:
        """Steps in which at least `epochs` × `samples_per_epoch` samples are seen."""
        return math.ceil(epochs * self.samples_per_epoch / self.batch_size)

    def positions(self, first_step: int, n_steps: int) -> np.ndarray:
        """Positions for the steps first_step … first_step + n_steps − 1, counted from 0.

        Returns
        -------
        positions : (n_steps, batch_size, 3) int32
            (image, row, column) of the upper left corner of each sample.
        """
        if first_step < 0 or n_steps < 0:
            raise ValueError(f"steps must not be negative, got {first_step} and {n_steps}")
        if n_steps == 0:
            return np.empty((0, self.batch_size, 3), np.int32)
        if self.sampling == "tiles":
            return self._tile_batches(first_step, n_steps)
        return self._crop_batches(first_step, n_steps)

    def _rng(self, number: int) -> np.random.Generator:
        # A stream of 0 leaves a run as it was before there were streams.
        return np.random.default_rng((self.seed, number, *[self.stream] * (self.stream > 0)))

    def _tile_batches(self, first_step: int, n_steps: int) -> np.ndarray:
        n_tiles = len(self._tiles)
        first, last = first_step * self.batch_size, (first_step + n_steps) * self.batch_size
        first_epoch, end_epoch = first // n_tiles, -(-last // n_tiles)
        stream = np.concatenate(
            [self._rng(epoch).permutation(n_tiles) for epoch in range(first_epoch, end_epoch)]
        )
        offset = first_epoch * n_tiles
        chosen = stream[first - offset : last - offset]
        return self._tiles[chosen].reshape(n_steps, self.batch_size, 3)

    def _crop_batches(self, first_step: int, n_steps: int) -> np.ndarray:
        n_images, height, width = self._shape
        centres = np.stack(
            [
                self._rng(step).integers(self._shape, size=(self.batch_size, 3), dtype=np.int32)
                for step in range(first_step, first_step + n_steps)
            ]
        )
        last = np.array((n_images - 1, height - self.side, width - self.side), np.int32)
        return np.clip(centres - np.array((0, self.side // 2, self.side // 2), np.int32), 0, last)


def cut(images: np.ndarray, positions: np.ndarray, side: int) -> np.ndarray:
    """Cut square samples out of images.

    Parameters
    ----------
    images : (n_images, height, width)
    positions : (..., 3) int
        (image, row, column) of the upper left corners.
    side : int
        Side of the samples in pixels.

    Returns
    -------
    samples : (..., side, side), the images' dtype
    """
    positions = np.asarray(positions)
    if positions.size and positions.min() < 0:
        # A negative index would silently count from the end.
        raise IndexError("positions must not be negative")
    windows = np.lib.stride_tricks.sliding_window_view(images, (side, side), axis=(1, 2))
    return windows[positions[..., 0], positions[..., 1], positions[..., 2]]


def encode_phases(labels: np.ndarray, n_phases: int) -> np.ndarray:
    """Phase labels as the images of the networks.

    Parameters
    ----------
    labels : (...) int
        Phase labels 0 … n_phases − 1.
    n_phases : int ≥ 2

    Returns
    -------
    images : (..., C) float32, 0 or 1
        C = 1 for two phases: the label itself. C = n_phases for more: one-hot.

    Raises
    ------
    InputError
        If a label lies outside 0 … n_phases − 1.
    """
    labels = np.asarray(labels)
    if labels.size and not 0 <= labels.min() <= labels.max() < n_phases:
        raise InputError(
            f"phase labels must lie in 0 … {n_phases - 1}, "
            f"got values from {labels.min()} to {labels.max()}."
        )
    if n_phases == 2:
        return labels[..., np.newaxis].astype(np.float32)
    return np.eye(n_phases, dtype=np.float32)[labels]


def decode_phases(probabilities: np.ndarray) -> np.ndarray:
    """Most probable phase of each pixel, as images are compared in Section 4.1.

    Parameters
    ----------
    probabilities : (..., C) float, 0 … 1
        C = 1: probability of phase 1, rounded at 0.5. C ≥ 3: one probability per phase; the
        largest wins (rounding here would delete the middle phases).

    Returns
    -------
    labels : (...) uint8
    """
    probabilities = np.asarray(probabilities)
    if probabilities.shape[-1] == 1:
        return (probabilities[..., 0] >= 0.5).astype(np.uint8)
    return np.argmax(probabilities, axis=-1).astype(np.uint8)
