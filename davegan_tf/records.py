"""Records of measures: a value beside its floor and white noise, with a verdict; see :mod:`davegan_tf.evaluation`."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from davegan_tf import scorecard
from davegan_tf.descriptors import Floats
from davegan_tf.measures import Rng

NAMES = ("value", "floor", "noise", "ratio", "interval", "noise_ratio", "passed")


def undefined() -> dict[str, Any]:
    """The record of what is not defined here: None everywhere."""
    return dict.fromkeys(NAMES)


def of_error(
    errors: Floats, of_crops: Floats, of_noise: Floats, phases: list[int], rng: Rng
) -> dict[str, Any]:
    """Record of an error that every image has, (phases, n) each; the floor is that of real crops, if there are any."""
    of_images, crops = errors.mean(axis=0), of_crops.mean(axis=0)
    record = undefined() | {
        "value": float(of_images.mean()),
        "noise": float(of_noise.mean()),
        "per_phase": dict(zip(map(str, phases), map(float, errors.mean(axis=1)), strict=True)),
    }
    if not len(crops):
        return record
    n = min(len(of_images), len(crops))
    floors = [crops[rng.permutation(len(crops))[:n]].mean() for _ in range(scorecard.RESAMPLINGS)]
    draws = rng.integers(0, len(of_images), (scorecard.RESAMPLINGS, len(of_images)))
    floor = float(crops.mean())
    return (
        record
        | against(record["value"], floor, np.std(floors), record["noise"])
        | {
            "interval": scorecard.interval(
                scorecard.ratio(value, floor) for value in of_images[draws].mean(axis=1)
            )
        }
    )


def against(value: float, floor: float, floor_std: float, noise: float) -> dict[str, Any]:
    """The part of a record that follows from a value that should be small and its floor."""
    ratio = scorecard.ratio(value, floor)
    return {
        "floor": {"mean": floor, "std": float(floor_std)},
        "ratio": ratio,
        "noise_ratio": scorecard.ratio(noise, floor),
        "passed": ratio is not None and ratio <= scorecard.LIMIT,
    }


def of_share(
    value: float | None,
    floors: list[float],
    noise: float | None,
    bootstrap: Iterable[float | None],
) -> dict[str, Any]:
    """Record of a measure that should be as large as the floor: ratios are floor over value."""
    if value is None:
        return undefined()
    floor = float(np.mean(floors))
    ratio = scorecard.ratio(floor, value)
    return {
        "value": float(value),
        "floor": {"mean": floor, "std": float(np.std(floors))},
        "noise": noise,
        "ratio": ratio,
        "interval": scorecard.interval(scorecard.ratio(floor, each) for each in bootstrap),
        "noise_ratio": scorecard.ratio(floor, noise),
        "passed": ratio is not None and ratio <= scorecard.LIMIT,
    }
