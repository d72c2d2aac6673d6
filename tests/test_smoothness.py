"""Changes along a traversal, and posteriors with closed forms."""

import numpy as np
import pytest
from scipy.stats import norm

from davegan_tf import smoothness
from davegan_tf.errors import InputError


def moving_square(columns, side=16, square=4, value=1.0):
    """A square of `value` whose left edge is at each of the columns: (frames, side, side)."""
    frames = np.zeros((len(columns), side, side))
    for frame, column in zip(frames, columns, strict=True):
        frame[6 : 6 + square, column : column + square] = value
    return frames


def frames_with_steps(steps):
    """One pixel that grows by each of the steps: (frames, 1, 1)."""
    return np.concatenate([[0], np.cumsum(steps)]).reshape(-1, 1, 1)


def test_changes_are_the_area_that_is_swept():
    """One column of the square leaves a pixel column and enters another: 8 of 256 pixels."""
    changes = smoothness.frame_changes(moving_square([0, 1, 2, 4, 9]))
    np.testing.assert_allclose(changes.steps, np.array([8, 8, 16, 32]) / 256)
    assert changes.mean == pytest.approx(16 / 256)
    assert changes.maximum == pytest.approx(32 / 256)


def test_changes_are_proportional_to_the_change_of_probability():
    """Not to its square."""
    columns = [0, 1, 3]
    full = smoothness.frame_changes(moving_square(columns)).steps
    half = smoothness.frame_changes(moving_square(columns, value=0.5)).steps
    np.testing.assert_allclose(half, full / 2)


def test_a_way_back_counts_as_much_as_the_way_there():
    changes = smoothness.frame_changes(moving_square([0, 1, 2, 1, 0]))
    np.testing.assert_allclose(changes.steps, 8 / 256)


def test_channels_are_pixels():
    frames = moving_square([0, 1, 3])
    phases = np.stack([frames, 1 - frames], axis=-1)
    np.testing.assert_allclose(
        smoothness.frame_changes(phases).steps, smoothness.frame_changes(frames).steps
    )


def test_integers_do_not_wrap_around():
    frames = moving_square([0, 1, 3]).astype(np.uint8)
    assert smoothness.frame_changes(frames).steps.tolist() == [8 / 256, 16 / 256]


def test_a_jump_is_sudden_and_an_even_motion_is_not():
    even = smoothness.frame_changes(moving_square(range(12)))
    assert not smoothness.has_sudden_change(even)
    jump = smoothness.frame_changes(moving_square([0, 0, 0, 1, 1, 1, 8, 8, 8, 9, 9, 9]))
    assert smoothness.has_sudden_change(jump)


def test_sudden_is_above_three_times_the_mean_and_no_less():
    steps = np.array([5, 5, 5, 5, 21, 5, 5, 5]) / 64  # mean 7/64: exact in binary
    assert not smoothness.has_sudden_change(smoothness.frame_changes(frames_with_steps(steps)))
    steps[4] += 2**-10
    changes = smoothness.frame_changes(frames_with_steps(steps))
    assert smoothness.has_sudden_change(changes)
    assert not smoothness.has_sudden_change(changes, factor=3.1)
    assert smoothness.has_sudden_change(changes, factor=2)


def test_frames_that_are_all_alike_have_no_sudden_change():
    changes = smoothness.frame_changes(np.full((6, 4, 4), 0.3))
    assert not smoothness.has_sudden_change(changes)
    assert changes.maximum == changes.mean == 0


def test_three_steps_cannot_tell():
    changes = smoothness.frame_changes(frames_with_steps([0, 0.9, 0]))
    with pytest.raises(InputError, match="3 steps"):
        smoothness.has_sudden_change(changes)
    assert smoothness.has_sudden_change(changes, factor=2)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((1, 4, 4)), r"two frames; got \(1, 4, 4\)"),
        (np.zeros((4, 4)), r"\(4, 4\)"),
        (np.zeros((3, 0, 4)), r"\(3, 0, 4\)"),
        (np.full((3, 4, 4), 1.5), "to 1.5"),
        (np.full((3, 4, 4), -1), "from -1"),
        (np.full((3, 4, 4), np.nan), "nan"),
    ],
)
def test_unusable_frames_are_named(frames, message):
    with pytest.raises(InputError, match=message):
        smoothness.frame_changes(frames)


