"""The latent space: what is decoded where, and which dimensions are active."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from davegan_tf import descriptors, latent, losses
from davegan_tf.davegan import DAVEGAN
from davegan_tf.errors import InputError
from davegan_tf.inference import BATCH, generate_labels

LATENT = 5


@pytest.fixture(scope="module")
def model():
    """Table 2, untrained, but with statistics by which its images differ."""
    model = DAVEGAN(image_size=32, channels=1, latent_dim=LATENT, seed=3)
    for variable in model.generator.trainable_variables:
        variable.assign(3 * variable)
    return model


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


class Echo:
    """A model whose image of z is z itself, one pixel with a channel for each dimension."""

    def __init__(self):
        self.sizes = []

    def generate(self, z):
        self.sizes.append(len(z))
        return np.asarray(z)[:, None, None, :]


def test_the_model_has_images_that_differ(model):
    assert np.ptp(model.generate(normal(8, LATENT)).numpy(), axis=0).max() > 0.5


# Decoding and encoding


@pytest.mark.parametrize("count", [1, BATCH, BATCH + 3])
def test_decoding_in_batches_is_generating_at_once(model, count):
    z = normal(count, LATENT)
    images = latent.decode(model, z)
    assert images.dtype == np.float32
    np.testing.assert_allclose(images, model.generate(z).numpy(), atol=1e-4)


def test_batches_are_bounded_and_keep_their_order():
    echo, z = Echo(), normal(2 * BATCH + 5, LATENT)
    np.testing.assert_array_equal(latent.decode(echo, z)[:, 0, 0], z)
    assert echo.sizes == [BATCH, BATCH, 5]


def test_encoding_in_batches_is_encoding_at_once(model):
    images = (normal(BATCH + 3, 32, 32, 1) > 0).astype(np.float32)
    z_mean, z_log_var = latent.encode(model, images)
    expected = model.encode(images)
    np.testing.assert_allclose(z_mean, expected[0], atol=1e-4)
    np.testing.assert_allclose(z_log_var, expected[1], atol=1e-4)
    np.testing.assert_allclose(latent.z_of_image(model, images[7]), expected[0][7], atol=1e-4)


def test_z_of_a_seed_is_that_of_the_first_sample(model):
    z = latent.z_of_seed(model, 11)
    assert z.shape == (LATENT,)
    image = latent.decode(model, z[None])[0, ..., 0] >= 0.5
    np.testing.assert_array_equal(image, generate_labels(model, 3, seed=11)[0])


# Traversal


def test_a_traversal_at_the_value_that_z_has_is_z(model):
    z = normal(LATENT)
    values = latent.traversal_values(3.0, 7)
    z[3] = values[5]
    images = latent.traverse(model, z, [1, 3])
    assert images.shape == (2, 7, 32, 32, 1)
    assert images.dtype == np.float32
    np.testing.assert_allclose(images[1, 5], model.generate(z[None]).numpy()[0], atol=1e-4)
    assert np.abs(images[1, 4] - images[1, 5]).max() > 1e-3


def test_one_dimension_is_set_to_absolute_values_and_the_others_are_kept():
    z = normal(LATENT)
    visited = latent.traverse(Echo(), z, [4, 0], limit=2, steps=5)[:, :, 0, 0]
    np.testing.assert_array_equal(visited[0, :, 4], [-2, -1, 0, 1, 2])
    np.testing.assert_array_equal(visited[1, :, 0], [-2, -1, 0, 1, 2])
    np.testing.assert_array_equal(visited[0, :, :4], np.tile(z[:4], (5, 1)))
    np.testing.assert_array_equal(visited[1, :, 1:], np.tile(z[1:], (5, 1)))


def test_by_default_all_dimensions_are_traversed_over_three_standard_deviations():
    z = normal(LATENT)
    visited = latent.traverse(Echo(), z)[:, :, 0, 0]
    assert visited.shape == (LATENT, 7, LATENT)
    for dimension in range(LATENT):
        np.testing.assert_array_equal(visited[dimension, :, dimension], np.arange(-3, 4))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"dimensions": [0, 5]}, "no dimension 5; its 5 dimensions are 0 to 4"),
        ({"dimensions": [-1]}, "no dimension -1"),
        ({"dimensions": []}, "asked for no dimension"),
        ({"limit": 0.0}, "finite number above 0, not 0.0"),
        ({"limit": float("nan")}, "not nan"),
        ({"limit": float("inf")}, "not inf"),
        ({"steps": 1}, "at least 2 steps, not 1"),
    ],
)
def test_a_traversal_that_makes_no_sense_is_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        latent.traverse(Echo(), normal(LATENT), **arguments)


# Interpolation


def test_the_ends_of_an_interpolation_are_those_of_the_line(model):
    start, end = normal(2, LATENT)
    images = latent.interpolate(model, start, end, steps=4)
    assert images.shape == (4, 32, 32, 1)
    for image, z in ((images[0], start), (images[-1], end), (images[1], (2 * start + end) / 3)):
        np.testing.assert_allclose(image, model.generate(z[None]).numpy()[0], atol=1e-4)
    assert np.abs(images[0] - images[-1]).max() > 0.1


def test_an_interpolation_is_straight_and_even_in_z():
    start, end = normal(2, LATENT)
    visited = latent.interpolate(Echo(), start, end)[:, 0, 0]
    assert visited.shape == (9, LATENT)
    np.testing.assert_array_equal(visited[[0, -1]], [start, end])
    np.testing.assert_allclose(
        np.diff(visited, axis=0), np.tile((end - start) / 8, (8, 1)), atol=1e-6
    )
    with pytest.raises(InputError, match="at least 2 steps"):
        latent.interpolate(Echo(), start, end, steps=1)


def test_images_fade_into_each_other_pixel_by_pixel():
    first, last = normal(2, 4, 6, 1)
    faded = latent.straight_line(first, last, 3)
    np.testing.assert_array_equal(faded[[0, 2]], [first, last])
    np.testing.assert_allclose(faded[1], (first + last) / 2, atol=1e-6)


# Which dimensions are active


def known_posterior(z_mean, z_log_var):
    """A model that finds the i-th posterior in the i-th image."""

    def encode(images):
        places = np.asarray(images)[:, 0, 0, 0].astype(int)
        return z_mean[places], z_log_var[places]

    numbers = np.arange(len(z_mean), dtype=np.float32)[:, None, None, None]
    return SimpleNamespace(encode=encode), numbers


def test_active_dimensions_come_first():
    n = BATCH + 6
    z_mean, z_log_var = np.zeros((2, n, LATENT), np.float32)
    # Means that tell the images apart, and a small variance; 1 and 4 are the prior and so carry nothing.
    z_mean[:, 3], z_log_var[:, 3] = normal(n), -6
    z_mean[:, 0], z_log_var[:, 0] = 0.5 * normal(n), -1
    z_log_var[:, 2] = -4
    model, images = known_posterior(z_mean, z_log_var)
    np.testing.assert_array_equal(latent.order_of_dimensions(model, images), [3, 2, 0, 1, 4])
    activity = latent.kl_per_dimension(model, images)
    np.testing.assert_array_equal(activity[[1, 4]], 0)
    np.testing.assert_allclose(activity[2], 0.5 * (np.exp(-4) - 1 + 4), rtol=1e-6)


def test_activity_is_the_kl_loss_dimension_by_dimension(model):
    images = (normal(20, 32, 32, 1) > 0).astype(np.float32)
    z_mean, z_log_var = model.encode(images)
    whole = losses.kl_loss(0.0, 1.0, z_mean, np.exp(0.5 * z_log_var.numpy()))
    activity = latent.kl_per_dimension(model, images)
    assert activity.shape == (LATENT,)
    np.testing.assert_allclose(activity.sum(), whole, rtol=1e-4)


def test_a_huge_variance_does_not_overflow():
    model, images = known_posterior(np.zeros((2, 2), np.float32), np.full((2, 2), 200, np.float32))
    assert np.isfinite(latent.kl_per_dimension(model, images)).all()


# Statistics along a path


def test_statistics_of_two_phases():
    labels = (normal(4, 16, 16) > np.linspace(-1, 1, 4)[:, None, None]).astype(np.uint8)
    statistics = latent.statistics_along(labels, 2)
    assert json.loads(json.dumps(statistics)) == statistics
    np.testing.assert_allclose(statistics["volume_fraction"]["1"], labels.mean(axis=(1, 2)))
    np.testing.assert_allclose(
        statistics["interface_density"], descriptors.interface_density(labels)
    )
    s2 = descriptors.two_point_correlation(labels)
    for end, index in (("start", 0), ("end", -1)):
        errors = statistics[f"s2_error_to_{end}"]
        assert errors.keys() == {"1"}
        expected = [descriptors.s2_error(each, s2[index]) for each in s2]
        np.testing.assert_allclose(errors["1"], expected)
        assert errors["1"][index] == 0 < min(np.delete(errors["1"], index))


def test_statistics_of_three_phases_are_those_of_each():
    labels = np.random.default_rng(0).integers(0, 3, (3, 8, 8)).astype(np.uint8)
    statistics = latent.statistics_along(labels, 3)
    for name in ("volume_fraction", "s2_error_to_start", "s2_error_to_end"):
        assert list(statistics[name]) == ["0", "1", "2"]
    np.testing.assert_allclose(sum(map(np.array, statistics["volume_fraction"].values())), 1)
    np.testing.assert_allclose(statistics["volume_fraction"]["2"], (labels == 2).mean(axis=(1, 2)))
