"""The single measures of an evaluation, each beside its baselines (Section 4.1).

A measure is a dictionary of numbers: ``value`` is the model's; ``real_crops``, ``white_noise`` and
``other_tiles`` are baselines; ``per_phase`` splits ``value`` by label; None: not defined here.
Images are (n, height, width) integer phase labels. :mod:`davegan_tf.evaluation` puts them together.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.spatial.distance import pdist

from davegan_tf import descriptors

Labels = NDArray[np.integer]
Rng = np.random.Generator

STRUCTURE_MAX_LAG = 8
RESAMPLINGS = 20
# Smaller than this is zero but for rounding (the crops of a checkerboard are all alike).
_ZERO = 1e-12


def evaluated_phases(n_phases: int) -> list[int]:
    """Labels that S2 is measured on: label 1 of two phases, as the paper does, else each."""
    return [1] if n_phases == 2 else list(range(n_phases))


def phase_fractions(labels: Labels, n_phases: int) -> descriptors.Floats:
    """φ of every phase in every image: (n, n_phases), rows sum to 1."""
    return np.stack([descriptors.volume_fraction(labels == k) for k in range(n_phases)], axis=-1)


def white_noise(fractions: NDArray[np.floating], shape: tuple[int, ...], rng: Rng) -> Labels:
    """Labels drawn pixel by pixel, without any structure.

    Parameters
    ----------
    fractions : (n_phases,) or (n, n_phases) float
        Probability of each label, for all images or for each of the n.
    shape : (n, height, width)

    Returns
    -------
    (n, height, width) uint8
    """
    # Without the last sum, which is 1 but for rounding: above all others lies the last label.
    limits = np.cumsum(fractions, axis=-1)[..., :-1]
    draws = rng.random(shape)
    labels = np.zeros(shape, dtype=np.uint8)
    for phase_limit in np.moveaxis(limits, -1, 0):
        labels += draws >= phase_limit[..., np.newaxis, np.newaxis]
    return labels


def reconstruction_error(
    real: Labels, reconstructed: Labels, crops: Labels, noise: Labels, phases: list[int]
) -> dict[str, Any]:
    """E_rec: Eq. 12 between each tile and its reconstruction, mean over tiles and phases.

    ``real_crops`` is the error between a tile and an unrelated crop, ``white_noise`` between a tile
    and noise of that tile's own phase fractions: a reconstruction that merely gets φ right.
    """
    per_phase = {name: {} for name in ("value", "real_crops", "white_noise")}
    for phase in phases:
        s2 = descriptors.two_point_correlation(real == phase)
        s2_reconstructed = descriptors.two_point_correlation(reconstructed == phase)
        s2_noise = descriptors.two_point_correlation(noise == phase)
        s2_crops = descriptors.two_point_correlation(crops == phase)
        per_phase["value"][phase] = descriptors.s2_error(s2, s2_reconstructed).mean()
        per_phase["real_crops"][phase] = descriptors.pairwise_s2_error(s2, s2_crops).mean()
        per_phase["white_noise"][phase] = descriptors.s2_error(s2, s2_noise).mean()
    return _measure(per_phase)


def generation_error(
    real: Labels, generated: Labels, crops: Labels, noise: Labels, phases: list[int]
) -> dict[str, Any]:
    """E_gen: Eq. 12 between each sample and the closest tile, mean over samples and phases.

    Each phase is treated as a two-phase image of its own, with its own closest tile. The baselines
    are the same for real crops, for white noise, and for each tile with the closest other tile.
    """
    per_phase = {name: {} for name in ("value", "real_crops", "other_tiles", "white_noise")}
    for phase in phases:
        s2 = descriptors.two_point_correlation(real == phase)
        for name, labels in (("value", generated), ("real_crops", crops), ("white_noise", noise)):
            s2_labels = descriptors.two_point_correlation(labels == phase)
            per_phase[name][phase] = descriptors.nearest_s2_error(s2_labels, s2).mean()
        if len(real) > 1:
            per_phase["other_tiles"][phase] = descriptors.nearest_s2_error(s2).mean()
    return _measure(per_phase)


def structure_ratio(
    generated: Labels,
    crops: Labels,
    noise: Labels,
    phases: list[int],
    rng: Rng,
    *,
    max_lag: float = STRUCTURE_MAX_LAG,
    resamplings: int = RESAMPLINGS,
) -> dict[str, Any]:
    """Distance of the samples' mean autocovariance from the real one, over what chance gives.

    Root mean square difference of the mean normalised autocovariance at |r| ≤ max_lag between
    samples and real crops, over the same between two disjoint sets of real crops; all sets of one
    size k, both averaged over the resamplings. 1 is perfect. It grows with √k for wrong samples:
    compare at equal k.

    Where all crops are alike, so that chance gives 0, the ratio is 1 for samples like them, else
    None. ``difference`` and ``floor`` are the two averages, as means over phases.
    """
    k = min(len(generated), len(crops) // 2)
    near = descriptors.lag_lengths(crops.shape[1:]) <= max_lag
    draws = [
        (rng.permutation(len(crops))[: 2 * k], rng.permutation(len(generated))[:k])
        for _ in range(resamplings)
    ]
    per_phase = {name: {} for name in ("value", "real_crops", "white_noise")}
    differences, floors = [], []
    for phase in phases:
        real, samples, noises = (
            descriptors.normalized_autocovariance(labels == phase)[:, near]
            for labels in (crops, generated, noise)
        )
        sums = np.zeros(3)
        for crop, sample in draws:
            reference = real[crop[:k]].mean(axis=0)
            others = (real[crop[k:]], samples[sample], noises[sample])
            sums += [np.sqrt(np.mean((other.mean(axis=0) - reference) ** 2)) for other in others]
        floor, difference, noise_difference = sums / resamplings
        per_phase["value"][phase] = _ratio(difference, floor)
        per_phase["real_crops"][phase] = 1.0
        per_phase["white_noise"][phase] = _ratio(noise_difference, floor)
        differences.append(difference)
        floors.append(floor)
    return _measure(per_phase) | {
        "difference": float(np.mean(differences)),
        "floor": float(np.mean(floors)),
        "max_lag": max_lag,
        "set_size": k,
        "resamplings": resamplings,
    }


def diversity(generated: Labels, crops: Labels, noise: Labels) -> dict[str, Any]:
    """Mean share of differing pixels between two samples, over that between two real crops.

    1: samples differ as much as pieces of the material do; 0: all samples are the same (mode
    collapse). ``distance`` and ``real_distance`` are the two means. None with fewer than two
    samples.
    """
    distance, real_distance, noise_distance = (
        _mean_pairwise_distance(labels) for labels in (generated, crops, noise)
    )
    return {
        "value": _ratio(distance, real_distance),
        "real_crops": 1.0,
        "white_noise": _ratio(noise_distance, real_distance),
        "distance": distance,
        "real_distance": real_distance,
    }


def memorisation(
    real: Labels, generated: Labels, crops: Labels, noise: Labels, n_phases: int
) -> dict[str, Any]:
    """How far are samples from copies of a training tile: see :func:`nearest_tile_distance`.

    ``value`` is the mean over samples, ``smallest`` the most copied sample; 0 is a copy. Real
    crops overlap the tiles they are cut from, so some of them are near too: judge against these.
    """
    distances = {
        name: nearest_tile_distance(labels, real, n_phases)
        for name, labels in (("value", generated), ("real_crops", crops), ("white_noise", noise))
    }
    return {name: float(distance.mean()) for name, distance in distances.items()} | {
        "smallest": float(distances["value"].min()),
        "smallest_real_crops": float(distances["real_crops"].min()),
    }


def nearest_tile_distance(images: Labels, tiles: Labels, n_phases: int) -> descriptors.Floats:
    """Smallest share of differing pixels of each image to any tile in any cyclic shift.

    The number of agreeing pixels at every shift is the sum over phases of the cross-correlations of
    the indicators, by FFT; rounding makes it the exact integer.

    Parameters
    ----------
    images : (m, height, width) int
    tiles : (n, height, width) int

    Returns
    -------
    (m,) float64 in [0, 1]
    """
    shape = tiles.shape[1:]
    spectra = [fft.rfft2((tiles == k).astype(np.float64)).conj() for k in range(n_phases)]
    most = np.empty(len(images))
    for index, image in enumerate(images):
        product = sum(
            fft.rfft2((image == k).astype(np.float64)) * spectrum
            for k, spectrum in enumerate(spectra)
        )
        most[index] = np.rint(fft.irfft2(product, s=shape).max())
    return 1 - most / (shape[0] * shape[1])


def pixel_accuracy(
    real: Labels, reconstructed: Labels, crops: Labels, noise: Labels
) -> dict[str, Any]:
    """Share of pixels that a reconstruction gets right: mean over tiles, and the ``worst`` tile."""
    right = (real == reconstructed).mean(axis=(1, 2))
    return {
        "value": float(right.mean()),
        "worst": float(right.min()),
        "real_crops": float(np.mean([(tile == crops).mean() for tile in real])),
        "white_noise": float((real == noise).mean()),
    }


def _mean_pairwise_distance(labels: Labels) -> float | None:
    if len(labels) < 2:
        return None
    return float(pdist(labels.reshape(len(labels), -1), metric="hamming").mean())


def _ratio(value: float | None, floor: float | None) -> float | None:
    """value / floor; zero over zero is 1, and an infinite ratio None, since JSON knows no inf."""
    if value is None or floor is None:
        return None
    if floor <= _ZERO:
        return 1.0 if value <= _ZERO else None
    return float(value / floor)


def _measure(per_phase: Mapping[str, Mapping[int, float | None]]) -> dict[str, Any]:
    """Means over phases of ``value`` and each baseline, and ``value`` split by phase."""

    def mean(values: Mapping[int, float | None]) -> float | None:
        numbers = list(values.values())
        return None if not numbers or None in numbers else float(np.mean(numbers))

    split = {str(k): None if v is None else float(v) for k, v in per_phase["value"].items()}
    return {name: mean(values) for name, values in per_phase.items()} | {"per_phase": split}


def statistics(values: descriptors.Floats) -> dict[str, float]:
    """Mean and standard deviation over images."""
    return {"mean": float(values.mean()), "std": float(values.std())}
