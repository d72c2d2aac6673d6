"""Tiles, crops and one-hot images."""

import numpy as np
import pytest

from davegan_tf import dataset
from davegan_tf.errors import InputError

RNG = np.random.default_rng(20)


@pytest.mark.parametrize(
    ("shape", "side"),
    [((1, 256, 256), 64), ((1, 100, 71), 32), ((3, 64, 130), 32), ((5, 32, 32), 32)],
)
def test_tiles_put_together_again_are_the_image_without_its_remainder(shape, side):
    images = RNG.integers(0, 250, shape, dtype=np.uint8)
    positions = dataset.tile_positions(shape, side)
    rows, columns = shape[1] // side, shape[2] // side
    assert positions.dtype == np.int32
    assert positions.shape == (shape[0] * rows * columns, 3)
    tiles = dataset.cut(images, positions, side)
    grid = tiles.reshape(shape[0], rows, columns, side, side)
    together = grid.transpose(0, 1, 3, 2, 4).reshape(shape[0], rows * side, columns * side)
    left = dataset.tile_remainder(shape, side)
    assert left == (shape[1] - rows * side, shape[2] - columns * side)
    np.testing.assert_array_equal(
        together, images[:, : shape[1] - left[0], : shape[2] - left[1]], strict=True
    )


@pytest.mark.parametrize(
    ("most", "kept"), [(1, [0]), (3, [0, 8, 15]), (16, range(16)), (99, range(16))]
)
def test_of_more_tiles_some_are_evenly_spread_ones(most, kept):
    every = dataset.tile_positions((4, 64, 71), 32)
    found = dataset.tile_positions((4, 64, 71), 32, most)
    np.testing.assert_array_equal(found, every[list(kept)], strict=True)


def test_alloy_has_the_sixteen_tiles_of_section_4_3():
    batches = dataset.BatchPositions((1, 256, 256), 64, "tiles", 4, seed=0)
    assert batches.samples_per_epoch == 16
    assert batches.steps(20_000) == 80_000
    # Section 4.2: 60,000 ellipses, batches of 32, 200 epochs.
    assert dataset.BatchPositions((60_000, 32, 32), 32, "tiles", 32, 0).steps(200) == 375_000


@pytest.mark.parametrize("sampling", ["tiles", "crops"])
@pytest.mark.parametrize("batch_size", [1, 4, 7, 40])
def test_positions_do_not_depend_on_how_the_steps_are_chunked(sampling, batch_size):
    def make():
        return dataset.BatchPositions((2, 100, 130), 32, sampling, batch_size, seed=5)

    whole = make().positions(0, 23)
    assert whole.shape == (23, batch_size, 3)
    assert whole.dtype == np.int32
    one_by_one = make()
    for step in reversed(range(23)):
        np.testing.assert_array_equal(one_by_one.positions(step, 1)[0], whole[step])
    np.testing.assert_array_equal(
        np.concatenate([make().positions(0, 9), make().positions(9, 14)]), whole
    )
    assert make().positions(4, 0).shape == (0, batch_size, 3)


@pytest.mark.parametrize("batch_size", [1, 4, 7, 40])
def test_each_tile_is_seen_once_per_epoch(batch_size):
    shape, side, epochs = (2, 100, 130), 32, 9
    batches = dataset.BatchPositions(shape, side, "tiles", batch_size, seed=1)
    tiles = dataset.tile_positions(shape, side)
    stream = batches.positions(0, batches.steps(epochs)).reshape(-1, 3)
    assert len(stream) >= epochs * len(tiles) > len(stream) - batch_size
    orders = stream[: epochs * len(tiles)].reshape(epochs, len(tiles), 3)
    for order in orders:
        np.testing.assert_array_equal(order[np.lexsort(order.T[::-1])], tiles)
    assert len(np.unique(orders.reshape(epochs, -1), axis=0)) == epochs, "epochs share an order"


@pytest.mark.parametrize("sampling", ["tiles", "crops"])
def test_seeds_differ(sampling):
    first, second = (
        dataset.BatchPositions((1, 256, 256), 64, sampling, 4, seed).positions(0, 8)
        for seed in (0, 1)
    )
    assert (first != second).any()


