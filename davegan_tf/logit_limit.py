"""Logits of a trained generator brought down to what float32 can tell apart; not in the paper.

Nothing in the losses keeps the logits from growing: after a training they run to thousands. A sum of such numbers is
rounded in float32 by up to 1e-3, and a probability near 0.5 by a quarter of that, differently in every runtime.
"""

import math

import keras
import numpy as np

from davegan_tf.inference import batches

SAMPLES = 512


def limit_logits(model, images, limit, seed):
    """Divide the generator's last layer by the smallest power of two that brings its logits within a limit.

    A power of two scales floats exactly, so that every logit keeps its sign and its place among the others: no pixel
    changes its phase (but where logits come within 1e-7 of the boundary, which the sigmoid in float32 takes for it).
    Probabilities become softer: where a structure hardly decides for a phase they are grey instead of black or white.

    Parameters
    ----------
    model : DAVEGAN
        Its generator is changed.
    images : (n, side, side, channels) float in [0, 1]
        The logits looked at are those of their reconstructions and of SAMPLES samples of the prior.
    limit : float > 0
        What the largest absolute logit may be.
    seed : int
        Of the samples.

    Returns
    -------
    int
        The divisor, a power of two; 1 where the logits are within the limit already.

    Raises
    ------
    FloatingPointError
        If a logit is not finite; nothing is changed.
    """
    z = [model.encode(part)[0].numpy() for part in batches(images)]
    z.append(model.sample_latent(SAMPLES, seed).numpy())
    # NumPy's, since Python's max passes over NaN.
    largest = float(
        np.max(
            [
                np.abs(model.generator.logits(part).numpy()).max()
                for part in batches(np.concatenate(z))
            ]
        )
    )
    if not math.isfinite(largest):
        raise FloatingPointError("a logit of the generator")
    divisor = 1
    while largest > limit * divisor:
        divisor *= 2
    for variable in _last_variables(model.generator.stack):
        variable.assign(variable / divisor)
    return divisor


def _last_variables(stack):
    """The variables in which a stack's output is linear: of the last layer, or of the normalisation behind it."""
    last = stack.layers[-1]
    if isinstance(last, keras.layers.BatchNormalization):
        return [last.gamma, last.beta]
    return [last.kernel, last.bias]
