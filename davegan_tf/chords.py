"""Chords of a phase: the lengths of its runs along the grid lines (Torquato and Lu, Physical Review E
47, 2950, 1993).

Arrays and indicators are those of :mod:`davegan_tf.descriptors`. A *chord* is a run of pixels in the
phase along a column or row of pixels that ends on both sides at a pixel outside of the phase. A run
that reaches the end of its line is cut off by the image's border, its length is unknown: it is no
chord. Long runs are cut off more often than short ones, so that an image shows fewer long chords
than its material has: compare images of one size.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from davegan_tf.descriptors import Floats, as_images
from davegan_tf.errors import InputError


class _Chords(NamedTuple):
    """All chords of a stack of images in one direction: (n_chords,) each."""

    image: NDArray[np.intp]  # index of the image that holds the chord
    length: NDArray[np.intp]  # pixels, ≥ 1


def chord_length_distribution(indicator: ArrayLike, max_length: int | None = None) -> Floats:
    """Probability density of the length of chords, in both grid directions.

    By number: every chord counts once, whatever its length. An entry does not depend on
    ``max_length``: chords longer than that count among all chords but have no entry, so that their
    share is what the sum is short of 1. An image without any chord has 0 at every length; it enters
    a mean over images as such.

    Parameters
    ----------
    indicator : (..., height, width) of 0 and 1
    max_length : int, optional
        Longest length in pixels, ≥ 1; the longer side − 2 if None, which no chord exceeds.

    Returns
    -------
    (..., 2, max_length) float64 in [0, 1], per pixel of length
        Share of the chords that are 1, 2, …, max_length pixels long; along columns of pixels
        (vertical), then along rows (horizontal).
    """
    inside = as_images(indicator) > 0
    if max_length is None:
        max_length = max(*inside.shape[-2:], 3) - 2
    if max_length < 1:
        raise InputError(f"max_length is {max_length}; expected 1 or more pixels.")
    vertical = _distribution_along_last_axis(np.swapaxes(inside, -1, -2), max_length)
    horizontal = _distribution_along_last_axis(inside, max_length)
    return np.stack([vertical, horizontal], axis=-2)


def _distribution_along_last_axis(inside: NDArray[np.bool_], max_length: int) -> Floats:
    """Distribution of chord lengths in (..., lines, pixels): (..., max_length)."""
    shape = inside.shape[:-2]
    n_images = int(np.prod(shape))
    image, length = _chords_along_last_axis(inside)
    n_chords = np.bincount(image, minlength=n_images).reshape(*shape, 1)
    counted = length <= max_length
    cell = image[counted] * max_length + length[counted] - 1
    counts = np.bincount(cell, minlength=n_images * max_length).reshape(*shape, max_length)
    return counts / np.maximum(n_chords, 1)


def _chords_along_last_axis(inside: NDArray[np.bool_]) -> _Chords:
    """The chords of (..., lines, pixels) along the last axis."""
    n_lines = inside.shape[-2]
    lines = inside.reshape(-1, inside.shape[-1])
    # Boundaries of the phase in order; place p lies between the pixels p and p + 1 of its line.
    line, place = np.nonzero(lines[:, 1:] != lines[:, :-1])
    # A chord lies between two boundaries that follow each other in one line.
    chord = (line[1:] == line[:-1]) & lines[line[:-1], place[:-1] + 1]
    return _Chords(line[:-1][chord] // n_lines, np.diff(place)[chord])