def test_crops_have_any_pixel_as_their_centre_moved_inside():
    shape, side = (2, 36, 34), 32  # 2 × 5 × 3 positions
    batches = dataset.BatchPositions(shape, side, "crops", 30, seed=3)
    positions = batches.positions(0, 400).reshape(-1, 3)
    counts = np.zeros((2, 5, 3), int)
    np.add.at(counts, tuple(positions.T), 1)
    # A centre within half a side of the rim is moved: 17 of 36 rows to the first place, 1, 1, 1 and 16.
    rows, columns = np.array([17, 1, 1, 1, 16]) / 36, np.array([17, 1, 16]) / 34
    expected = len(positions) / 2 * np.stack([np.outer(rows, columns)] * 2)
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert chi_squared < 58  # 99.9 % quantile for 29 degrees of freedom
    assert batches.samples_per_epoch == 2  # tiles


def test_crops_show_the_whole_micrograph_about_equally():
    batches = dataset.BatchPositions((1, 256, 256), 64, "crops", 50, seed=0)
    seen = np.zeros((256, 256))
    for _, row, column in batches.positions(0, 200).reshape(-1, 3):
        seen[row : row + 64, column : column + 64] += 1
    share = seen.mean(axis=1) / seen.mean()
    # Corners drawn uniformly would see the outermost row in 1 of 193 crops, a middle one in 64 of them.
    assert share[0] > 0.4
    assert share.max() < 1.7


def test_streams_are_independent_and_the_first_is_as_it_was():
    def positions(**stream):
        return dataset.BatchPositions((1, 256, 256), 64, "crops", 40, 0, **stream).positions(0, 50)

    np.testing.assert_array_equal(positions(), positions(stream=0))
    first, second = (positions(stream=stream).reshape(-1, 3)[:, 1] for stream in (0, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.1


def test_cut_takes_the_pixels_at_each_position():
    images = RNG.integers(0, 9, (2, 70, 50), dtype=np.uint8)
    positions = np.array([[[0, 0, 0], [1, 38, 18]], [[0, 5, 7], [1, 1, 2]]])
    samples = dataset.cut(images, positions, 32)
    assert samples.shape == (2, 2, 32, 32)
    for index in np.ndindex(2, 2):
        image, row, column = positions[index]
        np.testing.assert_array_equal(
            samples[index], images[image, row : row + 32, column : column + 32]
        )
    for outside in ([0, 39, 0], [0, 0, 19], [2, 0, 0], [0, -1, 0]):
        with pytest.raises(IndexError):
            dataset.cut(images, np.array([outside]), 32)


@pytest.mark.parametrize("n_phases", [2, 3, 5])
def test_decoding_inverts_encoding(n_phases):
    labels = RNG.integers(0, n_phases, (4, 8, 9), dtype=np.uint8)
    images = dataset.encode_phases(labels, n_phases)
    assert images.dtype == np.float32
    assert images.shape == (4, 8, 9, 1 if n_phases == 2 else n_phases)
    if n_phases == 2:
        np.testing.assert_array_equal(images[..., 0], labels)
    else:
        np.testing.assert_array_equal(images.sum(axis=-1), 1)
        for phase in range(n_phases):
            np.testing.assert_array_equal(images[..., phase] == 1, labels == phase)
    decoded = dataset.decode_phases(images)
    np.testing.assert_array_equal(decoded, labels, strict=True)


def test_decoding_rounds_two_phases_and_takes_the_most_probable_of_three():
    np.testing.assert_array_equal(
        dataset.decode_phases(np.array([[0.2], [0.499], [0.5], [0.9]])), [0, 0, 1, 1]
    )
    # Rounding would leave none of the three here.
    np.testing.assert_array_equal(dataset.decode_phases(np.array([[0.3, 0.4, 0.3]])), [1])


def test_labels_outside_the_phases_are_refused():
    for labels, n_phases in (([0, 2], 2), ([0, 3], 3), ([-1, 0], 2)):
        with pytest.raises(InputError, match="phase labels must lie in 0"):
            dataset.encode_phases(np.array(labels), n_phases)


def test_bad_input():
    with pytest.raises(InputError, match=r"data\.image_size.* 64 × 60 pixels hold no image of 64"):
        dataset.tile_positions((1, 64, 60), 64)
    with pytest.raises(InputError, match="image_size"):
        dataset.tile_remainder((1, 20, 20), 32)
    with pytest.raises(InputError, match="sampling"):
        dataset.BatchPositions((1, 64, 64), 32, "tile", 4, 0)
    with pytest.raises(InputError, match="batch_size"):
        dataset.BatchPositions((1, 64, 64), 32, "tiles", 0, 0)
