"""Ratios of a value to its floor: limits, several of them, and their intervals."""

from collections.abc import Iterable

import numpy as np

# PASS up to so many floors.
LIMIT = 2.0
RESAMPLINGS = 100
# Smaller than this is zero but for rounding (the crops of a checkerboard are all alike).
ZERO = 1e-12
CONFIDENCE = 95.0


def ratio(value: float | None, floor: float | None) -> float | None:
    """value / floor; zero over zero is 1, and an infinite ratio None, since JSON knows no inf."""
    if value is None or floor is None:
        return None
    if floor <= ZERO:
        return 1.0 if value <= ZERO else None
    return float(value / floor)


def mean(ratios: Iterable[float | None]) -> float | None:
    """Of several ratios; None if one of them is."""
    ratios = list(ratios)
    return None if None in ratios else float(np.mean(ratios))


def interval(ratios: Iterable[float | None], estimate: float | None = None) -> list[float] | None:
    """Percentile bootstrap: lower and upper limit; None if one of the ratios is.

    A distance only grows by resampling; with ``estimate``, the distance without, the resampled ones are moved to have
    it as their mean (down to zero).
    """
    values = list(ratios)
    if None in values:
        return None
    if estimate is not None:
        values = np.maximum(0.0, np.array(values) - np.mean(values) + estimate)
    outside = (100 - CONFIDENCE) / 2
    return [float(limit) for limit in np.percentile(values, [outside, 100 - outside])]