def test_an_encoder_that_answers_with_the_prior_uses_nothing():
    posterior = smoothness.aggregate_posterior(np.zeros((50, 3)), np.zeros((50, 3)))
    for values, expected in zip(posterior, [0, False, 0, 1], strict=True):
        np.testing.assert_array_equal(values, [expected] * 3)
    assert posterior.n_active == 0


def test_kl_is_the_integral_that_it_stands_for():
    """Eq. 8 with the prior N(0, 1), by quadrature; the mean over images, per dimension."""
    rng = np.random.default_rng(0)
    z_mean, z_log_var = rng.standard_normal((2, 4, 3))
    grid = np.linspace(-20, 20, 200001)
    expected = np.zeros(3)
    for mean, std in zip(z_mean, np.exp(z_log_var / 2), strict=True):
        for index in range(3):
            log_density = norm.logpdf(grid, mean[index], std[index])
            ratio = np.exp(log_density) * (log_density - norm.logpdf(grid))
            expected[index] += np.trapezoid(ratio, grid) / 4
    found = smoothness.aggregate_posterior(z_mean, z_log_var)
    np.testing.assert_allclose(found.kl, expected, rtol=1e-9)


def test_kl_of_almost_the_prior_is_no_less_than_zero():
    """σ² and ln σ² cancel to rounding errors here, of which some would be negative."""
    tiny = np.random.default_rng(0).standard_normal((1, 1000)) * 1e-7
    kl = smoothness.aggregate_posterior(np.zeros((1, 1000)), tiny).kl
    assert kl.min() >= 0
    np.testing.assert_allclose(kl, tiny[0] ** 2 / 4, atol=1e-20)


def test_active_is_what_tells_images_apart():
    """By Burda et al. the posterior's mean must vary: being far from the prior is not enough."""
    images = np.linspace(-1, 1, 101)
    z_mean = np.stack([images, np.full(101, 2.0), 0.1 * images, np.zeros(101)], axis=1)
    z_log_var = np.zeros_like(z_mean)
    z_log_var[:, 3] = 1
    found = smoothness.aggregate_posterior(z_mean, z_log_var)
    assert found.active.tolist() == [True, False, False, False]
    assert (found.kl > 0.01).tolist() == [True, True, False, True]
    assert found.n_active == 1


@pytest.mark.parametrize(("spread", "active"), [(0.0099, False), (0.0101, True)])
def test_limits_of_activity(spread, active):
    """var(μ) just on either side of 0.01."""
    sign = np.array([[1.0], [-1.0]])
    found = smoothness.aggregate_posterior(sign * np.sqrt(spread), np.zeros((2, 1)))
    assert found.active.tolist() == [active]


def test_moments_are_those_of_the_mixture():
    """±1 with σ = 0.5 or 0.7 has the variance 1 + (0.25 + 0.49) / 2; and samples agree."""
    z_mean = np.array([[1.0, 3.0], [-1.0, 5.0]])
    std = np.array([[0.5, 1.0], [0.7, 2.0]])
    found = smoothness.aggregate_posterior(z_mean, np.log(std**2))
    np.testing.assert_allclose(found.mean, [0, 4])
    np.testing.assert_allclose(found.std, np.sqrt([1.37, 3.5]))
    rng = np.random.default_rng(0)
    samples = (z_mean + std * rng.standard_normal((200_000, 2, 2))).reshape(-1, 2)
    np.testing.assert_allclose(found.mean, samples.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(found.std, samples.std(axis=0), rtol=0.01)


@pytest.mark.parametrize(
    ("z_mean", "z_log_var", "message"),
    [
        (np.zeros((4, 2)), np.zeros((4, 3)), r"\(4, 2\) and \(4, 3\)"),
        (np.zeros(4), np.zeros(4), "latent_dim"),
        (np.zeros((0, 2)), np.zeros((0, 2)), r"\(0, 2\)"),
        (np.zeros((4, 2)), np.full((4, 2), np.inf), "finite"),
        (np.full((4, 2), np.nan), np.zeros((4, 2)), "finite"),
    ],
)
def test_unusable_posteriors_are_named(z_mean, z_log_var, message):
    with pytest.raises(InputError, match=message):
        smoothness.aggregate_posterior(z_mean, z_log_var)
