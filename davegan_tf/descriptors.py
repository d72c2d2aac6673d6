"""Descriptors of a microstructure: what is measured on an image of phase labels (Section 4.1).

Arrays are ``(..., height, width)``, row before column; leading axes are separate images. An
*indicator* is 1 where a pixel belongs to the phase and 0 elsewhere, as ``labels == phase`` is.
Everything is computed in float64. Lags, lengths and distances are in pixels; multiply by
``pixel_size`` for a unit.

The two-point functions are periodic, as in the paper: an image continues at its opposite side.
Interface density and lineal path are not: the seam of a piece cut from a micrograph is no material.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft
from scipy.spatial.distance import cdist

from davegan_tf.errors import InputError

Floats = NDArray[np.float64]
_IMAGE_AXES = (-2, -1)


def volume_fraction(indicator: ArrayLike) -> Floats:
    """Share φ of the pixels that belong to the phase.

    Parameters
    ----------
    indicator : (..., height, width) bool, int or float in [0, 1]

    Returns
    -------
    (...,) float64 in [0, 1]
    """
    return as_images(indicator).mean(axis=_IMAGE_AXES)


def two_point_correlation(indicator: ArrayLike) -> Floats:
    """Periodic two-point correlation S2 (Section 4.1): do both ends of a lag r lie in the phase?

    ``S2[r] = mean over x of indicator[x] · indicator[x + r]``, by the Wiener–Khinchin theorem from
    one FFT. S2(0) = φ, and S2 tends to φ² where r is longer than any structure.

    Parameters
    ----------
    indicator : (..., height, width) bool, int or float in [0, 1]

    Returns
    -------
    (..., height, width) float64
        Lag (0, 0) at ``[..., 0, 0]``, negative lags at the end (see :func:`lags`).
    """
    images = as_images(indicator)
    shape = images.shape[-2:]
    spectrum = fft.rfft2(images, axes=_IMAGE_AXES)
    power = spectrum.real**2 + spectrum.imag**2
    return fft.irfft2(power, s=shape, axes=_IMAGE_AXES) / (shape[0] * shape[1])


def normalized_autocovariance(indicator: ArrayLike) -> Floats:
    """Autocovariance (S2 − φ²) / (φ (1 − φ)) of an indicator: structure without the phase fraction.

    It is 1 at lag (0, 0) and about 0 at lags where the ends of r know nothing of each other; white
    noise is 0 everywhere but at the origin. A constant image (φ = 0 or 1) has no fluctuation to
    correlate: it is given 0 at every lag, the origin included, so that it counts as "no structure"
    in a mean over images.

    Parameters
    ----------
    indicator : (..., height, width) of 0 and 1

    Returns
    -------
    (..., height, width) float64 in [−1, 1], ordered like :func:`two_point_correlation`
    """
    phi = volume_fraction(indicator)[..., np.newaxis, np.newaxis]
    covariance = two_point_correlation(indicator) - phi**2
    variance = np.broadcast_to(phi * (1 - phi), covariance.shape)
    return np.divide(covariance, variance, out=np.zeros_like(covariance), where=variance > 0)


def lags(shape: tuple[int, int]) -> Floats:
    """Displacement in pixels that belongs to each entry of :func:`two_point_correlation`.

    Returns
    -------
    (2, height, width) float64
        Row and column displacement; of r and r ± side, which are the same, the shorter one.
    """
    rows, columns = (np.rint(fft.fftfreq(side) * side) for side in shape)
    return np.stack(np.meshgrid(rows, columns, indexing="ij"))


def lag_lengths(shape: tuple[int, int]) -> Floats:
    """Euclidean length |r| of :func:`lags` in pixels: (height, width) float64."""
    return np.hypot(*lags(shape))


def radial_average(correlation: ArrayLike) -> Floats:
    """Mean of a two-point function over all directions, at |r| = 0, 1, … pixels.

    Parameters
    ----------
    correlation : (..., height, width) float, ordered like :func:`two_point_correlation`

    Returns
    -------
    (..., 1 + shorter side // 2) float64
        Entry i is the mean over all lags whose length rounds to i.
    """
    values = as_images(correlation)
    ring = np.rint(lag_lengths(values.shape[-2:])).astype(np.intp)
    last = min(values.shape[-2:]) // 2
    return np.stack([values[..., ring == i].mean(axis=-1) for i in range(last + 1)], axis=-1)


def s2_error(s2_a: ArrayLike, s2_b: ArrayLike, *, max_lag: float | None = None) -> Floats:
    """Error E of Eq. 12: root mean square of S2_a − S2_b over all displacements.

    Over all displacements E sees little but the difference of the phase fractions, since S2 ≈ φ²
    nearly everywhere; read it beside the values of white noise and of other pieces of the same
    material.

    Parameters
    ----------
    s2_a, s2_b : (..., height, width) float, leading axes broadcast
    max_lag : float, optional
        Only displacements of length |r| ≤ max_lag pixels; all if None, as in the paper.

    Returns
    -------
    (...,) float64, ≥ 0, in units of a probability
    """
    difference = as_images(s2_a) - as_images(s2_b)
    if max_lag is None:
        return np.sqrt((difference**2).mean(axis=_IMAGE_AXES))
    within = lag_lengths(difference.shape[-2:]) <= max_lag
    return np.sqrt((difference[..., within] ** 2).mean(axis=-1))


def pairwise_s2_error(s2_a: ArrayLike, s2_b: ArrayLike) -> Floats:
    """Eq. 12 between each of one stack and each of another.

    Parameters
    ----------
    s2_a : (n, height, width) float
    s2_b : (m, height, width) float

    Returns
    -------
    (n, m) float64
    """
    a, b = as_images(s2_a), as_images(s2_b)
    distance = cdist(a.reshape(len(a), -1), b.reshape(len(b), -1))
    return distance / np.sqrt(a.shape[-2] * a.shape[-1])


def interface_density(labels: ArrayLike) -> Floats:
    """Share of neighbouring pixel pairs, horizontal and vertical, whose labels differ.

    Non-periodic. It is the number of phase boundaries that a test line along the grid crosses per
    pixel of its length (stereology's P_L); an isotropic boundary has π/2 times that length per
    area.

    Parameters
    ----------
    labels : (..., height, width) phase labels or an indicator

    Returns
    -------
    (...,) float64 in [0, 1], crossings per pixel
    """
    images = as_images(labels)
    down = images[..., 1:, :] != images[..., :-1, :]
    right = images[..., :, 1:] != images[..., :, :-1]
    crossings = down.sum(axis=_IMAGE_AXES) + right.sum(axis=_IMAGE_AXES)
    return crossings / (down.shape[-2] * down.shape[-1] + right.shape[-2] * right.shape[-1])


def lineal_path(indicator: ArrayLike, max_length: int | None = None) -> Floats:
    """Probability that a segment lies wholly in the phase, in both grid directions.

    Non-periodic. A segment of length r covers r + 1 pixels, so the value at r = 0 is φ. Every place
    where the segment fits into the image counts once (Lu and Torquato, Physical Review A 45, 922,
    1992).

    Parameters
    ----------
    indicator : (..., height, width) of 0 and 1
    max_length : int, optional
        Longest r in pixels, below the shorter side; the shorter side − 1 if None.

    Returns
    -------
    (..., 2, max_length + 1) float64
        Along columns of pixels (vertical), then along rows (horizontal).
    """
    inside = np.asarray(indicator) > 0
    longest = min(as_images(inside).shape[-2:]) - 1
    if max_length is None:
        max_length = longest
    if not 0 <= max_length <= longest:
        raise InputError(
            f"max_length is {max_length}; expected 0 to {longest}, the image's side − 1."
        )
    vertical = _path_along_last_axis(np.swapaxes(inside, -1, -2), max_length)
    horizontal = _path_along_last_axis(inside, max_length)
    return np.stack([vertical, horizontal], axis=-2)


def _path_along_last_axis(inside: NDArray[np.bool_], max_length: int) -> Floats:
    """Lineal path of (..., lines, pixels) along the last axis: (..., max_length + 1)."""
    segment = inside
    path = [segment.mean(axis=_IMAGE_AXES)]
    for length in range(1, max_length + 1):
        # A segment one pixel longer is a segment in the phase followed by one more pixel in it.
        segment = segment[..., :-1] & inside[..., length:]
        path.append(segment.mean(axis=_IMAGE_AXES))
    return np.stack(path, axis=-1)


def as_images(values: ArrayLike) -> Floats:
    """``values`` in float64, since the FFT of float32 stays in float32; InputError if no image."""
    images = np.asarray(values, dtype=np.float64)
    if images.ndim < 2 or 0 in images.shape[-2:]:
        raise InputError(
            f"An array of shape {images.shape} is no image; expected (..., height, width)."
        )
    return images
