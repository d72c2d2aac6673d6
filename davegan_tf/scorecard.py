"""Judging a set of images by statistics: each beside its floor and white noise, with a verdict.

A statistic describes every image by a few numbers (`features`); two sets of images are as far apart as the root mean
square difference of their mean features. The *floor* is half that distance between two random halves of the
micrograph's tiles, which have no pixel in common, in the mean over many ways to halve them: what the finite size of the
micrograph leaves uncertain in its own mean. (Halves of n tiles each differ by σ √(2 / n), the mean of all 2 n has the
standard error σ / √(2 n).) Of many features it is their standard error; of a single number √(2 / π) = 0.8 of it, as the
mean absolute value of a normal distribution is of its standard deviation. A set passes a statistic if it is at most two
floors away; new material of the same kind mostly does, white noise does not.

The *strict* floor is the distance between two sets of random crops, as large as the set that is judged, from anywhere
in the micrograph. Hundreds of crops of one micrograph overlap: a set within twice this floor has this micrograph's very
numbers; new material of the same kind has not (tests/test_scorecard.py).
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from davegan_tf import chords, descriptors, topology
from davegan_tf.measures import Labels, Rng, evaluated_phases
from davegan_tf.ratios import LIMIT, RESAMPLINGS, interval, mean, ratio

# Name of a statistic → phase ("" where the labels count as they are) → (n, features) float64.
Features = Mapping[str, Mapping[str, descriptors.Floats]]


class Statistic(NamedTuple):
    """One line of the scorecard."""

    label: str
    # (n, height, width) bool, one phase, or integer labels where `phases` is none → (n, …) float
    describe: Callable[[Any], descriptors.Floats]
    # s2: the phases that Eq. 12 is measured on; all: every phase; none: the labels as they are.
    phases: str
    # Over images: what is compared is the mean, or the standard deviation, of the features.
    moment: str = "mean"
    # What a single image can change in the sum over images at least: events so rare that no set of crops has one
    # shall not make the floor zero.
    quantum: float = 0.0


def _autocovariance(max_lag):
    def describe(indicator):
        near = descriptors.lag_lengths(indicator.shape[1:]) <= max_lag
        return descriptors.normalized_autocovariance(indicator)[:, near]

    return describe


def _lineal_path(indicator):
    return descriptors.lineal_path(indicator, indicator.shape[1] // 2)


def _chords(indicator):
    return chords.chord_length_distribution(indicator, indicator.shape[1] // 2)


STATISTICS = {
    "volume_fraction": Statistic("φ, mean", descriptors.volume_fraction, "s2"),
    "volume_fraction_spread": Statistic(
        "φ, standard deviation", descriptors.volume_fraction, "s2", "std"
    ),
    "autocovariance_8": Statistic("autocovariance, lags ≤ 8", _autocovariance(8), "s2"),
    "autocovariance_32": Statistic("autocovariance, lags ≤ 32", _autocovariance(32), "s2"),
    "interface_density": Statistic("interface density", descriptors.interface_density, "none"),
    "lineal_path": Statistic("lineal path", _lineal_path, "all"),
    "chord_lengths": Statistic("chord lengths", _chords, "all"),
    "euler_number": Statistic("Euler number density", topology.euler_number_density, "all"),
    "largest_cluster": Statistic("largest cluster", topology.largest_cluster, "all"),
    "percolation": Statistic("percolation", topology.percolation, "all", quantum=1.0),
}


def describe(labels: Labels, n_phases: int) -> Features:
    """Features of every image by every statistic.

    Parameters
    ----------
    labels : (n, height, width) int
    n_phases : int

    Returns
    -------
    Features
    """
    n = len(labels)
    table = {}
    for name, statistic in STATISTICS.items():
        if statistic.phases == "none":
            of_phases = {"": statistic.describe(labels)}
        else:
            phases = evaluated_phases(n_phases) if statistic.phases == "s2" else range(n_phases)
            of_phases = {str(phase): statistic.describe(labels == phase) for phase in phases}
        table[name] = {phase: values.reshape(n, -1) for phase, values in of_phases.items()}
    return table


def judge(
    images: Features,
    crops: Features,
    tiles: Features,
    noise: Features,
    rng: Rng,
    *,
    paired: bool = False,
    resamplings: int = RESAMPLINGS,
) -> dict[str, dict[str, Any]]:
    """Every statistic of a set of images beside the floors and white noise.

    Parameters
    ----------
    images, crops, tiles, noise : dict
        What :func:`describe` returns of the images, of random real crops, of the micrograph's tiles (which must not
        overlap) and of white noise.
    rng : numpy.random.Generator
    paired : bool
        The images are reconstructions of the crops, in their order: they are resampled together, and there is no strict
        floor.
    resamplings : int

    Returns
    -------
    dict
        Name of the statistic → record: ``value`` and ``noise`` (distances from the real crops), ``floor`` (``mean`` and
        ``std`` over halvings of the tiles), ``ratio`` and ``noise_ratio`` to the floor, the ratio's 95 % ``interval``
        (bootstrap over images and crops), ``strict_ratio`` (see above), ``per_phase`` (ratios), ``passed``; where the
        statistic is a single number, also ``images`` and ``real`` (that number, by phase). Distances and ratios are
        means over phases. None: a ratio to a floor of zero, or whatever needs a floor where there are too few tiles for
        one: ``floor``, ``ratio``, ``noise_ratio``, ``interval`` and ``passed``, and there is no ``per_phase``.
    """
    return {
        name: _judge_statistic(
            statistic, images[name], crops[name], tiles[name], noise[name], rng, paired, resamplings
        )
        for name, statistic in STATISTICS.items()
    }


def _judge_statistic(statistic, images, crops, tiles, noise, rng, paired, resamplings):
    n_images, n_crops, n_tiles = (len(next(iter(part.values()))) for part in (images, crops, tiles))
    half = n_tiles // 2
    known = half >= (2 if statistic.moment == "std" else 1)
    k = min(n_images, n_crops // 2)
    # The same sets for all phases.
    halvings = [rng.permutation(n_tiles) for _ in range(resamplings)]
    resampled = [
        (rng.integers(0, n_images, n_images), rng.integers(0, n_crops, n_crops))
        for _ in range(resamplings)
    ]
    resampled = [(i, i) for i, _ in resampled] if paired else resampled
    strict = [(rng.permutation(n_images), rng.permutation(n_crops)) for _ in range(resamplings)]

    def distance(one, other):
        return _distance(statistic.moment, one, other)

    values, noises, floors, bootstraps, strict_ratios = [], [], [], [], []
    for phase in images:
        mine, real, cells = images[phase], crops[phase], tiles[phase]
        values.append(distance(mine, real))
        noises.append(distance(noise[phase], real))
        bootstraps.append([distance(mine[i], real[j]) for i, j in resampled])
        if known:
            halves = ((cells[order[:half]], cells[order[half : 2 * half]]) for order in halvings)
            floors.append([distance(*pair) / 2 for pair in halves])
        if not paired:
            strict_ratios.append(
                ratio(
                    np.mean([distance(mine[i[:k]], real[j[:k]]) for i, j in strict]),
                    np.mean([distance(real[j[k : 2 * k]], real[j[:k]]) for _, j in strict]),
                )
            )
    record = {
        "value": float(np.mean(values)),
        "noise": float(np.mean(noises)),
        "strict_ratio": None if paired else mean(strict_ratios),
    } | dict.fromkeys(("floor", "ratio", "interval", "noise_ratio", "passed"))
    if known:
        least = statistic.quantum / n_tiles
        limits = [max(float(np.mean(of_phase)), least) for of_phase in floors]
        ratios = [ratio(*pair) for pair in zip(values, limits, strict=True)]
        total = mean(ratios)
        record |= {
            "floor": {
                "mean": float(np.mean(limits)),
                "std": float(np.std(np.mean(floors, axis=0))),
            },
            "ratio": total,
            "interval": interval(
                (
                    mean(ratio(v, f) for v, f in zip(column, limits, strict=True))
                    for column in zip(*bootstraps, strict=True)
                ),
                total,
            ),
            "noise_ratio": mean(ratio(*pair) for pair in zip(noises, limits, strict=True)),
            "per_phase": dict(zip(images, ratios, strict=True)),
            "passed": total is not None and total <= LIMIT,
        }
    if all(values.shape[1] == 1 for values in images.values()):
        for key, features in (("images", images), ("real", crops)):
            record[key] = {p: float(_moment(statistic.moment, v)[0]) for p, v in features.items()}
    return record


def _distance(moment, one, other):
    difference = _moment(moment, one) - _moment(moment, other)
    return float(np.sqrt(np.mean(difference**2)))


def _moment(moment, features):
    if moment == "mean":
        return features.mean(axis=0)
    # Of eight tiles the biased one would be 6 % too small.
    return features.std(axis=0, ddof=min(1, len(features) - 1))
