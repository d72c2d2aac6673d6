"""Chord lengths against closed forms, a loop over the pixels of each line, and PoreSpy."""

import warnings

import numpy as np
import pytest

from davegan_tf import chords
from davegan_tf.errors import InputError


@pytest.fixture
def images():
    """Of unequal sides, with chords of many lengths and with none."""
    fractions = np.linspace(0, 1, 12).reshape(12, 1, 1)
    return np.random.default_rng(0).random((12, 14, 17)) < fractions


def chords_of(lines):
    """Lengths of the runs of the phase, but for those that reach the end of their line."""
    lengths = []
    for line in lines:
        length = None  # until the first pixel outside of the phase
        for pixel in line:
            if pixel:
                length = None if length is None else length + 1
            else:
                lengths += [length] if length else []
                length = 0
    return lengths


def histogram(lengths, max_length):
    shares = [lengths.count(length) for length in range(1, max_length + 1)]
    return np.array(shares) / max(len(lengths), 1)


def test_distribution_equals_counting_chords(images):
    distribution = chords.chord_length_distribution(images)
    assert distribution.shape == (12, 2, 15)
    assert distribution.dtype == np.float64
    for image, (vertical, horizontal) in zip(images, distribution, strict=True):
        np.testing.assert_allclose(vertical, histogram(chords_of(image.T), 15), rtol=1e-15)
        np.testing.assert_allclose(horizontal, histogram(chords_of(image), 15), rtol=1e-15)


def test_distribution_equals_porespy(images):
    with warnings.catch_warnings():
        # PoreSpy is not ours to keep free of warnings.
        warnings.simplefilter("ignore")
        porespy = pytest.importorskip(
            "porespy", reason="PoreSpy is not installed: pip install porespy"
        )
        for image in images[4:9]:
            expected = []
            for axis in (0, 1):
                drawn = porespy.filters.apply_chords(image, axis=axis, trim_edges=True)
                edges = np.arange(1, 17)
                expected.append(porespy.metrics.chord_length_distribution(drawn, bins=edges).pdf)
            # PoreSpy draws chords in each second line, and none in the outermost of these.
            vertical, _ = chords.chord_length_distribution(image[:, ::2][:, 1:-1], 15)
            _, horizontal = chords.chord_length_distribution(image[::2][1:-1], 15)
            np.testing.assert_allclose([vertical, horizontal], expected, rtol=1e-12)


@pytest.mark.parametrize(
    "indicator",
    [
        pytest.param(np.zeros((6, 7)), id="empty"),
        pytest.param(np.ones((6, 7)), id="full"),
        pytest.param(np.pad(np.zeros((4, 5)), 1, constant_values=1), id="on the border"),
        pytest.param(np.eye(2), id="two pixels a side"),
        pytest.param(np.ones((1, 1)), id="one pixel"),
    ],
)
def test_without_a_chord_all_is_zero(indicator):
    distribution = chords.chord_length_distribution(indicator)
    assert distribution.shape == (2, max(max(indicator.shape) - 2, 1))
    np.testing.assert_array_equal(distribution, 0)


def test_stripes_have_chords_of_one_length_and_in_one_direction():
    # The stripe on the left reaches the border; so do all of them at the top and bottom.
    indicator = np.tile([1, 1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0], (9, 1))
    vertical, horizontal = chords.chord_length_distribution(indicator)
    np.testing.assert_array_equal(vertical, 0)
    np.testing.assert_array_equal(horizontal, np.arange(1, 11) == 3)


def test_checkerboard_and_diagonal_have_chords_of_one_pixel():
    for indicator in (np.indices((8, 6)).sum(axis=0) % 2, np.eye(7)):
        distribution = chords.chord_length_distribution(indicator, max_length=3)
        np.testing.assert_array_equal(distribution, [[1, 0, 0]] * 2)


def test_chords_of_a_square_with_a_hole():
    indicator = np.zeros((7, 9), bool)
    indicator[1:6, 2:7] = True  # five chords of five pixels …
    indicator[3, 3] = False  # … one of which falls into 1 and 3
    vertical, horizontal = chords.chord_length_distribution(indicator)
    np.testing.assert_allclose(horizontal, np.array([1, 0, 1, 0, 4, 0, 0]) / 6)
    np.testing.assert_allclose(vertical, np.array([0, 2, 0, 0, 4, 0, 0]) / 6)


def test_the_longest_chord_has_an_entry():
    indicator = np.zeros((5, 9))
    indicator[2, 1:-1] = 1
    _, horizontal = chords.chord_length_distribution(indicator)
    np.testing.assert_array_equal(horizontal, [0, 0, 0, 0, 0, 0, 1])


def test_an_entry_does_not_depend_on_the_longest_length(images):
    whole = chords.chord_length_distribution(images)
    # All chords have an entry; of the first image and the last, without any, all are 0.
    np.testing.assert_allclose(whole.sum(axis=-1)[1:-1], 1)
    for max_length in (1, 2, 5):
        part = chords.chord_length_distribution(images, max_length)
        np.testing.assert_array_equal(part, whole[..., :max_length])
    longer = chords.chord_length_distribution(images, 40)
    np.testing.assert_array_equal(longer, np.pad(whole, ((0, 0), (0, 0), (0, 25))))


def test_transposing_swaps_the_directions(images):
    values = chords.chord_length_distribution(images)
    assert (values[:, 0] != values[:, 1]).any()
    transposed = chords.chord_length_distribution(images.swapaxes(1, 2))
    np.testing.assert_array_equal(transposed, values[:, ::-1])


def test_images_of_a_stack_know_nothing_of_each_other(images):
    stacked = chords.chord_length_distribution(images.reshape(3, 4, 14, 17))
    assert stacked.shape[:3] == (3, 4, 2)
    expected = [chords.chord_length_distribution(image) for image in images]
    np.testing.assert_array_equal(stacked, np.reshape(expected, stacked.shape))
    assert len(chords.chord_length_distribution(images[:0])) == 0


def test_what_is_no_image_is_refused():
    with pytest.raises(InputError, match=r"expected \(\.\.\., height, width\)"):
        chords.chord_length_distribution(np.zeros(5))


def test_a_length_below_one_pixel_is_refused(images):
    with pytest.raises(InputError, match="max_length is 0; expected 1 or more"):
        chords.chord_length_distribution(images, max_length=0)
