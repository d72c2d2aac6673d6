"""The paper's errors E_rec and E_gen (Section 4.1), and white noise to hold them against.

Images are (n, height, width) integer phase labels. :mod:`davegan_tf.evaluation` puts them together.
"""

import numpy as np
from numpy.typing import NDArray

from davegan_tf import descriptors

Labels = NDArray[np.integer]
Rng = np.random.Generator

# The correlations of so many tiles fit into memory, also of large ones.
_TILES_AT_ONCE = 256


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


def reconstruction_errors(
    real: Labels, other: Labels, phases: list[int], max_lag: float | None = None
) -> descriptors.Floats:
    """Eq. 12 between each image and the one in its place in the other stack: (phases, n) float64."""
    return np.array(
        [
            descriptors.s2_error(
                descriptors.two_point_correlation(real == phase),
                descriptors.two_point_correlation(other == phase),
                max_lag=max_lag,
            )
            for phase in phases
        ]
    )


def generation_errors(
    tiles: Labels, images: Labels, phases: list[int], max_lag: float | None = None
) -> descriptors.Floats:
    """Eq. 12 between each image and the closest tile, as the paper takes it for E_gen: (phases, n) float64.

    Each phase is treated as a two-phase image of its own, with its own closest tile.
    """
    return tile_errors(tiles, images, phases, max_lag).min(axis=-1)


def tile_errors(
    tiles: Labels, images: Labels, phases: list[int], max_lag: float | None = None
) -> descriptors.Floats:
    """Eq. 12 between each image and each tile: (phases, n, tiles) float64."""

    def correlation(labels, phase):
        s2 = descriptors.two_point_correlation(labels == phase)
        if max_lag is None:
            return s2
        return s2[:, None, descriptors.lag_lengths(labels.shape[1:]) <= max_lag]

    errors = np.empty((len(phases), len(images), len(tiles)))
    for of_phase, phase in zip(errors, phases, strict=True):
        s2 = correlation(images, phase)
        for start in range(0, len(tiles), _TILES_AT_ONCE):
            part = slice(start, start + _TILES_AT_ONCE)
            of_phase[:, part] = descriptors.pairwise_s2_error(s2, correlation(tiles[part], phase))
    return errors


def pixel_accuracy(real: Labels, reconstructed: Labels) -> dict[str, float]:
    """Share of pixels that a reconstruction gets right: mean over images, and the ``worst`` image."""
    right = (real == reconstructed).mean(axis=(1, 2))
    return {"value": float(right.mean()), "worst": float(right.min())}
