"""Descriptors against closed forms, brute-force sums, MCRpy, PyMKS and PoreSpy."""

import warnings

import numpy as np
import pytest

from davegan_tf import descriptors
from davegan_tf.errors import InputError


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def stripes(height=24, width=24, period=8):
    """Vertical stripes, half of each period in the phase."""
    return np.broadcast_to(np.arange(width) % period < period // 2, (height, width))


def brute_force_s2(indicator):
    height, width = indicator.shape
    total = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            moved = np.roll(indicator, (-row, -column), axis=(0, 1))
            total[row, column] = np.mean(indicator * moved)
    return total


@pytest.mark.parametrize("shape", [(8, 8), (7, 10), (9, 5)])
def test_s2_equals_the_sum_it_is_defined_by(rng, shape):
    indicator = (rng.random(shape) < 0.4).astype(float)
    s2 = descriptors.two_point_correlation(indicator)
    np.testing.assert_allclose(s2, brute_force_s2(indicator), atol=1e-14)


def test_s2_at_lag_zero_is_the_volume_fraction(rng):
    indicator = rng.random((2, 3, 16, 12)) < 0.3
    s2 = descriptors.two_point_correlation(indicator)
    assert s2.shape == indicator.shape
    np.testing.assert_allclose(s2[..., 0, 0], descriptors.volume_fraction(indicator), atol=1e-14)
    np.testing.assert_allclose(s2[1, 2], descriptors.two_point_correlation(indicator[1, 2]))


def test_s2_is_invariant_to_periodic_shifts_but_not_to_changes(rng):
    indicator = rng.random((16, 16)) < 0.5
    s2 = descriptors.two_point_correlation(indicator)
    moved = descriptors.two_point_correlation(np.roll(indicator, (3, -5), axis=(0, 1)))
    np.testing.assert_allclose(moved, s2, atol=1e-14)
    changed = indicator.copy()
    changed[0, 0] ^= True
    assert descriptors.s2_error(s2, descriptors.two_point_correlation(changed)) > 1e-3


def test_s2_is_computed_in_float64_whatever_comes_in(rng):
    indicator = (rng.random((64, 64)) < 0.5).astype(np.float32)
    s2 = descriptors.two_point_correlation(indicator)
    assert s2.dtype == np.float64
    np.testing.assert_allclose(s2 * s2.size, np.rint(s2 * s2.size), atol=1e-9)


def test_s2_of_a_checkerboard_and_of_stripes():
    rows, columns = np.indices((8, 8))
    s2 = descriptors.two_point_correlation((rows + columns) % 2)
    np.testing.assert_allclose(s2, np.where((rows + columns) % 2, 0, 0.5), atol=1e-15)
    # Stripes of width w overlap with themselves by |w − r| of every 2 w pixels.
    s2 = descriptors.two_point_correlation(stripes(period=8))
    expected = np.abs(4 - np.arange(24) % 8) / 8
    np.testing.assert_allclose(s2, np.broadcast_to(expected, (24, 24)), atol=1e-15)


def test_s2_equals_mcrpy(rng, monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings():
        # MCRpy is not ours to keep free of warnings.
        warnings.simplefilter("ignore")
        mcrpy = pytest.importorskip(
            "mcrpy.descriptors.FFTCorrelations",
            reason="MCRpy is not installed: pip install mcrpy==0.2.0",
            exc_type=ImportError,
        )
        # Importing MCRpy makes float64 the default of Keras in this process: not so for the tests to come.
        from keras import config

        config.set_floatx("float32")
        indicator = (rng.random((64, 64)) < 0.3).astype(float)
        compute = mcrpy.FFTCorrelations.make_singlephase_descriptor((64, 64), limit_to=16)
        expected = np.asarray(compute(indicator))
    ours = np.fft.fftshift(descriptors.two_point_correlation(indicator))
    np.testing.assert_allclose(ours[32 - 15 : 32 + 16, 32 - 15 : 32 + 16], expected, atol=1e-12)


def test_s2_equals_pymks(rng):
    indicator = rng.random((2, 24, 30)) < 0.3
    with warnings.catch_warnings():
        # PyMKS is not ours to keep free of warnings.
        warnings.simplefilter("ignore")
        pymks = pytest.importorskip(
            "pymks",
            reason="PyMKS is not installed: pip install pymks==0.4.1 pyarrow 'setuptools<82'",
            exc_type=ImportError,
        )
        correlation = pymks.TwoPointCorrelation(correlations=[(0, 0)], periodic_boundary=True)
        phases = np.stack([indicator, ~indicator], axis=-1).astype(float)
        expected = np.asarray(correlation.transform(phases))[..., 0]
    # PyMKS gives lags shorter than half of the shorter side, (0, 0) in the middle.
    ours = np.fft.fftshift(descriptors.two_point_correlation(indicator), axes=(-2, -1))
    np.testing.assert_allclose(ours[:, 12 - 11 : 12 + 12, 15 - 11 : 15 + 12], expected, atol=1e-14)


def test_autocovariance_of_white_noise_vanishes_off_the_origin(rng):
    covariance = descriptors.normalized_autocovariance(rng.random((400, 32, 32)) < 0.8)
    np.testing.assert_allclose(covariance[:, 0, 0], 1, atol=1e-12)
    mean = covariance.mean(axis=0)
    mean[0, 0] = 0
    # One standard deviation is 1 / sqrt(400 · 1024) = 0.0016; the estimated φ makes a bias −1/1024.
    assert np.abs(mean).max() < 0.01


def test_autocovariance_does_not_see_which_phase_is_which(rng):
    indicator = rng.random((16, 16)) < 0.2
    np.testing.assert_allclose(
        descriptors.normalized_autocovariance(indicator),
        descriptors.normalized_autocovariance(~indicator),
        atol=1e-12,
    )


@pytest.mark.parametrize("value", [0, 1])
def test_autocovariance_of_a_constant_image_is_zero(value):
    images = np.stack([np.full((6, 7), value), np.eye(6, 7)])
    covariance = descriptors.normalized_autocovariance(images)
    np.testing.assert_array_equal(covariance[0], 0)
    assert covariance[1, 0, 0] == pytest.approx(1)


def test_lags_are_the_shorter_way_round():
    rows, columns = descriptors.lags((4, 5))
    np.testing.assert_array_equal(rows[:, 0], [0, 1, -2, -1])
    np.testing.assert_array_equal(columns[0], [0, 1, 2, -2, -1])
    assert descriptors.lag_lengths((49, 49))[0, 7] == 7
    assert descriptors.lag_lengths((8, 8))[3, 4] == 5


def test_radial_average_of_a_function_of_the_distance():
    lengths = descriptors.lag_lengths((16, 20))
    average = descriptors.radial_average(np.stack([np.rint(lengths), 2 * np.rint(lengths)]))
    np.testing.assert_allclose(average, [np.arange(9), 2 * np.arange(9)])


def test_error_of_an_image_with_itself_is_zero_and_of_a_known_difference_its_rms(rng):
    s2 = descriptors.two_point_correlation(rng.random((3, 16, 16)) < 0.5)
    np.testing.assert_array_equal(descriptors.s2_error(s2, s2), 0)
    difference = np.zeros((16, 16))
    difference[0, 0], difference[5, 5] = 0.3, 0.4
    np.testing.assert_allclose(descriptors.s2_error(s2, s2 + difference), [0.5 / 16] * 3)
    # Within |r| ≤ 1 lie 5 displacements, of which one differs.
    within = descriptors.s2_error(s2, s2 + difference, max_lag=1)
    np.testing.assert_allclose(within, [0.3 / np.sqrt(5)] * 3)


def test_error_of_constant_images_is_the_difference_of_their_squared_fractions():
    a = descriptors.two_point_correlation(np.full((8, 8), 0.9))
    b = descriptors.two_point_correlation(np.full((8, 8), 0.8))
    assert descriptors.s2_error(a, b) == pytest.approx(0.81 - 0.64)


def test_errors_of_pairs_are_those_of_each_pair(rng):
    s2 = descriptors.two_point_correlation(rng.random((4, 8, 8)) < 0.5)
    others = descriptors.two_point_correlation(rng.random((5, 8, 8)) < 0.5)
    pairs = np.array([[float(descriptors.s2_error(a, b)) for b in others] for a in s2])
    np.testing.assert_allclose(descriptors.pairwise_s2_error(s2, others), pairs)
    assert np.diag(descriptors.pairwise_s2_error(s2, s2)).max() == 0


def test_interface_density_of_stripes_checkerboard_and_constant():
    # 24 columns hold 5 boundaries between 6 stripes, in each of 24 rows; of 2 · 24 · 23 pairs.
    assert descriptors.interface_density(stripes()) == pytest.approx(5 * 24 / (2 * 24 * 23))
    assert descriptors.interface_density(np.indices((6, 9)).sum(axis=0) % 2) == 1
    np.testing.assert_array_equal(descriptors.interface_density(np.ones((2, 4, 4), np.uint8)), 0)
    # Any change of the label counts once, of whatever size.
    assert descriptors.interface_density(np.array([[0, 2]], np.uint8)) == 1


def brute_force_lineal_path(lines, length):
    places = [
        line[start : start + length + 1].all()
        for line in lines
        for start in range(len(line) - length)
    ]
    return np.mean(places)


def test_lineal_path_equals_counting_segments(rng):
    indicator = rng.random((2, 7, 9)) < 0.8
    path = descriptors.lineal_path(indicator)
    assert path.shape == (2, 2, 7)
    for image, (vertical, horizontal) in zip(indicator, path, strict=True):
        expected = [brute_force_lineal_path(image.T, length) for length in range(7)]
        np.testing.assert_allclose(vertical, expected)
        expected = [brute_force_lineal_path(image, length) for length in range(7)]
        np.testing.assert_allclose(horizontal, expected)


def test_lineal_path_of_stripes_tells_the_directions_apart():
    vertical, horizontal = descriptors.lineal_path(stripes(), max_length=4)
    np.testing.assert_allclose(vertical, 0.5)
    np.testing.assert_allclose(horizontal[[0, 3, 4]], [0.5, 3 / 21, 0])
    with pytest.raises(InputError, match="max_length is 24; expected 0 to 23"):
        descriptors.lineal_path(stripes(), max_length=24)


def test_lineal_path_follows_from_that_of_porespy(rng):
    indicator = rng.random((20, 27)) < 0.8
    path = descriptors.lineal_path(indicator)
    lengths = np.arange(20)
    for axis, ours in enumerate(path):
        with warnings.catch_warnings():
            # PoreSpy is not ours to keep free of warnings.
            warnings.simplefilter("ignore")
            porespy = pytest.importorskip(
                "porespy", reason="PoreSpy is not installed: pip install porespy"
            )
            distance = porespy.filters.distance_transform_lin(indicator, axis, mode="forward")
            edges = np.arange(1, max(indicator.shape) + 2)
            theirs = porespy.metrics.lineal_path_distribution(distance, bins=edges)
        # PoreSpy: the share of the phase's pixels that end a segment of r + 1 pixels in the phase.
        # Ours: the same number of segments, but as a share of all places where one fits.
        side = indicator.shape[axis]
        expected = indicator.mean() * theirs.cdf[:20] * side / (side - lengths)
        np.testing.assert_allclose(ours, expected, atol=1e-14)


@pytest.mark.parametrize("shape", [(5,), (0, 4), (3, 4, 0)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(InputError, match=r"expected \(\.\.\., height, width\)"):
        descriptors.volume_fraction(np.zeros(shape))
