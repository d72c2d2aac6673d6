"""Records of measures: a value beside its floor and white noise, with a verdict; see :mod:`davegan_tf.evaluation`.

A record is a dict of what NAMES lists: ``value`` and ``noise`` (float ≥ 0), ``floor`` (``mean``, ``std``), ``ratio``
and ``noise_ratio`` to it (None: not defined, or infinite where value and floor are known), ``interval`` (two ratios)
and ``passed`` (bool, None: no verdict).
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from davegan_tf import ratios
from davegan_tf.descriptors import Floats
from davegan_tf.measures import Rng

NAMES = ("value", "floor", "noise", "ratio", "interval", "noise_ratio", "passed")


def undefined() -> dict[str, Any]:
    """The record of what is not defined here: None everywhere."""
    return dict.fromkeys(NAMES)


def of_error(
    errors: Floats, of_crops: Floats, of_noise: Floats, phases: list[int], rng: Rng
) -> dict[str, Any]:
    """Record of an error that every image has; the floor is that of real crops, if there are any.

    Parameters
    ----------
    errors, of_crops, of_noise : (phases, n) float ≥ 0
        Of the images that are judged, of real crops (n may be 0) and of white noise.
    phases : list of int
    rng : numpy.random.Generator
        Of the resampling.
    """
    of_images, crops = errors.mean(axis=0), of_crops.mean(axis=0)
    record = undefined() | {
        "value": float(of_images.mean()),
        "noise": float(of_noise.mean()),
        "per_phase": dict(zip(map(str, phases), map(float, errors.mean(axis=1)), strict=True)),
    }
    if not len(crops):
        return record
    n = min(len(of_images), len(crops))
    floors = [crops[rng.permutation(len(crops))[:n]].mean() for _ in range(ratios.RESAMPLINGS)]
    draws = rng.integers(0, len(of_images), (ratios.RESAMPLINGS, len(of_images)))
    floor = float(crops.mean())
    return (
        record
        | against(record["value"], floor, np.std(floors), record["noise"])
        | {
            "interval": ratios.interval(
                ratios.ratio(value, floor) for value in of_images[draws].mean(axis=1)
            )
        }
    )


def against(value: float, floor: float, floor_std: float, noise: float) -> dict[str, Any]:
    """The part of a record that follows from a value ≥ 0 that should be small and its floor."""
    ratio = ratios.ratio(value, floor)
    return {
        "floor": {"mean": floor, "std": float(floor_std)},
        "ratio": ratio,
        "noise_ratio": ratios.ratio(noise, floor),
        "passed": ratio is not None and ratio <= ratios.LIMIT,
    }


def of_share(
    value: float | None,
    floors: list[float],
    noise: float | None,
    bootstrap: Iterable[float | None],
) -> dict[str, Any]:
    """Record of a measure ≥ 0 that should be as large as the floor: ratios are floor over value.

    Parameters
    ----------
    value, noise : float or None
    floors : list of float
        By resampling.
    bootstrap : iterable of float or None
        The value by resampling.
    """
    if value is None:
        return undefined()
    floor = float(np.mean(floors))
    ratio = ratios.ratio(floor, value)
    return {
        "value": float(value),
        "floor": {"mean": floor, "std": float(np.std(floors))},
        "noise": noise,
        "ratio": ratio,
        "interval": ratios.interval(ratios.ratio(floor, each) for each in bootstrap),
        "noise_ratio": ratios.ratio(floor, noise),
        "passed": ratio is not None and ratio <= ratios.LIMIT,
    }
