"""Differentiable augmentation (Section 3.3): T for images, T_μ and T_σ for the latent distributions.

Every function takes its random draw ``u`` explicitly, so that a draw can be shared between "real" and "fake" as
Section 3.3.2 asks, and tests are exact.
"""

import tensorflow as tf

MEAN_TRANSFORMS = {
    "scale": lambda mean, u: (1.0 + u) * mean,
    # An additive shift shared by prior and posterior cancels exactly in Eq. 8.
    "shift": lambda mean, u: mean + u,
    "none": lambda mean, u: mean,
}

STD_TRANSFORMS = {
    "shift": lambda std, u: std + u,
    # u can come near 0: prior terms 1/(uσ)² then have an infinite mean.
    "scale": lambda std, u: u * std,
    "none": lambda std, u: std,
}


@tf.custom_gradient
def translate(images, shift):
    """T(x, u): periodic translation, ``tf.roll`` with its own shift for every sample (Section 3.3.1).

    Parameters
    ----------
    images : (batch, height, width, channels) float
    shift : (batch, 2) int32, rows and columns in pixels; a pixel (r, c) moves to (r + u_r, c + u_c), modulo the size

    Returns
    -------
    Same shape as ``images``. Its gradient is the inverse translation.
    """
    _, height, width, channels = images.shape
    rows = tf.math.floormod(tf.range(height)[None, :] - shift[:, :1], height)
    columns = tf.math.floormod(tf.range(width)[None, :] - shift[:, 1:], width)
    pixels = tf.reshape(rows[:, :, None] * width + columns[:, None, :], [-1, height * width])
    # One flat gather on whatever device holds the images; autodiff would turn its gradient into a slow scatter.
    moved = tf.gather(tf.reshape(images, [-1, height * width, channels]), pixels, batch_dims=1)

    def gradient(upstream):
        return translate(upstream, -shift), None

    return tf.reshape(moved, [-1, height, width, channels]), gradient


def round_translation(normal, std):
    """Displacement in whole pixels from standard normal draws (Section 3.3.1: entries normally distributed).

    Parameters
    ----------
    normal : (..., 2) float, N(0, 1)
    std : float ≥ 0, standard deviation in pixels

    Returns
    -------
    (..., 2) int32
    """
    return tf.cast(tf.round(normal * std), tf.int32)


def prior_moments(normal, prior):
    """μ_prior and σ_prior, "sampled from a Gaussian normal distribution" (Section 3.3.2).

    Parameters
    ----------
    normal : (draws, latent_dim) float, N(0, 1), at least two draws
    prior : str
        ``moments``: mean and standard deviation of the draws, positive and centred on (0, 1);
        ``fixed``: 0 and 1, with which Eq. 8 is Eq. 9; ``gaussian``: the first two draws, the second folded to |·|.

    Returns
    -------
    mean, std : (latent_dim,) float each
    """
    if prior == "fixed":
        return tf.zeros_like(normal[0]), tf.ones_like(normal[0])
    if prior == "gaussian":
        return normal[0], tf.abs(normal[1])
    if prior == "moments":
        return tf.reduce_mean(normal, axis=0), tf.math.reduce_std(normal, axis=0)
    raise ValueError(f"prior is {prior!r}, expected 'moments', 'fixed' or 'gaussian'")
