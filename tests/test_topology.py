"""Topology against closed forms and a flood fill that goes from pixel to pixel."""

import numpy as np
import pytest
from skimage.measure import euler_number

from davegan_tf import topology
from davegan_tf.errors import InputError

SIDES = [(-1, 0), (0, -1), (0, 1), (1, 0)]
SIDES_AND_CORNERS = [*SIDES, (-1, -1), (-1, 1), (1, -1), (1, 1)]
MEASURES = [
    topology.euler_number_density,
    topology.largest_cluster,
    topology.percolation,
]


@pytest.fixture
def images():
    """From no phase at all to nothing else, in steps."""
    fractions = np.linspace(0, 1, 40).reshape(40, 1, 1)
    return np.random.default_rng(0).random((40, 7, 9)) < fractions


def regions(indicator, steps):
    """The connected regions of an image, each a set of (row, column)."""
    left = {(int(row), int(column)) for row, column in np.argwhere(indicator)}
    found = []
    while left:
        region = set()
        front = {left.pop()}
        while front:
            region |= front
            front = {(row + r, column + c) for row, column in front for r, c in steps} & left
            left -= front
        found.append(region)
    return found


def checkerboard():
    return np.indices((6, 8)).sum(axis=0) % 2


def ring():
    """A disc with a hole, away from the border."""
    rows, columns = np.indices((17, 19))
    distance = np.hypot(rows - 8, columns - 9)
    return (distance <= 6) & (distance > 3)


def stripes():
    """Two vertical stripes; the second one is twice as wide as the first."""
    return np.tile([1, 0, 0, 1, 1], (4, 1))


def all_but(*pixels):
    """A 5 × 6 image of the phase that lacks a few pixels."""
    indicator = np.ones((5, 6), np.uint8)
    indicator[tuple(zip(*pixels, strict=True))] = 0
    return indicator


@pytest.mark.parametrize(
    ("indicator", "euler", "largest", "spanned"),
    [
        pytest.param(np.zeros((5, 6), bool), 0, 0, [0, 0], id="empty"),
        pytest.param(np.ones((5, 6), bool), 1, 1, [1, 1], id="full"),
        pytest.param(np.ones((1, 1)), 1, 1, [1, 1], id="one pixel"),
        pytest.param(checkerboard(), 24, 1 / 24, [0, 0], id="checkerboard"),
        # Both edges of each direction are touched, but corners don't connect.
        pytest.param(np.eye(5), 5, 1 / 5, [0, 0], id="diagonal"),
        pytest.param(stripes(), 2, 2 / 3, [1, 0], id="stripes"),
        pytest.param(ring(), 0, 1, [0, 0], id="ring"),
        pytest.param(all_but((1, 1), (1, 3)), -1, 1, [1, 1], id="two holes"),
        # Around a phase that corners don't connect, they connect what is outside of it.
        pytest.param(all_but((1, 1), (2, 2)), 0, 1, [1, 1], id="one hole"),
        pytest.param(all_but((0, 2), (4, 5)), 1, 1, [1, 1], id="bays are no holes"),
    ],
)
def test_closed_forms(indicator, euler, largest, spanned):
    assert topology.euler_number_density(indicator) == pytest.approx(euler / indicator.size)
    assert topology.largest_cluster(indicator) == pytest.approx(largest)
    np.testing.assert_array_equal(topology.percolation(indicator), spanned)


def test_euler_number_is_regions_minus_holes(images):
    expected = []
    for image in images:
        # With a ring of pixels around the image, all that reaches its border is one region.
        outside = regions(~np.pad(image, 1), SIDES_AND_CORNERS)
        expected.append(len(regions(image, SIDES)) - (len(outside) - 1))
    assert min(expected) < 0 < max(expected)
    density = topology.euler_number_density(images)
    np.testing.assert_allclose(density * 63, expected, atol=1e-12)


def test_euler_numbers_of_the_phase_and_of_all_around_it_add_up_to_one(images):
    # The holes of the one are regions of the other, except for the outermost region.
    images = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    around = [euler_number(~image, connectivity=2) for image in images]
    assert len(set(around)) > 5
    density = topology.euler_number_density(images)
    np.testing.assert_allclose(density * (9 * 11) + around, 1, atol=1e-12)


def test_largest_cluster_equals_the_largest_region(images):
    expected = []
    for image in images:
        sizes = [len(region) for region in regions(image, SIDES)]
        expected.append(max(sizes, default=0) / max(sum(sizes), 1))
    assert len(set(expected)) > 5
    np.testing.assert_allclose(topology.largest_cluster(images), expected, rtol=1e-15)


def test_percolation_equals_looking_for_a_region_on_both_edges():
    # At this fraction some images are spanned and others are not.
    images = np.random.default_rng(0).random((60, 5, 7)) < 0.65
    expected = []
    for image in images:
        extents = [
            [{row for row, _ in region}, {column for _, column in region}]
            for region in regions(image, SIDES)
        ]
        vertical = any({0, 4} <= rows for rows, _ in extents)
        horizontal = any({0, 6} <= columns for _, columns in extents)
        expected.append([vertical, horizontal])
    assert 10 < np.sum(expected, axis=0).min() <= np.sum(expected, axis=0).max() < 50
    percolation = topology.percolation(images)
    np.testing.assert_array_equal(percolation, expected)
    assert percolation.dtype == np.float64


@pytest.mark.parametrize("measure", MEASURES)
def test_images_of_a_stack_know_nothing_of_each_other(measure, images):
    stacked = measure(images.reshape(8, 5, 7, 9))
    assert stacked.dtype == np.float64
    expected = [measure(image) for image in images]
    np.testing.assert_array_equal(stacked, np.reshape(expected, stacked.shape))
    assert stacked.shape[:2] == (8, 5)
    assert len(measure(images[:0])) == 0


@pytest.mark.parametrize("measure", MEASURES)
def test_transposing_swaps_the_directions_and_changes_nothing_else(measure, images):
    values = measure(images)
    if measure is topology.percolation:
        assert (values[:, 0] != values[:, 1]).any()
        values = values[:, ::-1]
    np.testing.assert_array_equal(measure(images.swapaxes(1, 2)), values)


@pytest.mark.parametrize("measure", MEASURES)
def test_what_is_no_image_is_refused(measure):
    with pytest.raises(InputError, match=r"expected \(\.\.\., height, width\)"):
        measure(np.zeros(5))
