"""Scalar properties of a microstructure by name: what can be predicted from z, and aimed at.

Each is one number an image. Of a phase there are ``volume_fraction`` and ``anisotropy``: without a
number they are those of label 1; of three or more phases, ``volume_fraction_2`` is that of label 2,
and so for all labels but 1. ``interface_density`` is that of all phases together.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from davegan_tf import descriptors
from davegan_tf.descriptors import Floats
from davegan_tf.errors import InputError
from davegan_tf.inference import batches
from davegan_tf.measures import Labels, evaluated_phases
from davegan_tf.spelling import nearest

CORRELATED = np.exp(-1)


def correlation_lengths(indicator: ArrayLike) -> Floats:
    """Correlation lengths of a phase along the two axes of the image, in pixels.

    The lag along the axis at which the normalized autocovariance (S2 − φ²) / (φ (1 − φ)) first falls
    to 1/e, linear between whole lags. Periodic as S2 is, so that no lag exceeds half the side:
    a length that doesn't fall so far (stripes along the axis) is half the side. That of a constant
    image is 0. White noise has 1 − 1/e.

    Parameters
    ----------
    indicator : (..., height, width) of 0 and 1, sides ≥ 2

    Returns
    -------
    (..., 2) float64 ≥ 0
        Along columns of pixels (vertical), then along rows (horizontal).
    """
    covariance = descriptors.normalized_autocovariance(indicator)
    return np.stack([_first_fall(covariance[..., 0]), _first_fall(covariance[..., 0, :])], axis=-1)


def _first_fall(covariance: Floats) -> Floats:
    """Where lines of (..., side), over all lags of a periodic axis, first fall to 1/e: (...,)."""
    longest = covariance.shape[-1] // 2
    fallen = covariance[..., : longest + 1] <= CORRELATED
    lag = fallen.argmax(axis=-1)
    before, after = (
        np.take_along_axis(covariance, each[..., np.newaxis], axis=-1)[..., 0]
        for each in (lag - 1, lag)
    )
    with np.errstate(divide="ignore", invalid="ignore"):  # at lag 0, which has none before it
        length = lag - (CORRELATED - after) / (before - after)
    return np.select([~fallen.any(axis=-1), lag == 0], [float(longest), 0.0], length)


def anisotropy(indicator: ArrayLike) -> Floats:
    """Anisotropy of S2, (l_h − l_v) / (l_h + l_v) of the :func:`correlation_lengths`.

    Parameters
    ----------
    indicator : (..., height, width) of 0 and 1, sides ≥ 2

    Returns
    -------
    (...,) float64 in [−1, 1]
        Above 0: longer along rows (horizontal). 0: equal lengths, and in a constant image.
    """
    vertical, horizontal = np.moveaxis(correlation_lengths(indicator), -1, 0)
    total = horizontal + vertical
    return np.divide(horizontal - vertical, total, out=np.zeros_like(total), where=total > 0)


_OF_A_PHASE = {"volume_fraction": descriptors.volume_fraction, "anisotropy": anisotropy}


def _of_phase(measure: Callable[[Labels], Floats], phase: int, labels: Labels) -> Floats:
    return measure(labels == phase)


def _measures(n_phases: int) -> dict[str, Callable[[Labels], Floats]]:
    """Name to what measures it on images of phase labels; those of label 1 first."""
    measures = {"interface_density": descriptors.interface_density}
    for phase in sorted(evaluated_phases(n_phases), key=lambda phase: phase != 1):
        number = "" if phase == 1 else f"_{phase}"
        for name, measure in _OF_A_PHASE.items():
            measures[name + number] = partial(_of_phase, measure, phase)
    return measures


def names(n_phases: int) -> list[str]:
    """Names of all properties that images of so many phases have."""
    return list(_measures(n_phases))


def limits(name: str) -> tuple[float, float]:
    """Least and largest value that a property could have by its definition."""
    return (-1.0 if name.startswith("anisotropy") else 0.0), 1.0


def tolerance(name: str) -> float:
    """Error that is small for a property: 0.01, of ``interface_density`` 0.001 crossings per pixel.

    On the packaged models it is a tenth of the standard deviation among samples, of volume fractions up to a third.
    """
    return 0.001 if name == "interface_density" else 0.01


def check_names(chosen: Sequence[str], n_phases: int) -> None:
    """Raise InputError unless images of so many phases have all these properties."""
    known = names(n_phases)
    for name in chosen:
        if name not in known:
            likely = nearest(name, known)
            advice = f"did you mean {likely}?" if likely else f"there are {', '.join(known)}."
            raise InputError(f'There is no property "{name}" of {n_phases} phases; {advice}')


def check_value(name: str, value: float) -> None:
    """Raise InputError if a property can't have this value by its definition."""
    low, high = limits(name)
    if not low <= value <= high:
        raise InputError(
            f"{name}={value:g} can't be; expected a number from {low:g} to {high:g}, not in per cent."
        )


def measure(labels: Labels, chosen: Sequence[str], n_phases: int) -> Floats:
    """Properties of images.

    Parameters
    ----------
    labels : (n, height, width) int, phase labels 0 … n_phases − 1
    chosen : sequence of str
        Some of :func:`names`.
    n_phases : int ≥ 2

    Returns
    -------
    (n, len(chosen)) float64

    Raises
    ------
    InputError
        If there is no property of a name.
    """
    check_names(chosen, n_phases)
    known = _measures(n_phases)
    measures = [known[name] for name in chosen]
    # Of many images at once S2 alone would fill gigabytes.
    return np.concatenate(
        [np.stack([measure(part) for measure in measures], axis=-1) for part in batches(labels)]
    )
