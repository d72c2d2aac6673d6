"""Generators: seeded, with the statistics they promise."""

import numpy as np
import pytest
from scipy import ndimage

from davegan_tf import dataset, registry, synthetic
from davegan_tf.errors import InputError


def named(name):
    path = registry.find_local(name)
    if path is None:
        pytest.skip(f"the {name} micrograph is not on this computer")
    return np.load(path)


def autocovariance(labels, lags=6):
    """Normalised, periodic, along columns and along rows: (2, lags)."""
    field = labels - labels.mean()
    full = np.fft.ifft2(np.abs(np.fft.fft2(field)) ** 2).real
    return np.stack([full[0, :lags], full[:lags, 0]]) / full[0, 0]


def test_every_generator_is_listed():
    assert set(synthetic.GENERATORS) == {"checkerboard", "filtered_noise", "grains", "ellipses"}


@pytest.mark.parametrize(("size", "period"), [(64, 16), (256, 16), (96, 32), (4, 2)])
def test_checkerboard(size, period):
    board = synthetic.checkerboard(size, period=period)
    assert board.dtype == np.uint8
    assert board.mean() == 0.5
    half = period // 2
    for axis in (0, 1):
        np.testing.assert_array_equal(np.roll(board, half, axis), 1 - board)
    assert len(np.unique(board[:half, :half])) == 1


def test_checkerboard_has_equal_tiles():
    board = synthetic.checkerboard(256)[np.newaxis]
    tiles = dataset.cut(board, dataset.tile_positions(board.shape, 64), 64)
    assert (tiles == tiles[0]).all()


@pytest.mark.parametrize(("size", "period"), [(100, 16), (8, 16), (64, 3), (64, 0)])
def test_checkerboard_that_does_not_fit(size, period):
    with pytest.raises(InputError, match="checkerboard"):
        synthetic.checkerboard(size, period=period)


@pytest.mark.parametrize("generator", [synthetic.filtered_noise, synthetic.grains])
@pytest.mark.parametrize("size", [64, 101])
def test_volume_fraction_is_met_and_seeds_matter(generator, size):
    default = {synthetic.filtered_noise: 0.298, synthetic.grains: 0.865}[generator]
    images = [generator(size, seed) for seed in range(3)]
    for image in images:
        assert image.shape == (size, size)
        assert image.dtype == np.uint8
        assert set(np.unique(image)) == {0, 1}
        assert abs(image.mean() - default) <= 0.5 / size**2 + 1e-12
    np.testing.assert_array_equal(generator(size, 1), images[1])
    assert (images[0] != images[1]).mean() > 0.1
    assert abs(generator(size, 0, volume_fraction=0.7).mean() - 0.7) < 1e-3
    with pytest.raises(InputError, match="volume fraction"):
        generator(size, 0, volume_fraction=1.0)


@pytest.mark.parametrize("generator", [synthetic.filtered_noise, synthetic.grains])
def test_periodic(generator):
    """Across the edge the pixels change as often as inside."""
    images = np.stack([generator(128, seed) for seed in range(12)]).astype(int)
    for axis in (1, 2):
        inside = np.abs(np.diff(images, axis=axis)).mean()
        edge = np.abs(np.take(images, 0, axis) - np.take(images, -1, axis)).mean()
        assert 0.75 < edge / inside < 1.33


@pytest.mark.parametrize(
    ("name", "correlation"), [("synth1", 1.6), ("synth2", (1.6, 3.2)), ("synth3", (1.6, 4.6))]
)
def test_filtered_noise_resembles_the_papers(name, correlation):
    real = autocovariance(named(name))
    ours = np.mean(
        [
            autocovariance(synthetic.filtered_noise(256, seed, correlation=correlation))
            for seed in range(3)
        ],
        axis=0,
    )
    np.testing.assert_allclose(ours, real, atol=0.06)


def test_grains_resemble_alloy():
    alloy = named("alloy")
    images = [synthetic.grains(256, seed) for seed in range(4)]

    def count(image):
        return ndimage.label(image)[1]

    def half_width(image):
        distance = ndimage.distance_transform_edt(image == 0)
        ridge = (distance == ndimage.maximum_filter(distance, 3)) & (image == 0)
        return distance[ridge].mean()

    covariance = np.mean([autocovariance(image, 12) for image in images], axis=0)
    np.testing.assert_allclose(covariance, autocovariance(alloy, 12), atol=0.06)
    assert np.mean([count(image) for image in images]) == pytest.approx(count(alloy), rel=0.2)
    assert np.mean([half_width(image) for image in images]) == pytest.approx(
        half_width(alloy), rel=0.1
    )


