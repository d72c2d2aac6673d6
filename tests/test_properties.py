"""Scalar properties by name, and the anisotropy of S2 against closed forms."""

import numpy as np
import pytest

from davegan_tf import descriptors, properties
from davegan_tf.errors import InputError

FALL = 1 - np.exp(-1)


def cells(height, width, side=48):
    """A checkerboard of cells of this size; φ = 1/2 where a period, 2 cells, divides the side."""
    rows, columns = np.mgrid[:side, :side]
    return (rows // height + columns // width) % 2


def noise(*shape, share=0.3, seed=0):
    return (np.random.default_rng(seed).random(shape) < share).astype(np.uint8)


def blobs(count, side=32):
    """Images whose pixels resemble their neighbours, along rows more than along columns."""
    field = np.random.default_rng(1).standard_normal((count, side, side))
    for axis, width in ((1, 2), (2, 5)):
        field = sum(np.roll(field, shift, axis) for shift in range(width))
    return (field > 0.5).astype(np.uint8)


# Correlation lengths


@pytest.mark.parametrize(("height", "width"), [(4, 4), (4, 8), (12, 6), (24, 3)])
def test_of_cells(height, width):
    # φ = 1/2: the autocovariance along an axis is 1 − 2r/a until r = a, the cell's length.
    image = cells(height, width)
    lengths = properties.correlation_lengths(image)
    np.testing.assert_allclose(lengths, [FALL * height / 2, FALL * width / 2])
    expected = (width - height) / (width + height)
    np.testing.assert_allclose(properties.anisotropy(image), expected, atol=1e-12)


def test_stripes_are_half_the_side_long():
    horizontal = cells(6, 48, side=48)
    horizontal_length, vertical_length = 24, FALL * 3
    np.testing.assert_allclose(
        properties.correlation_lengths(horizontal), [vertical_length, horizontal_length]
    )
    expected = (horizontal_length - vertical_length) / (horizontal_length + vertical_length)
    np.testing.assert_allclose(properties.anisotropy(horizontal), expected)
    np.testing.assert_allclose(properties.anisotropy(horizontal.T), -expected)


@pytest.mark.parametrize("value", [0, 1])
def test_a_constant_image_has_no_length(value):
    image = np.full((3, 8, 8), value)
    np.testing.assert_array_equal(properties.correlation_lengths(image), np.zeros((3, 2)))
    np.testing.assert_array_equal(properties.anisotropy(image), 0)


def test_white_noise_falls_within_a_pixel():
    lengths = properties.correlation_lengths(noise(512, 512))
    np.testing.assert_allclose(lengths, FALL, atol=0.01)


@pytest.mark.parametrize("images", [blobs(5), noise(5, 16, 16), blobs(5)[:, :, :20]])
def test_against_shifted_copies(images):
    def length(image, axis):
        phi = image.mean()
        lags = range(image.shape[axis] // 2 + 1)
        shifted = [np.roll(image, lag, axis) for lag in lags]
        values = [((image * each).mean() - phi**2) / (phi - phi**2) for each in shifted]
        fine = np.linspace(0, lags[-1], 100 * lags[-1] + 1)
        return fine[np.argmax(np.interp(fine, lags, values) <= np.exp(-1))]

    expected = [[length(image, axis) for axis in (0, 1)] for image in images]
    np.testing.assert_allclose(properties.correlation_lengths(images), expected, atol=0.0101)


def test_symmetries():
    images = blobs(6)
    anisotropy = properties.anisotropy(images)
    assert (anisotropy > 0.1).all()
    for same in (np.roll(images, (5, 9), (1, 2)), 1 - images, images[:, ::-1]):
        np.testing.assert_allclose(properties.anisotropy(same), anisotropy, atol=1e-9)
    turned = properties.anisotropy(images.swapaxes(1, 2))
    np.testing.assert_allclose(turned, -anisotropy, atol=1e-9)


# By name


def test_names():
    assert sorted(properties.names(2)) == ["anisotropy", "interface_density", "volume_fraction"]
    of_others = {f"{name}_{phase}" for name in ("volume_fraction", "anisotropy") for phase in "02"}
    assert set(properties.names(3)) == set(properties.names(2)) | of_others


def test_each_is_measured_on_its_phase():
    labels = np.random.default_rng(0).choice(3, p=[0.5, 0.3, 0.2], size=(4, 16, 16))
    labels[:, :, :4] = 2
    chosen = ["volume_fraction_2", "anisotropy", "interface_density", "volume_fraction"]
    measured = properties.measure(labels, chosen, 3)
    expected = [
        (labels == 2).mean(axis=(1, 2)),
        properties.anisotropy(labels == 1),
        descriptors.interface_density(labels),
        (labels == 1).mean(axis=(1, 2)),
    ]
    np.testing.assert_allclose(measured, np.transpose(expected))
    of_two, isotropic = properties.measure(labels, ["anisotropy_2", "anisotropy"], 3).T
    assert (of_two < isotropic - 0.1).all()


@pytest.mark.parametrize(
    ("name", "n_phases", "words"),
    [
        ("volume_fractoin", 2, "of 2 phases; did you mean volume_fraction?"),
        ("interface-density", 2, "did you mean interface_density?"),
        ("volume_fraction_3", 3, '"volume_fraction_3" of 3 phases; did you mean volume_fraction'),
        ("porosity", 2, "there are interface_density, volume_fraction, anisotropy."),
    ],
)
def test_an_unknown_name(name, n_phases, words):
    with pytest.raises(InputError) as error:
        properties.measure(np.zeros((1, 4, 4)), [name], n_phases)
    assert words in str(error.value)


def test_limits_hold():
    images = np.concatenate([blobs(8), noise(4, 32, 32), np.zeros((1, 32, 32), np.uint8)])
    chosen = properties.names(2)
    low, high = np.transpose([properties.limits(name) for name in chosen])
    values = properties.measure(images, chosen, 2)
    assert (low <= values).all() and (values <= high).all()
    stripes = cells(1, 48)
    assert properties.limits("anisotropy")[1] > properties.anisotropy(stripes) > 0.9
    assert properties.limits("anisotropy")[0] < properties.anisotropy(stripes.T) < -0.9


@pytest.mark.parametrize(
    ("name", "fit", "wrong"),
    [("volume_fraction_2", (0, 1), (-0.01, 1.01, np.nan)), ("anisotropy", (-1, 1), (-1.01, 25))],
)
def test_a_value_that_can_not_be(name, fit, wrong):
    for value in fit:
        properties.check_value(name, value)
    for value in wrong:
        with pytest.raises(InputError, match=f"{name}={value:g} can't be; expected a number from"):
            properties.check_value(name, value)
