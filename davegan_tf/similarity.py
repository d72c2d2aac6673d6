"""How alike are pieces of a microstructure: diversity, coverage, copies of the training data.

The distance of two images is the share of their pixels that differ. It depends on phase fractions:
one image of the majority phase is nearer to most pieces than they are to each other. A *relative*
distance is divided by what chance gives two images of these fractions (1 − Cohen's κ): 0 is a copy,
1 has nothing in common. Neither changes when phases swap names.

Images are (n, side, side) phase labels; a *place* is (image, row, column), a square's upper left
corner in ``micrographs``, (n_images, height, width). Overlapping squares are alike by construction:
real crops are compared with disjoint ones only.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from davegan_tf.dataset import cut, tile_positions
from davegan_tf.descriptors import Floats
from davegan_tf.errors import InputError
from davegan_tf.measures import Labels

Places = NDArray[np.int64]

# Copies are found among far fewer, images without a copy lose at most a pixel or two (tests/test_similarity.py).
MAX_WINDOWS = 1024
# Agreeing pixels are whole numbers: in single precision, which is twice as fast, their rounding errors stay below 0.1
# up to this product of the square roots of the pixels of image and micrograph (64 and 4096 pixels a side).
_SINGLE_PRECISION = 2**18
# As many as stay in a processor's cache are transformed at once.
_BATCH_PIXELS = 2**17


class Coverage(NamedTuple):
    share: float | None
    covered: NDArray[np.bool_]
    distance: Floats
    radius: Floats


class Nearest(NamedTuple):
    distance: Floats
    place: Places
    shift: Places
    relative: Floats


def overlapping(positions_a: ArrayLike, positions_b: ArrayLike, side: int) -> NDArray[np.bool_]:
    """Do two squares share a pixel? (a, b) bool, for squares at (a, 3) and (b, 3) places."""
    a, b = np.asarray(positions_a, np.int64), np.asarray(positions_b, np.int64)
    shared = np.equal.outer(a[:, 0], b[:, 0])
    # One coordinate after the other: of the 60,000 images of Section 4.2 all at once would fill gigabytes.
    for axis in (1, 2):
        shared &= np.abs(np.subtract.outer(a[:, axis], b[:, axis])) < side
    return shared


def pairwise_distances(images: Labels, others: Labels, *, relative: bool = False) -> Floats:
    """Distance of each of n images to each of m others: (n, m) float64, ≥ 0."""
    if images.shape[1:] != others.shape[1:]:
        raise InputError(f"Images of {images.shape[1:]} and {others.shape[1:]} pixels do not fit.")
    agreement, chance = np.zeros((2, len(images), len(others)))
    for phase in np.intersect1d(images, others):
        # Sums of ones are exact in float32 up to 2**24 pixels.
        a, b = ((x == phase).reshape(len(x), -1).astype(np.float32) for x in (images, others))
        agreement += a @ b.T
        chance += np.outer(a.mean(axis=1, dtype=float), b.mean(axis=1, dtype=float))
    distance = 1 - agreement / images[0].size
    return _over_chance(distance, chance) if relative else distance


def mean_distance(
    distances: Floats, indices: ArrayLike | None = None, counted: NDArray[np.bool_] | None = None
) -> float | None:
    """Mean over the pairs of a set with (n, n) distances; None without a pair.

    ``indices``, with repetitions, make a resampled set of it (bootstrap), in which an image forms
    no pair with its own copies. ``counted``, (n, n), are the pairs that count (disjoint crops).
    """
    n = len(distances)
    times = np.ones(n) if indices is None else np.bincount(indices, minlength=n).astype(float)
    pairs = ~np.eye(n, dtype=bool) & (True if counted is None else counted)
    number = times @ pairs @ times
    return float(times @ (distances * pairs) @ times / number) if number else None


def coverage(
    generated: Labels,
    crops: Labels,
    positions: ArrayLike,
    generated_positions: ArrayLike | None = None,
    *,
    relative: bool = False,
) -> Coverage:
    """Share of real crops with a sample as near as their nearest disjoint other real crop.

    It grows with the number of samples; the baseline, about 0.5, is a second set of as many real
    crops. If not ``relative``, a single image of the majority phase covers all of alloy.

    Parameters
    ----------
    generated, crops : (n, side, side) and (m, side, side) int
    positions, generated_positions : (m, 3) and (n, 3) int
        Places of ``crops``, and of ``generated`` if these are real: none covers what it overlaps.

    Returns
    -------
    Coverage
        Of each crop the ``distance`` to the nearest sample, the ``radius`` to the nearest disjoint
        other crop, inf without one, and ``covered``, distance ≤ radius < inf; ``share``, the mean
        of that over crops with a radius, None without any.
    """
    nearest = []
    for others, places in ((crops, positions), (generated, generated_positions)):
        distances = pairwise_distances(crops, others, relative=relative)
        if places is not None:
            distances[overlapping(positions, _checked(places, others), crops.shape[-1])] = np.inf
        nearest.append(distances.min(axis=1))
    radius, distance = nearest
    defined, covered = np.isfinite(radius), distance <= radius
    share = float(covered[defined].mean()) if defined.any() else None
    return Coverage(share, covered & defined, distance, radius)


def window_grid(images_shape: tuple[int, int, int], side: int) -> Places:
    """Places of the windows that :func:`nearest_places` shifts cyclically: (n_windows, 3).

    Every side // 4 pixels, all tiles, and the last place at the lower and right rim, where the
    training's crops are moved to that would leave the micrograph.
    """
    tiles, axes = tile_positions(images_shape, side), [np.arange(images_shape[0])]
    for axis in (1, 2):
        last = images_shape[axis] - side
        axes.append(np.union1d(np.r_[0 : last : max(1, side // 4), last], tiles[:, axis]))
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def nearest_places(
    images: Labels,
    micrographs: Labels,
    n_phases: int,
    exclude: ArrayLike | None = None,
    *,
    max_windows: int = MAX_WINDOWS,
) -> Nearest:
    """Piece of the training data that agrees with each image in the most pixels.

    Pieces are all uncut places of the micrographs and, as the training's augmentation makes them,
    all cyclic shifts of the windows of :func:`window_grid`. By FFT; time grows with images × pixels
    of the micrographs and with images × windows.

    Parameters
    ----------
    images, micrographs : (n, side, side) and (n_images, height, width) int, 0 … n_phases − 1
    exclude : (n, 3) int, optional
        A place for each image, for real crops their own; no piece that overlaps it is looked at.
    max_windows : int, ≥ 1
        Of more windows, only those with the amplitude spectrum most like the image's are shifted.
        Shifts do not change it: copies are still found.

    Returns
    -------
    Nearest
        ``distance`` (n,); ``place`` (n, 3); ``shift`` (n, 2), rows and columns by which the window
        there is rolled to lie on the image, (0, 0) for uncut places, which win ties; ``relative``
        distance of the same piece. NaN, −1, 0 and NaN where ``exclude`` leaves nothing.
    """
    for name, labels in (("images", images), ("micrographs", micrographs)):
        if labels.ndim != 3 or not labels.size or labels.min() < 0 or labels.max() >= n_phases:
            raise InputError(f"{name} must be a stack of images with labels 0 to {n_phases - 1}.")
    n, side, width = images.shape
    if width != side:
        raise InputError(f"images must be square, not of {side} × {width} pixels.")
    grid, shape = window_grid(micrographs.shape, side), micrographs.shape[1:]
    tried = np.ones((n, len(grid)), bool)
    if exclude is not None:
        exclude = _checked(exclude, images)
        tried = ~overlapping(exclude, grid, side)
    # Amplitude spectra are compared to more digits than single precision has.
    small = side * np.sqrt(np.prod(shape)) <= _SINGLE_PRECISION
    precision = np.float32 if small and len(grid) <= max_windows else np.float64
    waves = _waves(images, n_phases, precision)

    def spectra(windows):
        return fft.rfft2(_waves(cut(micrographs, grid[windows], side), n_phases, precision))

    if len(grid) > max_windows:
        tried &= _most_alike(waves, spectra, tried, max_windows)
    else:
        spectra = spectra(slice(None)).__getitem__
    most, found = _search(waves, spectra, (side, side), (side, side), tried)
    place, shift = grid[found[:, 0]], -found[:, 1:] % side
    # A micrograph of one window has no other uncut place.
    if shape != (side, side):
        padded = [fft.next_fast_len(extent, real=True) for extent in shape]
        spectra = fft.rfft2(_waves(micrographs, n_phases, precision), s=padded).__getitem__
        every = np.ones((n, len(micrographs)), bool)
        uncut, found = _search(waves, spectra, padded, np.subtract(shape, side - 1), every, exclude)
        better = uncut >= most
        most[better], place[better], shift[better] = uncut[better], found[better], 0
    pieces = cut(micrographs, place, side)
    chance = sum((images == k).mean((1, 2)) * (pieces == k).mean((1, 2)) for k in range(n_phases))
    distance = np.where(most < 0, np.nan, 1 - most / side**2)
    place[most < 0] = -1
    return Nearest(distance, place, shift, _over_chance(distance, chance))


def _search(waves, spectra, shape, lags, tried, exclude=None):
    """Most agreeing pixels of each image, −1 if none, and where: (piece, row, column)."""
    n, channels, side, _ = waves.shape
    most, found = np.full(n, -1), np.zeros((n, 3), np.int64)
    batch = max(1, _BATCH_PIXELS // (shape[0] * shape[1]))
    for i, pieces in enumerate(map(np.flatnonzero, tried)):
        conjugate = fft.rfft2(waves[i], s=shape).conj()
        for start in range(0, len(pieces), batch):
            chosen = pieces[start : start + batch]
            product = (spectra(chosen) * conjugate).sum(axis=1)
            agreeing = fft.irfft2(product, s=shape)[:, : lags[0], : lags[1]]
            agreeing = np.rint((side**2 + agreeing) / 2 if channels == 1 else agreeing)
            if exclude is not None:
                (top, left), (end, right) = exclude[i, 1:] - side + 1, exclude[i, 1:] + side
                agreeing[chosen == exclude[i, 0], max(0, top) : end, max(0, left) : right] = -1
            best = np.unravel_index(agreeing.argmax(), agreeing.shape)
            if agreeing[best] > most[i]:
                most[i], found[i] = agreeing[best], (chosen[best[0]], *best[1:])
    return most, found


def _most_alike(waves, spectra, tried, max_windows):
    """(n, n_windows) bool: windows with the largest cosine of amplitude spectra, ties included."""
    images, parts = np.abs(fft.rfft2(waves)).reshape(len(waves), -1), []
    for start in range(0, tried.shape[1], 1024):
        windows = np.abs(spectra(slice(start, start + 1024))).reshape(-1, images.shape[1])
        parts.append(images @ (windows / np.linalg.norm(windows, axis=1, keepdims=True)).T)
    order = np.where(tried, -np.hstack(parts).round(9), np.inf)
    return order <= np.partition(order, max_windows - 1, axis=1)[:, [max_windows - 1]]


def _waves(labels: Labels, n_phases: int, precision: type) -> NDArray[np.floating]:
    """(n, channels, …): images of two phases as −1 and 1, one channel; of more as indicators."""
    if n_phases == 2:
        return 2 * labels[:, np.newaxis].astype(precision) - 1
    return np.stack([labels == k for k in range(n_phases)], axis=1).astype(precision)


def _over_chance(distance: Floats, chance: Floats) -> Floats:
    """Distance over 1 − chance agreement; 0 where both images are one and the same phase."""
    return np.divide(distance, 1 - chance, out=distance.copy(), where=chance < 1)


def window(micrographs: Labels, place: ArrayLike, shift: ArrayLike, side: int) -> Labels:
    """The piece that :func:`nearest_places` found, (side, side), as it lies on the image."""
    return np.roll(cut(micrographs, np.asarray(place), side), tuple(shift), axis=(0, 1))


def nearest_pairs(distances: Floats, count: int) -> NDArray[np.intp]:
    """Indices of the ``count`` smallest distances, smallest first, without NaN."""
    return np.argsort(distances, kind="stable")[: min(count, np.isfinite(distances).sum())]


def memorised_share(distances: Floats, threshold: float) -> float:
    """Share of the distances below the threshold."""
    return float(np.mean(distances < threshold))


def memorisation(generated_distances: Floats, real_distances: Floats) -> dict[str, float | None]:
    """Are samples nearer to the training data than disjoint pieces of it are to each other?

    Of (n,) and (m,) distances of :func:`nearest_places`, relative or not, the real crops' with
    ``exclude``, NaN left out: ``share`` of samples below ``threshold``, the 1st percentile of the crops
    that do not repeat exactly (fresh material: 1 to 6 %, relative 1 to 3 %); ``mean``, ``smallest`` of
    both. None: no crops; no share and threshold either where all crops repeat, as a checkerboard's do.
    """
    real = real_distances[~np.isnan(real_distances)]
    # Pieces of one phase alone, or of a periodic part, would make it 0, which not even copies are below.
    distinct = real[real > 0]
    threshold = float(np.percentile(distinct, 1)) if distinct.size else None
    return {
        "share": None if threshold is None else memorised_share(generated_distances, threshold),
        "threshold": threshold,
        "mean": float(generated_distances.mean()),
        "smallest": float(generated_distances.min()),
        "mean_real_crops": float(real.mean()) if real.size else None,
        "smallest_real_crops": float(real.min()) if real.size else None,
    }


def _checked(positions: ArrayLike, images: Labels) -> Places:
    if np.shape(positions) != (len(images), 3):
        raise InputError(f"{len(images)} images need a place each, not {np.shape(positions)}.")
    return np.asarray(positions, np.int64)
