"""What may be done to samples after they are generated: a filter against stray pixels.

Section 4.3 leaves "a proper post-processing procedure" to future work.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from davegan_tf.errors import InputError
from davegan_tf.inference import batches


def majority_filter(labels: NDArray[np.integer], n_phases: int, size: int = 3) -> NDArray[np.uint8]:
    """Every pixel takes the most frequent phase of its neighbourhood; of equals its own, else the lowest label.

    With two phases it is the median filter. Beyond the border the border pixels are repeated.

    Parameters
    ----------
    labels : (n, height, width) int, phase labels 0 … n_phases − 1
    n_phases : int
    size : int, odd, ≥ 1
        Side of the square neighbourhood in pixels; 1 changes nothing.

    Returns
    -------
    (n, height, width) uint8

    Raises
    ------
    InputError
        If ``size`` is even or smaller than 1.
    """
    check_size(size)
    labels = np.asarray(labels)
    if size == 1:
        return labels.astype(np.uint8)
    return np.concatenate([_filtered(part, n_phases, size) for part in batches(labels)])


def _filtered(labels, n_phases, size):
    window = np.ones(size, np.intp)
    votes = np.empty((n_phases, *labels.shape), np.intp)
    for phase in range(n_phases):
        votes[phase] = labels == phase
        for axis in (1, 2):
            votes[phase] = ndimage.convolve1d(votes[phase], window, axis=axis, mode="nearest")
    # Half a vote decides between equals.
    own = np.arange(n_phases)[:, None, None, None] == labels
    return np.argmax(2 * votes + own, axis=0).astype(np.uint8)


def check_size(size: int) -> None:
    """Raise InputError unless it is the side of a neighbourhood that has a middle."""
    if size < 1 or size % 2 == 0:
        raise InputError(f"The filter's size is {size}; expected an odd number of pixels: 3, 5, ….")
