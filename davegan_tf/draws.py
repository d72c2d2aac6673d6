"""The random numbers of a training step: each a pure function of the seed, the step and the kind of draw."""

from typing import NamedTuple

import tensorflow as tf

from davegan_tf.augmentation import round_translation

# One stream of random numbers per kind of draw; a step owns the seeds STREAMS · step … STREAMS · step + STREAMS − 1.
STREAMS = 8


class Draws(NamedTuple):
    """All random numbers of one training step."""

    posterior_noise: tf.Tensor  # (batch, latent_dim) N(0, 1), the reparametrisation of z_vae
    z_noise: tf.Tensor  # (batch, latent_dim) N(0, 1), the prior's z
    shifts: tf.Tensor  # (3, batch, 2) int32 pixels, T of real, reconstructed and generated images
    u_mean: tf.Tensor  # (batch, latent_dim) U(0, 1), of T_μ
    u_std: tf.Tensor  # (batch, latent_dim) U(0, 1), of T_σ
    prior_normal: tf.Tensor  # (prior_draws, latent_dim) N(0, 1), of the sampled prior

    def of(self, replica):
        """Those of a replica's part of the batch; the prior is the same for all."""
        return self._replace(
            posterior_noise=replica.own(self.posterior_noise),
            z_noise=replica.own(self.z_noise),
            shifts=replica.own(self.shifts, axis=1),
            u_mean=replica.own(self.u_mean),
            u_std=replica.own(self.u_std),
        )


def random_uniform(shape, seed, stream):
    """U(0, 1), both ends excluded, as a pure function of (seed, stream).

    Made of random bits, on which eager mode, graphs and XLA agree; on TensorFlow's normal numbers they do not.

    Parameters
    ----------
    shape : sequence of int, or int32 tensor
    seed, stream : int or () integer tensor

    Returns
    -------
    float32 tensor
    """
    key = tf.stack([tf.cast(seed, tf.int64), tf.cast(stream, tf.int64)])
    bits = tf.random.stateless_uniform(shape, key, None, None, tf.uint32, alg="philox")
    return (tf.cast(tf.bitwise.right_shift(bits, 9), tf.float32) + 0.5) * 2.0**-23


def draw_latent(shape, seed):
    """Latent vectors of the prior, N(0, 1), that no training step draws: float32 tensor of this shape."""
    # The last stream of step 0, which no draw of the training takes.
    return tf.math.ndtri(random_uniform(shape, seed, STREAMS - 1))


def draw_step(seed, step, batch_size, latent_dim, translation_std_pixels, prior_draws):
    """The random numbers of one step.

    Parameters
    ----------
    seed : int
    step : () int64 tensor
    batch_size : int or () int32 tensor
    latent_dim : int
    translation_std_pixels : float ≥ 0, of T's displacements
    prior_draws : int

    Returns
    -------
    Draws
    """

    def uniform(index, shape):
        return random_uniform(shape, seed, STREAMS * step + index)

    def normal(index, shape):
        return tf.math.ndtri(uniform(index, shape))

    latent = (batch_size, latent_dim)
    return Draws(
        posterior_noise=normal(0, latent),
        z_noise=normal(1, latent),
        shifts=round_translation(normal(2, (3, batch_size, 2)), translation_std_pixels),
        u_mean=uniform(3, latent),
        u_std=uniform(4, latent),
        prior_normal=normal(5, (prior_draws, latent_dim)),
    )
