"""Every loss against its closed form, scipy's likelihoods, or its naive formula in float64."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import gradient
from scipy import integrate, special, stats

from davegan_tf import losses


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def normals(rng, shape):
    """Prior mean, prior std, posterior mean, posterior std, none of them near 0 or 1."""
    return (
        rng.normal(size=shape),
        rng.uniform(0.3, 3, shape),
        rng.normal(size=shape),
        rng.uniform(0.3, 3, shape),
    )


# --- Eq. 8 and 9 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [(0, 1, 0, 1), (0.5, 2, -1, 0.7), (-2, 0.4, -1.5, 1.3)])
def test_kl_is_the_integral_that_defines_it(values):
    prior_mean, prior_std, posterior_mean, posterior_std = values
    prior, posterior = stats.norm(prior_mean, prior_std), stats.norm(posterior_mean, posterior_std)
    integral, _ = integrate.quad(
        lambda z: posterior.pdf(z) * (posterior.logpdf(z) - prior.logpdf(z)), -15, 15
    )
    kl = losses.kl_loss(*tf.constant(np.reshape(values, (4, 1, 1)), tf.float64))
    assert float(kl) == pytest.approx(integral, abs=1e-7)


def test_kl_is_cross_entropy_minus_scipys_entropy(rng):
    prior_mean, prior_std, posterior_mean, posterior_std = values = normals(rng, (3, 5))
    cross_entropy = stats.norm(prior_mean, prior_std).entropy() - 0.5
    cross_entropy += (posterior_std**2 + (posterior_mean - prior_mean) ** 2) / (2 * prior_std**2)
    expected = cross_entropy - stats.norm(posterior_mean, posterior_std).entropy()
    # Summed over the latent dimensions, then the mean over the batch.
    assert float(losses.kl_loss(*values)) == pytest.approx(expected.sum(axis=1).mean())


def test_kl_with_the_standard_normal_prior_is_eq_9(rng):
    _, _, mean, std = normals(rng, (4, 6))
    expected = 0.5 * (std**2 + mean**2 - 1 - np.log(std**2)).sum(axis=1).mean()
    zeros, ones = np.zeros_like(mean), np.ones_like(std)
    assert float(losses.kl_loss(zeros, ones, mean, std)) == pytest.approx(expected)
    assert float(losses.kl_loss(zeros, ones, zeros, ones)) == 0


def test_kl_vanishes_for_equal_distributions_only(rng):
    prior_mean, prior_std, mean, std = normals(rng, (4, 6))
    assert float(losses.kl_loss(mean, std, mean, std)) == pytest.approx(0, abs=1e-12)
    assert float(losses.kl_loss(prior_mean, std, mean, std)) > 0.1
    assert float(losses.kl_loss(mean, prior_std, mean, std)) > 0.1


def test_kl_is_not_symmetric():
    # It asks for the divergence of the posterior from the prior: a too narrow prior costs more than a too wide one.
    zero, narrow, wide = tf.zeros([1, 1]), tf.ones([1, 1]), tf.fill([1, 1], 2.0)
    assert float(losses.kl_loss(zero, narrow, zero, wide)) == pytest.approx(1.5 - np.log(2))
    assert float(losses.kl_loss(zero, wide, zero, narrow)) == pytest.approx(np.log(2) - 0.375)


def test_a_shift_of_both_means_cancels_and_a_scale_of_all_too(rng):
    prior_mean, prior_std, mean, std = normals(rng, (2, 3))
    kl = float(losses.kl_loss(prior_mean, prior_std, mean, std))
    u = rng.uniform(size=(2, 3))
    moved = losses.kl_loss(prior_mean + u, prior_std, mean + u, std)
    assert float(moved) == pytest.approx(kl)
    scaled = losses.kl_loss(u * prior_mean, u * prior_std, u * mean, u * std)
    assert float(scaled) == pytest.approx(kl)


def test_one_prior_serves_the_whole_batch(rng):
    prior_mean, prior_std, mean, std = normals(rng, (4, 6))
    broadcast = losses.kl_loss(prior_mean[0], prior_std[0], mean, std)
    repeated = losses.kl_loss(
        np.tile(prior_mean[0], (4, 1)), np.tile(prior_std[0], (4, 1)), mean, std
    )
    assert float(broadcast) == pytest.approx(float(repeated))


def test_gradient_of_eq_9_pulls_the_posterior_to_the_prior(rng):
    _, _, mean, std = normals(rng, (4, 6))
    zeros, ones = np.zeros_like(mean), np.ones_like(std)
    got = gradient(lambda value: losses.kl_loss(zeros, ones, value, std), mean)
    np.testing.assert_allclose(got, mean / 4)
    got = gradient(lambda value: losses.kl_loss(zeros, ones, mean, value), std)
    np.testing.assert_allclose(got, (std - 1 / std) / 4)


# --- Eq. 3 ------------------------------------------------------------------------------------------------------------


def test_reconstruction_of_two_phases_is_the_bernoulli_likelihood(rng):
    images = rng.integers(0, 2, (3, 4, 5, 1)).astype(float)
    logits = rng.normal(scale=3, size=images.shape)
    likelihood = stats.bernoulli.logpmf(images, special.expit(logits))
    expected = -likelihood.sum(axis=(1, 2, 3)).mean()
    assert float(losses.reconstruction_loss(images, logits)) == pytest.approx(expected)


@pytest.mark.parametrize("n_phases", [3, 5])
def test_reconstruction_of_k_phases_is_the_categorical_likelihood(rng, n_phases):
    images = np.eye(n_phases)[rng.integers(0, n_phases, (3, 4, 5))]
    logits = rng.normal(scale=3, size=images.shape)
    likelihood = stats.multinomial.logpmf(images, 1, special.softmax(logits, axis=-1))
    expected = -likelihood.sum(axis=(1, 2)).mean()
    assert float(losses.reconstruction_loss(images, logits)) == pytest.approx(expected)


@pytest.mark.parametrize(("channels", "per_pixel"), [(1, np.log(2)), (3, np.log(3))])
def test_reconstruction_is_a_sum_over_pixels_and_a_mean_over_the_batch(channels, per_pixel):
    for batch, side in ((1, 4), (3, 4), (3, 8)):
        images = np.zeros((batch, side, side, channels))
        images[..., 0] = 1
        loss = losses.reconstruction_loss(images, np.zeros_like(images))
        assert float(loss) == pytest.approx(side**2 * per_pixel)


def test_reconstruction_gradient_is_probability_minus_image(rng):
    images = rng.integers(0, 2, (2, 4, 4, 1)).astype(float)
    logits = rng.normal(size=images.shape)
    got = gradient(lambda value: losses.reconstruction_loss(images, value), logits)
    np.testing.assert_allclose(got, (special.expit(logits) - images) / 2)
    images = np.eye(3)[rng.integers(0, 3, (2, 4, 4))]
    logits = rng.normal(size=images.shape)
    got = gradient(lambda value: losses.reconstruction_loss(images, value), logits)
    np.testing.assert_allclose(got, (special.softmax(logits, axis=-1) - images) / 2, atol=1e-12)


@pytest.mark.parametrize("channels", [1, 3])
def test_reconstruction_is_stable_where_probabilities_saturate(channels):
    images = np.zeros((1, 2, 2, channels), np.float32)
    images[..., 0] = 1
    signs = 1000 * (2 * images - 1)
    right, wrong = signs, -signs
    assert float(losses.reconstruction_loss(images, right)) == 0
    # For K phases the wrong logits differ by 2000 from the right one.
    span = 1000 if channels == 1 else 2000
    assert float(losses.reconstruction_loss(images, wrong)) == pytest.approx(
        4 * (span + (np.log(2) if channels == 3 else 0))
    )
    got = gradient(lambda value: losses.reconstruction_loss(images, value), wrong)
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got[..., 0], -1)


def test_reconstruction_takes_a_batch_of_unknown_size(rng):
    images = rng.integers(0, 2, (3, 4, 4, 1)).astype("float32")
    logits = rng.normal(size=images.shape).astype("float32")
    spec = tf.TensorSpec([None, 4, 4, 1])
    traced = tf.function(losses.reconstruction_loss, input_signature=[spec, spec])
    expected = float(losses.reconstruction_loss(images, logits))
    assert float(traced(images, logits)) == pytest.approx(expected)


# --- Eq. 6 and 7 ------------------------------------------------------------------------------------------------------


def test_adversarial_loss_is_minus_log_of_the_sigmoid(rng):
    logits = rng.normal(scale=3, size=7)
    expected = -np.log(special.expit(logits)).mean()
    assert float(losses.adversarial_loss(logits)) == pytest.approx(expected)


def test_discriminator_loss_is_eq_6(rng):
    real, reconstructed, generated = logits = rng.normal(scale=3, size=(3, 5))
    expected = -np.log(special.expit(real)) - np.log(1 - special.expit(reconstructed))
    expected -= np.log(1 - special.expit(generated))
    assert float(losses.discriminator_loss(*logits)) == pytest.approx(expected.mean())


def test_a_discriminator_that_cannot_tell_the_sets_apart_does_best_with_a_third():
    def loss(probability):
        logits = tf.fill([4], tf.constant(special.logit(probability), tf.float64))
        return float(losses.discriminator_loss(logits, logits, logits))

    assert loss(1 / 3) == pytest.approx(3 * np.log(3) - 2 * np.log(2))
    assert loss(1 / 3) == pytest.approx(1.910, abs=5e-4)
    assert loss(1 / 3) < min(loss(0.3), loss(0.37))


def test_adversarial_losses_are_finite_and_keep_their_gradient_at_extreme_logits():
    extreme = np.array([-1000, 1000], np.float32)
    np.testing.assert_allclose(losses.adversarial_loss(extreme), 500)
    np.testing.assert_allclose(gradient(losses.adversarial_loss, extreme), [-0.5, 0])
    zeros = np.zeros_like(extreme)
    arguments = [zeros, zeros, zeros]
    for index, expected in enumerate(([-0.5, 0], [0, 0.5], [0, 0.5])):

        def loss(logits, index=index):
            return losses.discriminator_loss(
                *(logits if place == index else value for place, value in enumerate(arguments))
            )

        np.testing.assert_allclose(loss(extreme), 500 + 2 * np.log(2), rtol=1e-6)
        np.testing.assert_allclose(gradient(loss, extreme), expected)


# --- totals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0, 0.01, 1, 50])
def test_encoder_total_is_eq_1(beta):
    assert losses.encoder_loss(3.0, 100.0, beta) == pytest.approx(beta * 3 + 100)


def test_generator_total_is_eq_7():
    terms, weights = (2.0, 3.0, 500.0), (0.5, 0.25, 1e-4)
    assert losses.generator_loss(*terms, *weights) == pytest.approx(1 + 0.75 + 0.05)
    for index in range(3):
        only = [float(place == index) for place in range(3)]
        assert losses.generator_loss(*terms, *only) == terms[index]
