"""T, T_μ and T_σ: exact against ``tf.roll``, with explicit draws."""

import numpy as np
import pytest
import tensorflow as tf

from davegan_tf import augmentation, descriptors

SHIFTS = [
    [(0, 0), (0, 0), (0, 0)],
    [(1, 2), (-3, 4), (2, -1)],
    [(-1, -1), (0, 5), (3, 0)],
    # Beyond the image, several times round, both ways.
    [(9, 100), (-17, -36), (-1000, 999)],
]
SHAPES = [(3, 8, 8, 1), (3, 5, 9, 1), (3, 9, 4, 3)]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def roll(images, shifts):
    """The reference: one ``tf.roll`` for each sample."""
    pairs = zip(tf.unstack(images), np.asarray(shifts).tolist(), strict=True)
    return tf.stack([tf.roll(image, shift, axis=(0, 1)) for image, shift in pairs])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("shifts", SHIFTS)
def test_translation_rolls_every_sample_by_its_own_shift(rng, shape, shifts):
    images = tf.constant(rng.normal(size=shape).astype("float32"))
    moved = augmentation.translate(images, tf.constant(shifts))
    assert moved.dtype == images.dtype
    np.testing.assert_array_equal(moved, roll(images, shifts))


def test_a_pixel_moves_down_and_right():
    image = np.zeros((1, 4, 6, 1), np.float32)
    image[0, 1, 2] = 1
    moved = augmentation.translate(tf.constant(image), tf.constant([[1, 3]])).numpy()
    assert np.argwhere(moved).tolist() == [[0, 2, 5, 0]]
    moved = augmentation.translate(tf.constant(image), tf.constant([[-2, 4]])).numpy()
    assert np.argwhere(moved).tolist() == [[0, 3, 0, 0]]


def test_translation_by_zero_or_by_the_size_is_the_identity_and_its_inverse_undoes_it(rng):
    images = tf.constant(rng.normal(size=(2, 6, 4, 2)))
    for shifts in ([[0, 0], [0, 0]], [[6, -4], [-12, 8]]):
        moved = augmentation.translate(images, tf.constant(shifts))
        np.testing.assert_array_equal(moved, images)
    shifts = tf.constant([[2, -1], [7, 3]])
    back = augmentation.translate(augmentation.translate(images, shifts), -shifts)
    np.testing.assert_array_equal(back, images)


def test_translation_changes_neither_volume_fraction_nor_s2(rng):
    images = (rng.random((3, 16, 12, 1)) < 0.4).astype("float32")
    shifts = tf.constant([(3, -5), (20, 7), (-1, 1)])
    moved = augmentation.translate(tf.constant(images), shifts).numpy()
    assert not np.array_equal(moved, images)
    before, after = images[..., 0], moved[..., 0]
    np.testing.assert_array_equal(
        descriptors.volume_fraction(after), descriptors.volume_fraction(before)
    )
    np.testing.assert_allclose(
        descriptors.two_point_correlation(after),
        descriptors.two_point_correlation(before),
        atol=1e-14,
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("shifts", SHIFTS)
def test_gradient_of_a_translation_is_the_inverse_translation(rng, shape, shifts):
    images, upstream = (tf.constant(rng.normal(size=shape)) for _ in range(2))

    def gradient(function):
        with tf.GradientTape() as tape:
            tape.watch(images)
            moved = function(images, tf.constant(shifts))
        return tape.gradient(moved, images, output_gradients=upstream)

    got = gradient(augmentation.translate)
    np.testing.assert_array_equal(got, roll(upstream, -np.asarray(shifts)))
    np.testing.assert_array_equal(got, gradient(roll))


def test_translation_in_graph_mode_with_any_batch_and_its_second_derivative(rng):
    weights = tf.constant(rng.normal(size=(5, 7, 2)))

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 5, 7, 2], tf.float64),
            tf.TensorSpec([None, 2], tf.int32),
        ]
    )
    def derivatives(images, shifts):
        with tf.GradientTape() as outer:
            outer.watch(images)
            with tf.GradientTape() as inner:
                inner.watch(images)
                moved = augmentation.translate(images, shifts)
                value = tf.reduce_sum(weights * moved**3)
            first = inner.gradient(value, images)
            total = tf.reduce_sum(first)
        return moved, first, outer.gradient(total, images)

    for shifts in ([[1, -2]], [[0, 9], [-4, 3], [11, 0]]):
        images = tf.constant(rng.normal(size=(len(shifts), 5, 7, 2)))
        moved, first, second = derivatives(images, tf.constant(shifts))
        back = roll(tf.stack([weights] * len(shifts)), -np.asarray(shifts))
        np.testing.assert_array_equal(moved, roll(images, shifts))
        np.testing.assert_allclose(first, back * 3 * images**2)
        np.testing.assert_allclose(second, back * 6 * images)


