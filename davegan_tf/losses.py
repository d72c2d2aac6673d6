"""The loss functions, one pure function per equation (Section 3.2, Eq. 1–9).

Every function sums over pixels, channels or latent dimensions and averages over the batch, takes plain tensors,
and computes from logits: log(sigmoid(x)) would lose its gradient where the sigmoid saturates.
"""

import tensorflow as tf


def kl_loss(prior_mean, prior_std, posterior_mean, posterior_std):
    """Kullback-Leibler divergence of two diagonal normal distributions, Eq. 8.

    With ``prior_mean = 0`` and ``prior_std = 1`` it is Eq. 9, the usual VAE term.

    Parameters
    ----------
    prior_mean, prior_std, posterior_mean, posterior_std : (batch, latent_dim) float
        Means and standard deviations (> 0), already augmented by T_μ and T_σ; they broadcast.

    Returns
    -------
    () float, ≥ 0 : summed over latent dimensions, mean over the batch.
    """
    variance_ratio = tf.square(posterior_std / prior_std)
    distance = tf.square((prior_mean - posterior_mean) / prior_std)
    divergence = 0.5 * (variance_ratio + distance - 1.0) + tf.math.log(prior_std / posterior_std)
    return tf.reduce_mean(tf.reduce_sum(divergence, axis=-1))


def reconstruction_loss(images, logits):
    """Negative log-likelihood of the images given the decoded logits, −log p(x|z), Eq. 3.

    Binary cross-entropy for one channel (two phases), categorical cross-entropy for K channels. A sum, not a mean,
    over pixels: only so is λ_rec = 1e-4 of the size of the adversarial terms (Table 1).

    Parameters
    ----------
    images : (batch, height, width, channels) float in [0, 1]
    logits : same shape, before the sigmoid or softmax

    Returns
    -------
    () float, ≥ 0
    """
    if images.shape[-1] == 1:
        per_pixel = tf.nn.sigmoid_cross_entropy_with_logits(labels=images, logits=logits)
    else:
        per_pixel = tf.nn.softmax_cross_entropy_with_logits(labels=images, logits=logits)
    return tf.reduce_mean(tf.reduce_sum(tf.reshape(per_pixel, [tf.shape(images)[0], -1]), axis=-1))


def adversarial_loss(logits):
    """−log D(·), the non-saturating generator term of Eq. 7.

    Parameters
    ----------
    logits : (batch,) float, the discriminator's for generated images

    Returns
    -------
    () float, ≥ 0
    """
    return tf.reduce_mean(tf.nn.softplus(-logits))


def discriminator_loss(real_logits, reconstructed_logits, generated_logits):
    """−log D(T(x)) − log(1 − D(T(G(z_vae)))) − log(1 − D(T(G(z_noise)))), Eq. 6.

    Parameters
    ----------
    real_logits, reconstructed_logits, generated_logits : (batch,) float

    Returns
    -------
    () float, ≥ 0. A discriminator that always answers 1/3 scores 3 ln 3 − 2 ln 2 = 1.910, its best when it
    cannot tell the three sets apart.
    """
    return tf.reduce_mean(
        tf.nn.softplus(-real_logits)
        + tf.nn.softplus(reconstructed_logits)
        + tf.nn.softplus(generated_logits)
    )


def encoder_loss(kl, reconstruction, beta):
    """β · L_KLD + L_Rec, Eq. 1.

    Parameters
    ----------
    kl, reconstruction : () float
        See :func:`kl_loss` and :func:`reconstruction_loss`.
    beta : float ≥ 0

    Returns
    -------
    () float
    """
    return beta * kl + reconstruction


def generator_loss(
    adversarial_vae, adversarial_noise, reconstruction, lambda_vae, lambda_noise, lambda_rec
):
    """λ_vae · (−log D(G(z_vae))) + λ_noise · (−log D(G(z_noise))) + λ_rec · L_Rec, Eq. 7.

    Parameters
    ----------
    adversarial_vae, adversarial_noise : () float
        :func:`adversarial_loss` of reconstructed and of generated images.
    reconstruction : () float
        See :func:`reconstruction_loss`.
    lambda_vae, lambda_noise, lambda_rec : float ≥ 0

    Returns
    -------
    () float
    """
    return (
        lambda_vae * adversarial_vae
        + lambda_noise * adversarial_noise
        + lambda_rec * reconstruction
    )
