"""Topology of a phase: how many clusters and holes it has, and whether it spans the image.

Arrays and indicators are those of :mod:`davegan_tf.descriptors`. Nothing is periodic: a cluster ends
at the image's border. Pixels of the phase are connected through their sides, not through their
corners; the pixels around them then are connected through both, so that of two diagonals that
cross only one is (Kong and Rosenfeld, Computer Vision, Graphics, and Image Processing 48, 357,
1989).

The border cuts clusters in pieces, and the more of them the smaller an image is: compare images of
one size.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from skimage.measure import euler_number

from davegan_tf.descriptors import Floats, as_images

# Four neighbours within an image and none in the images before and after it in the stack.
SIDES = np.zeros((3, 3, 3), dtype=bool)
SIDES[1] = ndimage.generate_binary_structure(rank=2, connectivity=1)


class Clusters(NamedTuple):
    """All clusters of a stack of images; label 0 stands for the pixels outside of the phase."""

    labels: NDArray[np.integer]  # (n, height, width), 0 … n_clusters
    image: NDArray[np.intp]  # (1 + n_clusters,), index of the image that holds the cluster
    size: NDArray[np.intp]  # (1 + n_clusters,), pixels


def euler_number_density(indicator: ArrayLike) -> Floats:
    """Euler number per pixel: clusters of the phase minus holes in them.

    A hole is a region outside of the phase that doesn't reach the image's border. Islands make the
    number positive, a network with many meshes makes it negative.

    Parameters
    ----------
    indicator : (..., height, width) of 0 and 1

    Returns
    -------
    (...,) float64, per pixel
    """
    inside = as_images(indicator) > 0
    *leading, height, width = inside.shape
    numbers = [euler_number(image, connectivity=1) for image in _stack(inside)]
    return np.array(numbers, dtype=np.float64).reshape(leading) / (height * width)


def largest_cluster(indicator: ArrayLike) -> Floats:
    """Share of the phase's pixels that lie in its largest cluster.

    Parameters
    ----------
    indicator : (..., height, width) of 0 and 1

    Returns
    -------
    (...,) float64 in [0, 1]
        1 where the phase is one cluster; 0 for an image without the phase.
    """
    inside = as_images(indicator) > 0
    clusters = label_clusters(_stack(inside))
    largest = np.zeros(len(clusters.labels))
    np.maximum.at(largest, clusters.image[1:], clusters.size[1:])
    pixels = inside.sum(axis=(-2, -1))
    return largest.reshape(pixels.shape) / np.maximum(pixels, 1)


def percolation(indicator: ArrayLike) -> Floats:
    """Whether one cluster reaches from an edge of the image to the opposite one.

    The mean over images is the probability that the phase spans an image of this size.

    Parameters
    ----------
    indicator : (..., height, width) of 0 and 1

    Returns
    -------
    (..., 2) float64, 0 or 1
        From top to bottom (vertical), then from left to right (horizontal).
    """
    inside = as_images(indicator) > 0
    clusters = label_clusters(_stack(inside))
    labels = clusters.labels
    vertical = _images_spanned(clusters, labels[:, 0, :], labels[:, -1, :])
    horizontal = _images_spanned(clusters, labels[:, :, 0], labels[:, :, -1])
    return np.stack([vertical, horizontal], axis=-1).reshape(*inside.shape[:-2], 2)


def _images_spanned(
    clusters: Clusters, edge: NDArray[np.integer], opposite: NDArray[np.integer]
) -> Floats:
    """1 for each image of which a cluster has pixels on both edges, (n, side) labels: (n,)."""
    touches = np.zeros((2, len(clusters.size)), dtype=bool)
    touches[0, edge] = True
    touches[1, opposite] = True
    spanning = touches.all(axis=0)
    spanning[0] = False
    spanned = np.zeros(len(clusters.labels))
    spanned[clusters.image[spanning]] = 1
    return spanned


def _stack(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(..., height, width) as (n, height, width)."""
    return inside.reshape(-1, *inside.shape[-2:])


def label_clusters(inside: NDArray[np.bool_], structure: NDArray[np.bool_] = SIDES) -> Clusters:
    """The clusters of (n, height, width) images, all of them labelled in one call.

    ``structure`` says which pixels are neighbours: (3, 3, 3) bool, none in the images before and after.
    """
    labels, n_clusters = ndimage.label(inside, structure=structure)
    image = np.zeros(1 + n_clusters, dtype=np.intp)
    image[labels] = np.arange(len(labels))[:, np.newaxis, np.newaxis]
    return Clusters(labels, image, np.bincount(labels.ravel(), minlength=1 + n_clusters))
