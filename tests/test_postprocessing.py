"""The majority filter against its definition, scipy's median filter and simple pictures."""

import numpy as np
import pytest
from scipy import ndimage

from davegan_tf.errors import InputError
from davegan_tf.inference import BATCH
from davegan_tf.postprocessing import majority_filter


@pytest.mark.parametrize("size", [3, 5])
def test_of_two_phases_it_is_the_median_filter(size):
    # More than are filtered at once.
    labels = np.random.default_rng(0).integers(0, 2, (BATCH + 3, 20, 17))
    expected = ndimage.median_filter(labels, size=(1, size, size), mode="nearest")
    np.testing.assert_array_equal(majority_filter(labels, 2, size), expected)


def test_of_more_phases_the_most_frequent_wins_and_of_equals_the_own():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, (2, 9, 8))
    filtered = majority_filter(labels, 4)
    padded = np.pad(labels, ((0, 0), (1, 1), (1, 1)), mode="edge")
    for place in np.ndindex(labels.shape):
        image, row, column = place
        votes = np.bincount(padded[image, row : row + 3, column : column + 3].ravel(), minlength=4)
        winners = np.flatnonzero(votes == votes.max())
        assert filtered[place] == (labels[place] if labels[place] in winners else winners[0])


def test_stray_pixels_go_and_large_pieces_stay():
    labels = np.zeros((1, 16, 16), np.uint8)
    labels[0, 4:12, 4:12] = 1
    stray = labels.copy()
    stray[0, 1, 1], stray[0, 8, 8] = 1, 0
    filtered = majority_filter(stray, 2)
    assert filtered.dtype == np.uint8
    inside = (slice(None), slice(5, 11), slice(5, 11))
    assert filtered[0, 1, 1] == 0 and filtered[inside].all()
    np.testing.assert_array_equal(majority_filter(stray, 2, 1), stray)


@pytest.mark.parametrize("size", [0, 2, -3])
def test_other_sizes_are_refused(size):
    with pytest.raises(InputError, match="expected an odd number"):
        majority_filter(np.zeros((1, 4, 4), int), 2, size)
