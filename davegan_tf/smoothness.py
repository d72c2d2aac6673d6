"""Is the latent space smooth, used, and where the prior is?

Section 4.2 looks at traversal plots: "no sudden change can be observed between two consecutive images".
`frame_changes` measures it. `aggregate_posterior` tells how many dimensions the encoder uses and whether
the codes of the data, all together, are distributed like the prior N(0, 1) that images are generated from.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from davegan_tf.descriptors import Floats
from davegan_tf.errors import InputError

SUDDEN = 3.0  # times the mean step
ACTIVE_VARIANCE = 0.01  # Burda et al., 2016


class FrameChanges(NamedTuple):
    """How much each frame differs from the one before it.

    steps : (frames − 1,) float64 in [0, 1], mean absolute change of a pixel
    mean : float in [0, 1], of the steps
    maximum : float in [0, 1], of the steps
    """

    steps: Floats
    mean: float
    maximum: float


class AggregatePosterior(NamedTuple):
    """The encoder's posteriors of many images, dimension by dimension.

    kl : (latent_dim,) float64 ≥ 0, nats: the terms of Eq. 9, mean over images
    active : (latent_dim,) bool, var(z_mean) > 0.01 over the images
    mean, std : (latent_dim,) float64, of z drawn from the posterior of an image drawn at random; 0
        and 1 where the aggregate posterior has the prior's moments
    """

    kl: Floats
    active: NDArray[np.bool_]
    mean: Floats
    std: Floats

    @property
    def n_active(self) -> int:
        """Number of dimensions that are `active`."""
        return int(self.active.sum())


def frame_changes(frames: ArrayLike) -> FrameChanges:
    """Change from frame to frame of a traversal or an interpolation.

    The mean absolute change, not its root mean square: it is the area that an outline sweeps, so it
    grows in proportion to a motion, and steps add up. The root would show a jump of nine usual steps
    as one of three.

    Parameters
    ----------
    frames : (frames, height, width) or (frames, height, width, channels) float in [0, 1]
        Probabilities in the traversal's order, equally spaced in z. Labels would turn a slow change of
        grey into a sudden one.

    Returns
    -------
    FrameChanges

    Raises
    ------
    InputError
        If there are fewer than two frames, or values outside [0, 1].
    """
    frames = np.asarray(frames, np.float64)
    if frames.ndim not in (3, 4) or len(frames) < 2 or frames.size == 0:
        raise InputError(
            "frames must be (frames, height, width) or (frames, height, width, channels) with at "
            f"least two frames; got {frames.shape}."
        )
    if not (frames.min() >= 0 and frames.max() <= 1):
        raise InputError(
            "frames must be probabilities in [0, 1]; got values from "
            f"{frames.min():.3g} to {frames.max():.3g}."
        )
    pixels = frames.reshape(len(frames), -1)
    steps = np.abs(np.diff(pixels, axis=0)).mean(axis=1)
    return FrameChanges(steps, float(steps.mean()), float(steps.max()))


def has_sudden_change(changes: FrameChanges, factor: float = SUDDEN) -> bool:
    """Does a step exceed `factor` times the mean step?

    The largest of n steps is n times their mean at most, when all the change is in it: with three
    steps no change counts as sudden by a factor of 3. Take ten or more; the more frames, the
    narrower the jumps that are told from a steep but gradual change.

    Parameters
    ----------
    changes : FrameChanges
    factor : float ≥ 1

    Returns
    -------
    bool; False where no frame differs.

    Raises
    ------
    InputError
        If there are too few steps for any to exceed the limit.
    """
    if len(changes.steps) <= factor:
        raise InputError(
            f"{len(changes.steps)} steps can't tell whether one exceeds {factor:g} times their mean: "
            f"take more than {factor:g}."
        )
    return bool(changes.maximum > factor * changes.mean)


def aggregate_posterior(z_mean: ArrayLike, z_log_var: ArrayLike) -> AggregatePosterior:
    """Usage of the latent dimensions, and the moments of the aggregate posterior.

    Over n images the aggregate posterior is a mixture of n normal distributions with the moments
    E[z] = mean(μ) and Var[z] = mean(σ²) + var(μ), without any sampling. Equal moments don't make it
    normal, nor its dimensions independent.

    A dimension is active by Burda et al. if its posterior mean varies from image to image. The limit
    on the mean divergence is another common one; it also counts a dimension whose posterior is the
    same for all images but not N(0, 1), and which so tells nothing.

    Parameters
    ----------
    z_mean, z_log_var : (n, latent_dim) float
        Mean and logarithm of the variance of each image's posterior, unaugmented.

    Returns
    -------
    AggregatePosterior

    Raises
    ------
    InputError
        If the two don't have one shape, or hold values that are not finite.

    References
    ----------
    Y. Burda, R. Grosse and R. Salakhutdinov, Importance weighted autoencoders, ICLR 2016, Section 5.1.
    """
    z_mean, z_log_var = np.asarray(z_mean, np.float64), np.asarray(z_log_var, np.float64)
    if z_mean.ndim != 2 or z_mean.shape != z_log_var.shape or z_mean.size == 0:
        raise InputError(
            "z_mean and z_log_var must both be (n, latent_dim); got "
            f"{z_mean.shape} and {z_log_var.shape}."
        )
    if not (np.isfinite(z_mean).all() and np.isfinite(z_log_var).all()):
        raise InputError("z_mean and z_log_var must be finite; a NaN or infinity was among them.")
    # σ² − 1 − ln σ² without the cancellation at σ = 1 that could make it negative.
    divergence = 0.5 * (np.expm1(z_log_var) - z_log_var + z_mean**2)
    kl = np.maximum(divergence.mean(axis=0), 0)
    spread = z_mean.var(axis=0)
    return AggregatePosterior(
        kl=kl,
        active=spread > ACTIVE_VARIANCE,
        mean=z_mean.mean(axis=0),
        std=np.sqrt(np.exp(z_log_var).mean(axis=0) + spread),
    )
