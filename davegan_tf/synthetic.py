"""Seeded generators of synthetic microstructures; they need no file and no network.

All but `ellipses` are periodic. Arrays are row, column; labels are uint8; a generator called with
the same arguments gives the same bits.
"""

from collections.abc import Callable

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from davegan_tf.errors import InputError

# Section 4.2: limits of the ellipses' area fraction and of the aspect ratio a/b.
ELLIPSE_AREA = (0.012, 0.19)
ELLIPSE_ASPECT = (1.0, 4.0)
# Minutes and 2 GB; time grows with the number of grains squared.
LARGEST_GRAINS = 4096
# The reference sample of Section 4.2, as `draw_ellipses` takes it: in the middle of 32 × 32 pixels, principal axes of 6
# and 14 pixels horizontally and vertically.
ELLIPSE_REFERENCE = (7.0, 3.0, 15.5, 15.5, np.pi / 2)


def checkerboard(size: int, *, period: int = 16) -> np.ndarray:
    """Checkerboard with a volume fraction of exactly 0.5.

    Parameters
    ----------
    size : int
        Side in pixels, a multiple of `period`.
    period : int
        Sides of two fields in pixels, even. The default gives all tiles of Section 4.3 the same
        content.

    Returns
    -------
    labels : (size, size) uint8, 0 or 1

    Raises
    ------
    InputError
        If the fields do not fill the image evenly.
    """
    if period < 2 or period % 2 or size < period or size % period:
        raise InputError(
            f"a checkerboard of {size} × {size} pixels (data.micrograph_size) cannot be made of "
            f"whole pairs of fields: give a multiple of the period, {period} pixels."
        )
    field = np.arange(size) // (period // 2)
    return ((field[:, np.newaxis] + field) % 2).astype(np.uint8)


def filtered_noise(
    size: int,
    seed: int,
    *,
    volume_fraction: float = 0.298,
    correlation: float | tuple[float, float] = 1.6,
) -> np.ndarray:
    """Gaussian-filtered white noise cut at a quantile, much like synth. 1–3 of Section 4.3.

    Parameters
    ----------
    size : int
        Side in pixels.
    seed : int
    volume_fraction : float, 0 … 1, exclusive
        Fraction of label 1, met to the pixel.
    correlation : float or (rows, columns)
        Standard deviation of the filter in pixels. 1.6 resembles synth. 1, (1.6, 3.2) synth. 2 and
        (1.6, 4.6) synth. 3.

    Returns
    -------
    labels : (size, size) uint8, 0 or 1
    """
    noise = np.random.default_rng(seed).standard_normal((size, size))
    field = ndimage.gaussian_filter(noise, correlation, mode="wrap")
    return _largest(field, volume_fraction)


def _largest(field: np.ndarray, fraction: float) -> np.ndarray:
    """1 where `field` is among its largest `fraction` of values, counted exactly."""
    if not 0 < fraction < 1:
        raise InputError(f"a volume fraction must lie between 0 and 1, not at {fraction}.")
    zeros = field.size - round(fraction * field.size)
    labels = np.zeros(field.size, np.uint8)
    labels[np.argsort(field, axis=None, kind="stable")[zeros:]] = 1
    return labels.reshape(field.shape)


