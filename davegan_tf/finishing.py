"""A trained model made ready for use: statistics of its normalisations re-estimated, its logits limited."""

import numpy as np

from davegan_tf import normalization
from davegan_tf.dataset import cut, encode_phases, tiles
from davegan_tf.logit_limit import limit_logits
from davegan_tf.schedule import positions_of

RECALIBRATION_BATCHES = 200
LOGIT_TILES = 512  # that many at most, evenly over all: of 60,000 ellipses a few hundred will do


def recalibrate_for_use(model, config, micrograph):
    """Re-estimate the batch normalisations of encoder and generator (see :func:`davegan_tf.normalization.recalibrate`).

    The encoder sees the training's images (untranslated, as in use), the generator z of the prior and z of the encoder
    in turn, in batches of the training's size.

    Parameters
    ----------
    model : davegan_tf.davegan.DAVEGAN
    config : davegan_tf.config.Config
        Its seed is also that of z.
    micrograph : davegan_tf.micrographs.Micrograph
    """
    positions = positions_of(config, micrograph.images, config.data.sampling)
    rng = np.random.default_rng((config.seed, 1))
    batches = [
        encode_phases(cut(micrograph.images, batch, config.data.image_size), micrograph.n_phases)
        for batch in positions.positions(0, RECALIBRATION_BATCHES)
    ]
    normalization.recalibrate(model.encoder, batches)
    latents = []
    for images in batches:
        z_mean, z_log_var = (part.numpy() for part in model.encode(images))
        noise, z_noise = rng.standard_normal((2, *z_mean.shape), dtype=np.float32)
        latents += [z_mean + np.exp(0.5 * z_log_var) * noise, z_noise]
    normalization.recalibrate(model.generator, latents)


def limit_logits_for_use(model, config, micrograph):
    """Apply ``training.logit_limit`` (see :func:`davegan_tf.logit_limit.limit_logits`).

    Parameters
    ----------
    model : davegan_tf.davegan.DAVEGAN
    config : davegan_tf.config.Config
    micrograph : davegan_tf.micrographs.Micrograph

    Returns
    -------
    int
        What its generator's last layer was divided by, a power of two; 1 where there is no limit.

    Raises
    ------
    FloatingPointError
        If a logit is not finite.
    """
    limit = config.training.logit_limit
    if limit is None:
        return 1
    images = tiles(micrograph.images, config.data.image_size, LOGIT_TILES)
    return limit_logits(model, encode_phases(images, micrograph.n_phases), limit, config.seed)
