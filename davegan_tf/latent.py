"""The latent space read and steered: traversals, straight lines, what its dimensions carry (Section 4.2).

NumPy in, NumPy out; ``model`` is a :class:`davegan_tf.davegan.DAVEGAN`. Images are those of the networks,
(n, side, side, channels) in [0, 1], see :func:`davegan_tf.dataset.encode_phases`. Dimensions are counted from 0.
"""

import numpy as np

from davegan_tf import descriptors
from davegan_tf.errors import InputError
from davegan_tf.inference import batches
from davegan_tf.measures import evaluated_phases
from davegan_tf.smoothness import aggregate_posterior

# Standard deviations of the prior. Hardly a code is as far out; what is farther may overflow single precision.
FARTHEST = 100


def encode(model, images):
    """The posterior of images, in batches that fit any memory.

    Parameters
    ----------
    model : DAVEGAN
    images : (n, side, side, channels) float in [0, 1], n ≥ 1

    Returns
    -------
    z_mean, z_log_var : (n, latent_dim) float32
    """
    posteriors = [model.encode(part) for part in batches(images)]
    z_mean, z_log_var = (np.concatenate(part) for part in zip(*posteriors, strict=True))
    return z_mean, z_log_var


def decode(model, z):
    """Latent vectors as images, in batches that fit any memory.

    Parameters
    ----------
    model : DAVEGAN
    z : (n, latent_dim) float, n ≥ 1

    Returns
    -------
    (n, side, side, channels) float32 in [0, 1], phase probabilities
    """
    z = np.asarray(z, np.float32)
    return np.concatenate([model.generate(part) for part in batches(z)])


def z_of_image(model, image):
    """Latent vector of an image, the mean of its posterior: (side, side, channels) → (latent_dim,) float32."""
    return encode(model, np.asarray(image)[np.newaxis])[0][0]


def z_of_seed(model, seed):
    """Latent vector of the first sample that ``generate`` makes with this seed: (latent_dim,) float32."""
    return model.sample_latent(1, seed).numpy()[0]


def traversal_values(limit=3.0, steps=7):
    """Values that a traversed dimension takes: (steps,) float64, evenly spaced in [−limit, limit].

    Raises
    ------
    InputError
        If ``limit`` is not a finite positive number or above `FARTHEST`, or ``steps`` is below 2.
    """
    if not (np.isfinite(limit) and limit > 0):
        raise InputError(f"The range of a traversal must be a finite number above 0, not {limit}.")
    if limit > FARTHEST:
        raise InputError(
            f"The range of a traversal must be at most {FARTHEST} standard deviations, not {limit}."
        )
    if steps < 2:
        raise InputError(f"A traversal needs at least 2 steps, not {steps}.")
    return np.linspace(-limit, limit, steps)


def check_dimensions(dimensions, latent_dim):
    """Raise InputError unless all dimensions are those of the latent space.

    Parameters
    ----------
    dimensions : sequence of int
    latent_dim : int
    """
    unknown = [str(each) for each in dimensions if not 0 <= each < latent_dim]
    if unknown or not len(dimensions):
        what = f"has no dimension {', '.join(unknown)}" if unknown else "was asked for no dimension"
        raise InputError(
            f"The latent space {what}; its {latent_dim} dimensions are 0 to {latent_dim - 1}."
        )


def traverse(model, z, dimensions=None, limit=3.0, steps=7):
    """Traversal plot: one dimension of z at a time is varied, the others are kept (Figure 4).

    The paper encodes a reference sample and varies one latent variable at a time "within a fixed interval of ± 3σ",
    with σ = 1 of the prior. We read "fixed" as the same absolute values for every image: a dimension is set to them,
    they are not added to what it was. So a column of the plot is one value of z_i in all rows, and the middle column
    is the image at z_i = 0; that of z itself lies where z_i has its own value.

    Parameters
    ----------
    model : DAVEGAN
    z : (latent_dim,) float
    dimensions : sequence of int, optional
        Those to vary, in the order of the result; all if None.
    limit : float > 0
        The largest absolute value, in units of the prior's standard deviation.
    steps : int ≥ 2
        Number of values, see :func:`traversal_values`.

    Returns
    -------
    (len(dimensions), steps, side, side, channels) float32 in [0, 1], phase probabilities

    Raises
    ------
    InputError
        If an argument is out of its range.
    """
    z = np.asarray(z, np.float32)
    dimensions = range(len(z)) if dimensions is None else dimensions
    check_dimensions(dimensions, len(z))
    values = traversal_values(limit, steps)
    varied = np.broadcast_to(z, (len(dimensions), steps, len(z))).copy()
    for row, dimension in zip(varied, dimensions, strict=True):
        row[:, dimension] = values
    images = decode(model, varied.reshape(-1, len(z)))
    return images.reshape(len(dimensions), steps, *images.shape[1:])


def interpolate(model, start, end, steps=9):
    """Images on the straight line between two latent vectors.

    Parameters
    ----------
    model : DAVEGAN
    start, end : (latent_dim,) float
    steps : int ≥ 2
        Number of images, evenly spaced, both ends among them.

    Returns
    -------
    (steps, side, side, channels) float32 in [0, 1], phase probabilities
    """
    return decode(model, straight_line(start, end, steps))


def straight_line(start, end, steps):
    """Evenly spaced points from ``start`` to ``end``, both of one shape: (steps, …) float32.

    Of two latent vectors the path of :func:`interpolate`; of two images, what that is compared with.
    """
    if steps < 2:
        raise InputError(f"An interpolation needs at least 2 steps, not {steps}.")
    start, end = np.asarray(start, np.float32), np.asarray(end, np.float32)
    share = np.linspace(0, 1, steps, dtype=np.float32).reshape(-1, *[1] * start.ndim)
    return (1 - share) * start + share * end


def kl_per_dimension(model, images):
    """How many nats each dimension knows about an image: its term of the KL divergence (Eq. 9), averaged.

    A dimension that the encoder does not use has 0.

    Parameters
    ----------
    model : DAVEGAN
    images : (n, side, side, channels) float in [0, 1], n ≥ 1

    Returns
    -------
    (latent_dim,) float64, ≥ 0
    """
    return aggregate_posterior(*encode(model, images)).kl


def order_of_dimensions(model, images):
    """All dimensions, (latent_dim,) int, by falling :func:`kl_per_dimension`: the most active ones first."""
    return np.argsort(-kl_per_dimension(model, images), kind="stable")


def statistics_along(labels, n_phases):
    """What changes from the first image to the last (Section 4.1).

    Parameters
    ----------
    labels : (n, height, width) int, phase labels of the images of a path
    n_phases : int

    Returns
    -------
    dict
        JSON-ready, lists of n numbers each: ``volume_fraction``, ``s2_error_to_start`` and ``s2_error_to_end``
        (Eq. 12), each by the phase as text (of two phases label 1 alone), and ``interface_density``.
    """
    fractions, to_start, to_end = {}, {}, {}
    for phase in evaluated_phases(n_phases):
        s2 = descriptors.two_point_correlation(labels == phase)
        fractions[str(phase)] = descriptors.volume_fraction(labels == phase).tolist()
        to_start[str(phase)] = descriptors.s2_error(s2, s2[0]).tolist()
        to_end[str(phase)] = descriptors.s2_error(s2, s2[-1]).tolist()
    return {
        "volume_fraction": fractions,
        "interface_density": descriptors.interface_density(labels).tolist(),
        "s2_error_to_start": to_start,
        "s2_error_to_end": to_end,
    }
