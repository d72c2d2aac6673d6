"""The losses of sets against plain loops, closed forms, draws and scipy, and that they are without bias."""

import re

import numpy as np
import pytest
import tensorflow as tf
from conftest import gradient

from davegan_tf import descriptors, set_losses, topology


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# Statistics of samples against the material's


def labels_of(rng, n=3, channels=1):
    """Phase labels (n, 6, 7) and the probabilities of images that round to them."""
    if channels == 1:
        labels = rng.integers(0, 2, (n, 6, 7))
        return labels, (0.1 + 0.8 * labels + rng.uniform(-0.09, 0.09, labels.shape))[..., None]
    labels = rng.integers(0, channels, (n, 6, 7))
    return labels, 0.2 + 0.4 * np.eye(channels)[labels]


def chord_shares(inside, longest):
    """Chords of 1, 2 … pixels along rows, of (n, height, width) bool, counted one by one: (n, longest)."""
    n, height, width = inside.shape
    shares = np.zeros((n, longest))
    for image, row in np.ndindex(n, height):
        line = "".join("ab"[pixel] for pixel in inside[image, row].astype(int))
        for found in re.finditer("(?<=a)b+(?=a)", line):
            length = len(found[0])
            if length <= longest:
                shares[image, length - 1] += 1 / height / (width - length - 1)
    return shares


@pytest.mark.parametrize("channels", [1, 3])
def test_statistics_are_fractions_differing_neighbours_corners_and_short_chords(rng, channels):
    labels, probabilities = labels_of(rng, channels=channels)
    found = set_losses.short_range_statistics(tf.constant(probabilities)).numpy()
    phases = [labels == phase for phase in ([1, 0] if channels == 1 else range(channels))]
    expected = [inside.mean(axis=(1, 2)) for inside in phases]
    for first, second in (
        (np.s_[:, :, 1:], np.s_[:, :, :-1]),
        (np.s_[:, 1:], np.s_[:, :-1]),
        (np.s_[:, 1:, 1:], np.s_[:, :-1, :-1]),
        (np.s_[:, 1:, :-1], np.s_[:, :-1, 1:]),
    ):
        for inside in phases[:channels]:
            expected.append((inside[first] != inside[second]).mean(axis=(1, 2)))
    for inside in phases:
        squares = np.lib.stride_tricks.sliding_window_view(inside, (2, 2), axis=(1, 2))
        expected.append((squares.sum(axis=(3, 4)) == 1).mean(axis=(1, 2)))
    for turned in (phases, [inside.swapaxes(1, 2) for inside in phases]):
        shares = [chord_shares(inside, 3) for inside in turned]
        expected += [each[:, length] for length in range(3) for each in shares]
    np.testing.assert_allclose(found, np.stack(expected, axis=1), atol=1e-12)
    assert set_losses.n_statistics(channels) == found.shape[1]
    if channels == 1:
        density = (found[:, 2] * 36 + found[:, 3] * 35) / 71
        np.testing.assert_allclose(density, descriptors.interface_density(labels), atol=1e-12)


def test_the_euler_number_is_among_the_statistics(rng):
    """(Q1 − Q3 + 2 QD) / 4 of the squares with one, three and two diagonal pixels, where none lies on the rim."""
    inside = np.pad(rng.random((5, 20, 30)) < 0.6, ((0, 0), (1, 1), (1, 1)))
    found = set_losses.short_range_statistics(tf.constant(inside[..., None], tf.float64)).numpy().T
    beside, below, diagonal, other, one, three = (
        share * places
        for share, places in zip(found[2:8], (682, 672, 651, 651, 651, 651), strict=True)
    )
    # A square with two pixels side by side has two differing pairs along its sides, each of them in two squares, and
    # two across; one with two diagonal pixels four and none; one with one or three two and one.
    two = (diagonal + other - one - three) / 2
    diagonals = (2 * (beside + below) - 2 * (one + three) - 2 * two) / 4
    expected = topology.euler_number_density(inside) * 704
    np.testing.assert_allclose((one - three + 2 * diagonals) / 4, expected, atol=1e-9)