def test_grains_that_would_take_hours_are_refused():
    with pytest.raises(InputError, match=r"grains of 4097 × 4097 .* give at most 4096 pixels"):
        synthetic.grains(4097, 0)


def test_grains_are_parted_by_a_connected_network_of_boundaries():
    image = synthetic.grains(256, 0)
    boundary, _ = ndimage.label(image == 0, np.ones((3, 3)))
    assert np.bincount(boundary.ravel())[1:].max() > 0.95 * (image == 0).sum()
    sizes = np.bincount(ndimage.label(image)[0].ravel())[1:]
    assert sizes.max() < 0.15 * image.size  # no gap joins everything


def test_ellipses_have_the_ranges_of_section_4_2():
    images, parameters = synthetic.ellipses(5000, seed=0)
    assert images.shape == (5000, 32, 32)
    assert images.dtype == np.uint8
    assert parameters.shape == (5000, 5)
    a, b, row, column, angle = parameters.T
    fraction = np.pi * a * b / 32**2
    for values in (fraction, images.mean(axis=(1, 2))):
        assert values.min() > 0.012
        assert values.max() < 0.19
        assert values.min() < 0.016
        assert values.max() > 0.186
    assert (a / b).min() >= 1
    assert (a / b).max() <= 4
    assert (a / b).max() > 3.95
    assert angle.min() >= 0
    assert angle.max() < np.pi
    # The outline, point by point, stays within the image, whose edges lie at −0.5 and 31.5.
    turn = np.linspace(0, 2 * np.pi, 200)[:, np.newaxis]
    right = a * np.cos(turn) * np.cos(angle) - b * np.sin(turn) * np.sin(angle)
    up = a * np.cos(turn) * np.sin(angle) + b * np.sin(turn) * np.cos(angle)
    for outline in (column + right, row - up):
        assert outline.min() >= -0.5 - 1e-9
        assert outline.max() <= 31.5 + 1e-9
    # One inclusion each; only the thinnest may be cut by the raster.
    counts = np.array([ndimage.label(image, np.ones((3, 3)))[1] for image in images[:500]])
    assert (counts == 1).all()


def test_ellipse_parameters_describe_the_image():
    """Centroid and second moments of the pixels give the parameters back."""
    images, parameters = synthetic.ellipses(300, seed=1)
    a, b, row, column, _ = parameters.T
    rows, columns = np.mgrid[:32, :32]
    mass = images.sum(axis=(1, 2))
    np.testing.assert_allclose((images * rows).sum(axis=(1, 2)) / mass, row, atol=0.5)
    np.testing.assert_allclose((images * columns).sum(axis=(1, 2)) / mass, column, atol=0.5)
    large = (mass > 80) & (a / b > 1.5)
    for image, parameter in zip(images[large], parameters[large], strict=True):
        inside = np.argwhere(image)
        covariance = np.cov(np.stack([inside[:, 1], -inside[:, 0]]))  # right, up
        eigenvalues, vectors = np.linalg.eigh(covariance)
        np.testing.assert_allclose(2 * np.sqrt(eigenvalues), parameter[1::-1], rtol=0.12)
        found = np.arctan2(vectors[1, 1], vectors[0, 1])
        assert abs(np.sin(found - parameter[4])) < 0.15
    assert large.sum() > 50


def test_the_papers_reference_ellipse():
    """Section 4.2: axes of 6 and 14 pixels, in the centre, ϕ = π/2: upright."""
    image = synthetic.draw_ellipses([synthetic.ELLIPSE_REFERENCE])[0]
    rows, columns = np.nonzero(image)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (9, 22, 13, 18)
    np.testing.assert_array_equal(image, image[::-1])
    np.testing.assert_array_equal(image, image[:, ::-1])
    assert image.sum() == pytest.approx(np.pi * 21, rel=0.05)


def test_ellipses_are_seeded_and_more_of_them_begin_alike():
    images, parameters = synthetic.ellipses(3000, seed=4)
    fewer, fewer_parameters = synthetic.ellipses(10, seed=4)
    np.testing.assert_array_equal(images[:10], fewer)
    np.testing.assert_array_equal(parameters[:10], fewer_parameters)
    np.testing.assert_array_equal(synthetic.draw_ellipses(parameters), images)
    assert (synthetic.ellipses(10, seed=5)[1] != fewer_parameters).all()