def grains(
    size: int,
    seed: int,
    *,
    volume_fraction: float = 0.865,
    grain_size: float = 34.5,
    size_spread: float = 0.55,
    aspect: float = 1.2,
) -> np.ndarray:
    """Polycrystal with thin dark boundaries that looks like the alloy of Section 4.3.

    A periodic Laguerre tessellation (power diagram) of spheres with log-normal radii, with slightly
    bent and rough boundaries whose width differs from boundary to boundary; a few have gaps.

    Parameters
    ----------
    size : int
        Side in pixels.
    seed : int
    volume_fraction : float, 0 … 1, exclusive
        Fraction of label 1, the grains, met to the pixel by widening all boundaries alike.
    grain_size : float
        Square root of the mean grain area in pixels.
    size_spread : float ≥ 0
        Standard deviation of the logarithm of the radii.
    aspect : float > 0
        Mean width over mean height of the grains.

    Returns
    -------
    labels : (size, size) uint8
        0 boundary, 1 grain.

    Raises
    ------
    InputError
        If it is larger than LARGEST_GRAINS.
    """
    if size > LARGEST_GRAINS:
        raise InputError(
            f"grains of {size} × {size} pixels (data.micrograph_size) would take hours and gigabytes; give at most "
            f"{LARGEST_GRAINS} pixels."
        )
    rng = np.random.default_rng(seed)
    stretch = np.array([aspect**-0.5, aspect**0.5])  # pixels per unit of the undistorted space
    extent = size / stretch
    centres, radii = _spheres(rng, extent, max(3, round((size / grain_size) ** 2)), size_spread)

    axis = np.arange(size, dtype=float)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    points += _smooth_noise(rng, size, 9.0, (2,), amplitude=1.8)  # bends the boundaries
    points += _smooth_noise(rng, size, 1.2, (2,), amplitude=0.45)  # roughens them
    # A few rows at a time: half a kilobyte of neighbours a pixel.
    parts = [
        _boundary_distance(points[row : row + 64], centres, radii, extent, stretch)
        for row in range(0, size, 64)
    ]
    distance, *pair = map(np.concatenate, zip(*parts, strict=True))

    # Every boundary has a width of its own, the same seen from both of its grains, …
    pair_widths = np.exp(0.12 * rng.standard_normal(4096))
    width = pair_widths[(pair[0] * 1009 + pair[1] * 9176) % len(pair_widths)]
    # … which varies along it, and where this noise is very low the boundary has a gap.
    along = _smooth_noise(rng, size, 3.0, (), amplitude=1.0)
    width *= np.exp(0.1 * along) * np.clip((along + 2.9) / 0.4, 0.05, 1.0)
    return _largest(distance / width, volume_fraction)


def _smooth_noise(
    rng: np.random.Generator, size: int, sigma: float, channels: tuple[int, ...], amplitude: float
) -> np.ndarray:
    """Periodic Gaussian noise, (size, size, *channels), with standard deviation `amplitude`."""
    noise = rng.standard_normal((size, size, *channels))
    filtered = ndimage.gaussian_filter(noise, sigma, mode="wrap", axes=(0, 1))
    return filtered * (amplitude * 2 * np.sqrt(np.pi) * sigma)


def _spheres(
    rng: np.random.Generator, extent: np.ndarray, count: int, spread: float
) -> tuple[np.ndarray, np.ndarray]:
    """Centres (count, 2) and radii (count,) of a loose periodic packing, large spheres first."""
    radii = np.sort(np.exp(spread * rng.standard_normal(count)))[::-1]
    radii *= np.sqrt(extent.prod() * 0.55 / (np.pi * np.sum(radii**2)))
    centres = np.empty((count, 2))
    for index in range(count):
        candidates = rng.random((60, 2)) * extent
        if index:
            delta = np.abs(candidates[:, np.newaxis] - centres[:index])
            delta = np.minimum(delta, extent - delta)
            gap = np.hypot(delta[..., 0], delta[..., 1]) - radii[:index] - radii[index]
            clearance = gap.min(axis=1)
            # The first candidate that overlaps nothing, otherwise the one that overlaps least.
            chosen = np.argmax(clearance >= 0) if (clearance >= 0).any() else clearance.argmax()
        else:
            chosen = 0
        centres[index] = candidates[chosen]
    return centres, radii


