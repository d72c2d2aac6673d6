"""Images of phase labels as pictures (Tables 5 and 6); the curves are in :mod:`davegan_tf.curves`.

No reader sees half a picture: files are written under a temporary name and renamed.
"""

import os
import textwrap

import imageio.v3 as iio
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from davegan_tf.drawing import DOTS_PER_INCH, save_figure
from davegan_tf.errors import InputError
from davegan_tf.files import atomic_path
from davegan_tf.measures import Labels

Rgb = NDArray[np.uint8]

# Neither black nor white nor grey: a separator must not pass for a phase.
SEPARATOR = (70, 115, 160)


def to_grey(labels: Labels, n_phases: int) -> NDArray[np.uint8]:
    """Phase labels as evenly spaced grey levels: 0 black, n_phases − 1 white."""
    levels = np.rint(np.linspace(0, 255, n_phases)).astype(np.uint8)
    return levels[labels]


def image_grid(
    labels: Labels, n_phases: int, columns: int | None = None, pad: int = 2, scale: int = 1
) -> Rgb:
    """Images side by side, with thin separators in between and around.

    Parameters
    ----------
    labels : (n, height, width) int, phase labels
    n_phases : int
    columns : int, optional
        Images in a row; about a square of images if None.
    pad : int
        Width of the separators in pixels.
    scale : int, ≥ 1
        Pixels of the picture per pixel of an image, in either direction.

    Returns
    -------
    (rows · (scale · height + pad) + pad, columns · (scale · width + pad) + pad, 3) uint8
        Places without an image are white.
    """
    labels = np.asarray(labels)
    if labels.ndim != 3 or len(labels) == 0:
        raise InputError(
            f"A grid needs labels of shape (images, height, width), one image or more; got "
            f"{labels.shape}."
        )
    n, height, width = labels.shape
    height, width = scale * height, scale * width
    columns = min(n, columns or int(np.ceil(np.sqrt(n))))
    rows = -(-n // columns)
    grid = np.empty((rows * (height + pad) + pad, columns * (width + pad) + pad, 3), np.uint8)
    grid[:] = SEPARATOR
    for place in range(rows * columns):
        row, column = divmod(place, columns)
        top, left = pad + row * (height + pad), pad + column * (width + pad)
        if place < n:
            image = to_grey(labels[place], n_phases).repeat(scale, 0).repeat(scale, 1)
            grid[top : top + height, left : left + width] = image[..., np.newaxis]
        else:
            grid[top : top + height + pad, left : left + width + pad] = 255
    return grid


def save_png(path: str | os.PathLike[str], rgb: Rgb) -> None:
    """Write an image (height, width[, 3]) uint8 as PNG, whole or not at all."""
    with atomic_path(path) as temporary:
        iio.imwrite(temporary, rgb, extension=".png")


def overview(
    originals: Labels,
    reconstructions: Labels,
    samples: Labels,
    n_phases: int,
    path: str | os.PathLike[str],
    title: str,
    columns: int = 8,
) -> None:
    """Originals above their reconstructions, then samples of the prior (Tables 5 and 6).

    All sets are (n, height, width) phase labels, all of which are drawn, ``columns`` in a row; each
    pixel of an image is a whole number of pixels of the picture.
    """
    side = max(originals.shape[1:])
    scale = max(1, round(160 / side))
    blocks = [
        ("Originals", originals),
        ("Reconstructions", reconstructions),
        ("Samples", samples),
    ]
    grids = [
        (name, image_grid(labels, n_phases, columns, 2 * scale, scale))
        for name, labels in blocks
        if len(labels)
    ]
    margin, gap, head = 70, 40, 90
    width = margin + max(grid.shape[1] for _, grid in grids) + 20
    height = head + sum(grid.shape[0] + gap for _, grid in grids)
    figure = Figure(figsize=(width / DOTS_PER_INCH, height / DOTS_PER_INCH), dpi=DOTS_PER_INCH)
    # About 14 pixels of the picture a letter.
    title = textwrap.fill(title, max(20, width // 14))
    where = {"ha": "center", "va": "center", "fontsize": 10}
    figure.text(0.5, 1 - head / 2 / height, title, parse_math=False, **where)
    top = height - head
    for name, grid in grids:
        rows, length = grid.shape[:2]
        place = (margin / width, (top - rows) / height, length / width, rows / height)
        axes = figure.add_axes(place)
        axes.imshow(grid, interpolation="nearest", aspect="auto")
        axes.set_axis_off()
        middle = (top - rows / 2) / height
        figure.text(
            margin / 2 / width, middle, name, rotation=90, ha="center", va="center", fontsize=10
        )
        top -= rows + gap
    save_figure(figure, path)