@pytest.mark.parametrize("std", [0.0, 2.5, 8.0])
def test_displacements_are_rounded_normals_of_the_given_std(rng, std):
    normal = rng.standard_normal((20000, 2)).astype("float32")
    shifts = augmentation.round_translation(tf.constant(normal), std).numpy()
    assert shifts.dtype == np.int32
    assert np.abs(shifts - normal * std).max() <= 0.5 + 1e-5
    # Rounding adds the variance of a uniform error, 1 / 12.
    expected = np.sqrt(std**2 + 1 / 12) if std else 0
    np.testing.assert_allclose(np.std(shifts, axis=0), expected, rtol=0.02)
    np.testing.assert_allclose(np.mean(shifts, axis=0), 0, atol=0.03 * std)


def test_displacements_round_to_the_nearest_pixel():
    normal = tf.constant([[0.4, -0.4], [0.6, -0.6], [1.2, -1.8]])
    shifts = augmentation.round_translation(normal, 1.0)
    np.testing.assert_array_equal(shifts, [[0, 0], [1, -1], [1, -2]])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("scale", [-2.5, 0, 3]), ("shift", [-1.75, 0.5, 2.5]), ("none", [-2, 0, 2])],
)
def test_t_mu(name, expected):
    transform = augmentation.MEAN_TRANSFORMS[name]
    moved = transform(np.array([-2.0, 0.0, 2.0]), np.array([0.25, 0.5, 0.5]))
    np.testing.assert_allclose(moved, expected)


@pytest.mark.parametrize(
    ("name", "expected"), [("shift", [0.75, 2.5]), ("scale", [0.125, 1]), ("none", [0.5, 2])]
)
def test_t_sigma(name, expected):
    moved = augmentation.STD_TRANSFORMS[name](np.array([0.5, 2.0]), np.array([0.25, 0.5]))
    np.testing.assert_allclose(moved, expected)


def test_moments_are_those_of_the_draws(rng):
    normal = rng.standard_normal((64, 5)).astype("float32")
    mean, std = augmentation.prior_moments(tf.constant(normal), "moments")
    np.testing.assert_allclose(mean, normal.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(std, normal.std(axis=0), rtol=1e-5)


def test_moments_are_positive_and_centred_on_zero_and_one(rng):
    normal = tf.constant(rng.standard_normal((64, 20000)))
    mean, std = (value.numpy() for value in augmentation.prior_moments(normal, "moments"))
    assert abs(mean.mean()) < 0.005
    assert mean.std() == pytest.approx(1 / 8, rel=0.03)
    assert std.mean() == pytest.approx(1, abs=0.02)
    assert std.std() == pytest.approx(1 / np.sqrt(128), rel=0.05)
    assert std.min() > 0.5


def test_fixed_prior_is_the_standard_normal_whatever_is_drawn(rng):
    normal = tf.constant(rng.standard_normal((64, 5)).astype("float32"))
    mean, std = augmentation.prior_moments(normal, "fixed")
    np.testing.assert_array_equal(mean, np.zeros(5))
    np.testing.assert_array_equal(std, np.ones(5))
    assert mean.dtype == std.dtype == tf.float32


def test_gaussian_prior_is_one_draw_for_each_and_its_std_is_positive(rng):
    normal = tf.constant(rng.standard_normal((64, 20000)))
    mean, std = (value.numpy() for value in augmentation.prior_moments(normal, "gaussian"))
    assert mean.mean() == pytest.approx(0, abs=0.03)
    assert mean.std() == pytest.approx(1, abs=0.02)
    assert std.min() >= 0
    # The mean of a folded standard normal.
    assert std.mean() == pytest.approx(np.sqrt(2 / np.pi), abs=0.02)
    assert abs(np.corrcoef(np.abs(mean), std)[0, 1]) < 0.03


@pytest.mark.parametrize("prior", ["moment", "", None])
def test_an_unknown_prior_is_refused(prior):
    with pytest.raises(ValueError, match=f"prior is {prior!r}, expected 'moments', 'fixed' or"):
        augmentation.prior_moments(tf.zeros([2, 3]), prior)