def _boundary_distance(
    points: np.ndarray,
    centres: np.ndarray,
    radii: np.ndarray,
    extent: np.ndarray,
    stretch: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance in pixels of each point to the nearest boundary, and the two grains it parts, the lower number first.

    The power distance |x − c|² − r² is, up to a constant, the squared distance from (x, 0) to
    (c, √(r_max² − r²)) one dimension up, so that a k-d tree finds the grains of a point.
    """
    images = np.stack(np.meshgrid((-1, 0, 1), (-1, 0, 1), indexing="ij"), axis=-1).reshape(-1, 1, 2)
    sites = (centres + images * extent).reshape(-1, 2)
    grain = np.tile(np.arange(len(centres)), 9)
    lift = np.tile(np.sqrt(radii.max() ** 2 - radii**2), 9)
    tree = cKDTree(np.column_stack([sites, lift]))
    lifted = np.concatenate([points / stretch, np.zeros((*points.shape[:-1], 1))], axis=-1)
    power, nearest = tree.query(lifted, k=8)
    power **= 2
    normal = (sites[nearest[..., 1:]] - sites[nearest[..., :1]]) / stretch
    distance = (power[..., 1:] - power[..., :1]) / (2 * np.linalg.norm(normal, axis=-1))
    closest = np.argmin(distance, axis=-1)[..., np.newaxis]
    one = grain[nearest[..., 0]]
    other = grain[np.take_along_axis(nearest, closest + 1, axis=-1)[..., 0]]
    distance = np.take_along_axis(distance, closest, axis=-1)[..., 0]
    return distance, np.minimum(one, other), np.maximum(one, other)


def draw_ellipses(parameters: np.ndarray, size: int = 32) -> np.ndarray:
    """Images of one ellipse each.

    Parameters
    ----------
    parameters : (count, 5) float
        Semi-axes a and b, row and column of the centre, all in pixels, and the angle ϕ in radians
        between the semi-axis a and the horizontal, counter-clockwise as one sees the image. Pixel
        (0, 0) is centred at row 0, column 0; the image spans −0.5 … size − 0.5.
    size : int
        Side in pixels.

    Returns
    -------
    labels : (count, size, size) uint8
        1 where the centre of the pixel lies in the ellipse.
    """
    parameters = np.asarray(parameters, np.float64)
    a, b, row, column, angle = (values[:, np.newaxis, np.newaxis] for values in parameters.T)
    axis = np.arange(size)
    up, right = row - axis[:, np.newaxis], axis - column  # (count, size, 1), (count, 1, size)
    cosine, sine = np.cos(angle), np.sin(angle)
    along = right * (cosine / a) + up * (sine / a)
    across = up * (cosine / b) - right * (sine / b)
    return (along**2 + across**2 <= 1).astype(np.uint8)


def _ellipse_candidates(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    """Parameters (count, 5) with uniform area fraction, aspect ratio, angle and free position."""
    area = rng.uniform(*ELLIPSE_AREA, count) * size**2
    aspect = rng.uniform(*ELLIPSE_ASPECT, count)
    angle = rng.uniform(0, np.pi, count)
    b = np.sqrt(area / (np.pi * aspect))
    a = aspect * b
    # Half the height and width of the bounding box: the ellipse touches the image's edge at most.
    half = np.stack(
        [
            np.hypot(a * np.sin(angle), b * np.cos(angle)),
            np.hypot(a * np.cos(angle), b * np.sin(angle)),
        ]
    )
    centre = half - 0.5 + rng.random((2, count)) * (size - 2 * half)
    return np.stack([a, b, *centre, angle], axis=1)


def ellipses(count: int, seed: int, size: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Images with a single elliptical inclusion (Section 4.2).

    The area fraction is 1.2 % … 19 %, both of the ellipse and of its pixels, 1 ≤ a/b ≤ 4, and the
    ellipse lies entirely within the image. The paper does not give the distributions: area
    fraction, aspect ratio, angle and the position in the room that is left are uniform here.

    Parameters
    ----------
    count : int
        Number of images. The first n images are the same for every count ≥ n.
    seed : int
    size : int ≥ 32
        Side in pixels.

    Returns
    -------
    images : (count, size, size) uint8, 1 in the inclusion
    parameters : (count, 5) float64
        As in `draw_ellipses`: a, b, row, column, angle in [0, π).
    """
    rng = np.random.default_rng(seed)
    images = np.empty((count, size, size), np.uint8)
    parameters = np.empty((count, 5))
    done = 0
    while done < count:
        candidates = _ellipse_candidates(rng, 2048, size)  # in chunks, to keep the memory small
        drawn = draw_ellipses(candidates, size)
        fraction = drawn.mean(axis=(1, 2))
        accepted = (fraction > ELLIPSE_AREA[0]) & (fraction < ELLIPSE_AREA[1])
        chosen = np.flatnonzero(accepted)[: count - done]
        images[done : done + len(chosen)] = drawn[chosen]
        parameters[done : done + len(chosen)] = candidates[chosen]
        done += len(chosen)
    return images, parameters


GENERATORS: dict[str, Callable] = {
    "checkerboard": checkerboard,
    "filtered_noise": filtered_noise,
    "grains": grains,
    "ellipses": ellipses,
}
