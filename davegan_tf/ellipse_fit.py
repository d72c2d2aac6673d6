"""Is the inclusion of an image one ellipse, and which? (Section 4.2)

The reverse of `davegan_tf.synthetic.draw_ellipses`, for images that a model has made: "with increasing
distance in the latent variables, the generated samples become less and less ellipsoidal".
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from davegan_tf.descriptors import Floats
from davegan_tf.errors import InputError
from davegan_tf.synthetic import ELLIPSE_AREA, draw_ellipses
from davegan_tf.topology import Clusters, label_clusters

RESIDUAL_LIMIT = 0.045  # of an inclusion of 100 pixels

_CHUNK = 2048  # images at a time, to keep the memory small
# Pixels of one image, never of two: with corners for the inclusion, and without (topology.SIDES) for its
# surroundings, so that of two diagonals that cross only one is connected.
_TOUCHING = np.zeros((3, 3, 3), dtype=bool)
_TOUCHING[1] = True


class EllipseFit(NamedTuple):
    """What `fit_ellipse` found; axes (...) are those in front of height and width.

    n_components : (...) int64 ≥ 0, connected inclusions, also over corners as thin ellipses need it
    n_holes : (...) int64 ≥ 0, in any of them
    centre : (..., 2) float64, row and column in pixels
    semi_axes : (..., 2) float64, a ≥ b in pixels
    angle : (...) float64 in [0, π), between a and the horizontal, counter-clockwise
    area : (...) int64, pixels of all components
    residual : (...) float64 ≥ 0, pixels that are not as in the drawing of the fitted ellipse, over area

    Without any inclusion n_components is 0, and what can't be told is NaN.
    """

    n_components: NDArray[np.int64]
    n_holes: NDArray[np.int64]
    centre: Floats
    semi_axes: Floats
    angle: Floats
    area: NDArray[np.int64]
    residual: Floats

    @property
    def parameters(self) -> Floats:
        """(..., 5) float64: a, b, row, column, angle, as in `davegan_tf.synthetic.draw_ellipses`."""
        return np.concatenate([self.semi_axes, self.centre, self.angle[..., np.newaxis]], axis=-1)


def fit_ellipse(image: ArrayLike) -> EllipseFit:
    """Ellipse with the area's centre and second moments, and how well the image agrees with it.

    The image is cut at 0.5, as one rounds. The ellipse is that of the largest component, with semi-axes
    of twice the standard deviations along the principal directions. It is drawn by the rule of the
    data set, beyond the image's edges too; every pixel of the image that differs counts for the
    residual, other components, holes and pixels beyond the edge included.

    Parameters
    ----------
    image : (..., height, width) bool, int or float in [0, 1]
        Probability or label of the inclusion, one image or many.

    Returns
    -------
    EllipseFit

    Raises
    ------
    InputError
        If it is no image, or values lie outside [0, 1].
    """
    image = np.asarray(image)
    if image.ndim < 2 or 0 in image.shape[-2:]:
        raise InputError(f"an image must be (..., height, width); got shape {image.shape}.")
    if image.size and not (image.min() >= 0 and image.max() <= 1):
        raise InputError(
            "an image must hold probabilities or labels in [0, 1]; got values from "
            f"{image.min():.3g} to {image.max():.3g}."
        )
    *leading, height, width = image.shape
    inside = (image > 0.5).reshape(-1, height, width)
    starts = range(0, max(len(inside), 1), _CHUNK)
    chunks = [_fit(inside[start : start + _CHUNK]) for start in starts]
    columns = (np.concatenate(column) for column in zip(*chunks, strict=True))
    return EllipseFit(*(column.reshape((*leading, *column.shape[1:])) for column in columns))


def is_one_ellipse(
    image: ArrayLike,
    residual_limit: float = RESIDUAL_LIMIT,
    smallest_area: float = ELLIPSE_AREA[0],
) -> NDArray[np.bool_]:
    """Is the inclusion a single ellipse, in one piece and without holes?

    A raster misplaces pixels along an outline only. So the residual of true ellipses falls with the
    square root of their area, and so does the limit: residual ≤ residual_limit · √(100 / area).

    The default accepts 99 % of the 60,000 images of the data set (whose residuals have a median of
    0.010 and a 99th percentile of 0.071). Of other shapes with the areas, aspect ratios and angles of
    the data set it accepts 3 % of the rectangles (10 % if upright) and of the rhombi, 4 % of the half
    ellipses, 0.1 % of the crosses, 3 % of the pairs of ellipses that touch, 2 % of the blobs cut from
    smooth noise, and 5 % of the ellipses with a stray pixel, those where it lies on the outline. The
    rectangles, rhombi and halves among them are small: of 40 pixels and more it accepts 0.1 %.

    Parameters
    ----------
    image : (..., height, width) bool, int or float in [0, 1]
        As in `fit_ellipse`. It is cut at 0.5: a blurred ellipse is an ellipse.
    residual_limit : float > 0
        For an inclusion of 100 pixels.
    smallest_area : float, 0 … 1
        Fraction of the image that the inclusion must fill. The default is the paper's "greater than
        1.2 % to maintain their visibility"; a speck of a few pixels is as good an ellipse as anything.

    Returns
    -------
    (...) bool
    """
    fit = fit_ellipse(image)
    limit = residual_limit * np.sqrt(100 / np.maximum(fit.area, 1))
    visible = fit.area > smallest_area * np.prod(np.shape(image)[-2:])
    return (fit.n_components == 1) & (fit.n_holes == 0) & visible & (fit.residual <= limit)


def _fit(inside: NDArray[np.bool_]) -> tuple[NDArray, ...]:
    """The fields of `EllipseFit` for (n, height, width)."""
    components = label_clusters(inside, _TOUCHING)
    around = np.pad(~inside, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    n_components, n_around = map(_count, (components, label_clusters(around)))
    n_holes = n_around - 1

    # The last component of an image in this order is its largest.
    order = 1 + np.lexsort((components.size[1:], components.image[1:]))
    largest = np.full(len(inside), -1)
    largest[components.image[order]] = order
    parameters = _moments(components.labels == largest[:, np.newaxis, np.newaxis])

    area = inside.sum(axis=(1, 2))
    residual = np.full(len(inside), np.nan)
    some = area > 0
    residual[some] = _differing(inside[some], parameters[some]) / area[some]
    return (
        n_components,
        n_holes,
        parameters[:, 2:4],
        parameters[:, :2],
        parameters[:, 4],
        area,
        residual,
    )


def _count(clusters: Clusters) -> NDArray[np.int64]:
    """How many there are in each image."""
    return np.bincount(clusters.image[1:], minlength=len(clusters.labels))


def _moments(inside: NDArray[np.bool_]) -> Floats:
    """Parameters (n, 5) of the ellipses with the pixels' moments; NaN where there are none."""
    mass = np.maximum(inside.sum(axis=(1, 2)), 1)
    rows, columns = (np.arange(side, dtype=np.float64) for side in inside.shape[1:])
    by_row, by_column = inside.sum(axis=2), inside.sum(axis=1)
    row, column = by_row @ rows / mass, by_column @ columns / mass
    # Upwards is to lower rows.
    up = by_row @ rows**2 / mass - row**2
    right = by_column @ columns**2 / mass - column**2
    mixed = row * column - (inside @ columns) @ rows / mass

    middle, radius = (right + up) / 2, np.hypot((right - up) / 2, mixed)
    # No thinner than a row of pixels, which has no variance across.
    variances = np.maximum(np.stack([middle + radius, middle - radius], axis=1), 1 / 12)
    angle = 0.5 * np.arctan2(2 * mixed, right - up)
    angle = np.where(angle < 0, angle + np.pi, angle) % np.pi
    parameters = np.column_stack([2 * np.sqrt(variances), row, column, angle])
    parameters[~inside.any(axis=(1, 2))] = np.nan
    return parameters


def _differing(inside: NDArray[np.bool_], parameters: Floats) -> NDArray[np.int64]:
    """Pixels in which images (n, height, width) and drawings of ellipses (n, 5) differ: (n,)."""
    height, width = inside.shape[1:]
    margin = max(height, width) // 4
    shifted = parameters + np.array([0, 0, margin, margin, 0])
    drawn = draw_ellipses(shifted, max(height, width) + 2 * margin)
    framed = np.pad(inside, ((0, 0), (margin, margin), (margin, margin)))
    return np.count_nonzero(drawn[:, : framed.shape[1], : framed.shape[2]] != framed, axis=(1, 2))