def test_the_gradient_knows_a_stray_pixel_from_a_straight_boundary():
    """Fewer differing neighbours: a stray pixel has to go, one on either side of a boundary has to stay."""
    image = np.full((1, 9, 9, 1), 0.1)
    image[:, :, 5:] = 0.9
    image[0, 4, 2] = 0.9
    by_pixel = gradient(
        lambda x: tf.reduce_sum(set_losses.short_range_statistics(x)[:, 2:]), image
    )[0, ..., 0]
    assert by_pixel[4, 2] > 0
    assert (by_pixel[1:-1, 5] < 0).all()
    assert (by_pixel[1:3, 4] > 0).all()


def test_the_difference_of_statistics_is_estimated_without_bias(rng):
    """Mean over many batches of four; a squared mean would be larger by the variance over four."""
    material = np.array([[0.5, 0.2], [0.04, 0.01]])
    bias, std = np.array([0.3, -0.1]), np.array([0.2, 0.3])
    batches = tf.constant(material[0] + bias + rng.normal(0, std, (20000, 4, 2)))
    loss = tf.function(lambda batch: set_losses.statistics_loss(batch, material))
    found = tf.function(lambda all_of_them: tf.map_fn(loss, all_of_them))(batches)
    # Mean squares about the material's mean: 0.09 + 0.04 and 0.01 + 0.09.
    expected = 0.09 / 0.501 + 0.01 / 0.201 + 0.09**2 / 0.04 + 0.09**2 / 0.01
    assert np.mean(found) == pytest.approx(expected, rel=0.05)


def test_the_difference_of_statistics_in_closed_form():
    generated, material = np.array([[0.3], [0.1], [0.5]]), np.array([[0.199], [0.01]])
    # d = 0.101, −0.099, 0.301: twice the three products of two different ones, over 6 and 0.2.
    expected = 2 * (-0.101 * 0.099 + 0.101 * 0.301 - 0.099 * 0.301) / 6 / 0.2
    e = np.array([0.101, 0.099, 0.301]) ** 2 - 0.01
    expected += 2 * (e[0] * e[1] + e[0] * e[2] + e[1] * e[2]) / 6 / 0.010001
    found = set_losses.statistics_loss(tf.constant(generated), tf.constant(material))
    assert float(found) == pytest.approx(expected)
    with pytest.raises(ValueError, match="two images"):
        set_losses.statistics_loss(tf.constant(generated[:1]), tf.constant(material))


def of_one(loss, *shapes):
    """A loss and its gradient for a batch of one whose size is unknown when it is traced, as ``fit`` may end with."""

    @tf.function(input_signature=[tf.TensorSpec([None, *shape], tf.float32) for shape in shapes])
    def both(*batches):
        with tf.GradientTape() as tape:
            tape.watch(batches)
            value = loss(*batches)
        return value, tape.gradient(value, batches)

    rng = np.random.default_rng(5)
    return both(*(tf.constant(rng.random((1, *shape)), tf.float32) for shape in shapes))


def test_one_image_has_no_pairs():
    """No part in the loss then, rather than NaN in all weights."""
    material = np.array([[0.5, 0.2], [0.04, 0.01]], np.float32)
    multipliers = np.array([0.1, -0.2], np.float32)
    for found in (
        of_one(lambda x: set_losses.statistics_loss(x, material), [2]),
        of_one(lambda x: set_losses.statistics_loss(x, material, multipliers), [2]),
        of_one(set_losses.independence_loss, [6, 5, 1], [7], [6, 5, 1], [7]),
    ):
        for value in tf.nest.flatten(found):
            np.testing.assert_allclose(value, 0, atol=1e-6)


def test_normality_of_one_code_is_its_distance_from_the_prior():
    value, (slope,) = of_one(set_losses.normality_loss, [5])
    assert np.isfinite(value)
    # Towards the origin.
    assert np.isfinite(slope).all() and np.all(slope > 0)


def test_multipliers_in_closed_form():
    """They grow by the rate times the mean difference, up to the material's standard deviation."""
    material = np.array([[0.5, 0.2], [0.04, 0.01]])
    generated = tf.constant([[0.7, 0.1], [0.5, 0.2]], tf.float64)
    found = set_losses.next_multipliers(np.array([0.15, -0.12]), generated, material, 0.1)
    np.testing.assert_allclose(found, [0.15 + 0.1 * 0.1, -0.1], atol=1e-12)


def test_multipliers_take_means_to_the_materials_against_a_steady_force():
    """Gradient descent of the penalty less force · mean: a penalty alone comes to rest at some distance."""
    spread = np.linspace(-0.3, 0.3, 20, dtype=np.float32)[:, None]
    material = np.stack([[0.3], spread.var(axis=0)]).astype(np.float32)

    @tf.function
    def settle(mean, multipliers, rate):
        for _ in tf.range(3000):
            with tf.GradientTape() as tape:
                tape.watch(mean)
                generated = mean + spread
                loss = set_losses.statistics_loss(generated, material, multipliers) - 0.3 * mean[0]
            mean -= 0.02 * tape.gradient(loss, mean)
            multipliers = set_losses.next_multipliers(multipliers, generated, material, rate)
        return mean

    penalty, multiplied = (
        float(settle(tf.constant([0.4]), tf.zeros(1), tf.constant(rate))[0]) for rate in (0.0, 0.01)
    )
    assert penalty > 0.33
    assert multiplied == pytest.approx(0.3, abs=0.002)


def trace_by_loops(generated, z, images, z_mean):
    """The definition of the independence loss, pair by pair."""
    total = 0.0
    for image, code in zip(images, z_mean, strict=True):
        alike = [
            np.dot(each, code) / np.linalg.norm(each) / np.linalg.norm(code) * correlation
            for each, correlation in zip(
                z, (np.corrcoef(g.ravel(), image.ravel())[0, 1] for g in generated), strict=True
            )
        ]
        n = len(alike)
        pairs = [alike[i] * alike[k] for i in range(n) for k in range(n) if i != k]
        total += sum(pairs) / (n * (n - 1))
    return total / len(images)


def test_independence_is_the_mean_trace_squared(rng):
    generated, images = rng.random((4, 6, 5, 1)), rng.random((3, 6, 5, 1))
    z, z_mean = rng.normal(size=(4, 7)), rng.normal(size=(3, 7))
    found = set_losses.independence_loss(*map(tf.constant, (generated, z, images, z_mean)))
    assert float(found) == pytest.approx(trace_by_loops(generated, z, images, z_mean), abs=1e-12)


@pytest.mark.parametrize(("trace", "expected"), [(0.0, 0.0), (0.6, 0.6**2 / 9)])
def test_independence_is_estimated_without_bias(rng, trace, expected):
    """Of samples that are noise, and of noise with ``trace`` · cos(z, code) of an image in it.

    With cos² 1 / 3 in the mean of three dimensions, the mean of cosine times correlation is trace / 3.
    """
    image = rng.normal(size=(1, 16, 16, 1))
    code = np.array([[1.0, 0.0, 0.0]])
    image = (image - image.mean()) / image.std()
    loss, found = tf.function(set_losses.independence_loss), []
    for _ in range(1500):
        z = rng.normal(size=(4, 3))
        cosine = z[:, 0] / np.linalg.norm(z, axis=1)
        noise = rng.normal(size=(4, 16, 16, 1))
        share = (trace * cosine)[:, None, None, None]
        generated = share * image + np.sqrt(1 - share**2) * noise
        found.append(loss(*map(tf.constant, (generated, z, image, code))))
    assert np.mean(found) == pytest.approx(expected, abs=0.003)


def test_independence_of_a_plain_image_has_a_gradient():
    """Images of one phase alone have no correlation; the training must not end in NaN for it."""
    z = np.eye(2, 3)
    plain = np.ones((2, 4, 4, 1))
    slope = gradient(lambda x: set_losses.independence_loss(x, z, plain, z), plain)
    assert np.isfinite(slope).all()


# Codes against the prior


def kernel_over_the_prior(z, s2, draws):
    """Mean of exp(−‖z − z'‖² / 2s²) over draws z' of N(0, 1)."""
    return np.exp(-((z[:, None] - draws) ** 2).sum(axis=2) / (2 * s2)).mean(axis=1)


def test_normality_is_the_discrepancy_that_defines_it(rng):
    # Expectations over the prior by many draws instead of the closed forms, pairs one by one.
    z, draws = rng.normal(0.5, 1.5, (4, 2)), rng.standard_normal((2, 100_000, 2))
    expected = []
    for s2 in 2 * np.array(set_losses.KERNEL_WIDTHS):
        pairs = [np.exp(-((z[i] - z[j]) ** 2).sum() / (2 * s2)) for i in range(4) for j in range(i)]
        prior = np.exp(-((draws[0] - draws[1]) ** 2).sum(axis=1) / (2 * s2)).mean()
        expected.append(np.mean(pairs) - 2 * kernel_over_the_prior(z, s2, draws[0]).mean() + prior)
    found = set_losses.normality_loss(tf.constant(z))
    assert float(found) == pytest.approx(np.mean(expected), abs=3e-3)
    assert abs(float(found)) > 0.02


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, shape: rng.uniform(-np.sqrt(3), np.sqrt(3), shape),  # a box
        lambda rng, shape: 0.85 * rng.standard_normal(shape),
        lambda rng, shape: 0.3 + rng.standard_normal(shape),
    ],
    ids=["box of variance 1", "too narrow", "off the origin"],
)
def test_normality_tells_other_distributions_from_the_prior(rng, draw):
    """In the mean over small batches: without bias, however few codes a batch has."""
    loss = tf.function(lambda batches: tf.map_fn(set_losses.normality_loss, batches))
    normal, other = (
        np.mean(loss(tf.constant(make(rng, (3000, 8, 5)))))
        for make in (lambda rng, shape: rng.standard_normal(shape), draw)
    )
    assert normal == pytest.approx(0, abs=8e-4)
    assert other > 1.5e-3


def test_the_gradient_of_normality_widens_narrow_codes_and_centres_others(rng):
    z = rng.standard_normal((500, 5))
    towards_the_origin = (gradient(set_losses.normality_loss, 1.3 * z) * z).sum()
    assert towards_the_origin > 0 > (gradient(set_losses.normality_loss, 0.7 * z) * z).sum()
    assert gradient(set_losses.normality_loss, 0.3 + z).sum(axis=0).min() > 0
    # Codes that coincide have a distance of 0, and a gradient that is a number.
    assert np.isfinite(gradient(set_losses.normality_loss, np.ones((3, 5)))).all()


def test_one_code_has_no_distribution():
    with pytest.raises(ValueError, match="two or more"):
        set_losses.normality_loss(tf.zeros([1, 5]))


def test_a_loss_is_computed_where_it_is_asked_for_and_its_gradient_goes_to_the_samples():
    """By a bool or by a tensor in one compiled program."""
    samples, others = tf.constant([[0.3, 0.7], [0.2, 0.9]]), tf.constant([[2.0, -1.0]])
    calls = tf.Variable(0, trainable=False)

    def loss(samples, others):
        calls.assign_add(1)
        return tf.reduce_sum(samples**3 * others)

    def value_and_gradients(asked):
        with tf.GradientTape() as tape:
            tape.watch((samples, others))
            value = 4.0 * set_losses.where_asked(asked, loss, samples, others) + tf.reduce_sum(
                samples
            )
        return value, *tape.gradient(value, (samples, others))

    program = tf.function(value_and_gradients, jit_compile=True)
    wanted = {
        True: (4.0 * np.sum(samples**3 * others) + 2.1, 12.0 * samples**2 * others + 1.0),
        False: (2.1, tf.ones_like(samples)),
    }
    for count, asked in enumerate((False, True)):
        for ways in (value_and_gradients(asked), program(tf.constant(asked))):
            value, by_samples, by_others = ways
            np.testing.assert_allclose(value, wanted[asked][0], rtol=1e-6)
            np.testing.assert_allclose(by_samples, wanted[asked][1], rtol=1e-6)
            assert by_others is None or not np.any(by_others)
        assert int(calls) == 2 * count
    assert program.experimental_get_tracing_count() == 1
