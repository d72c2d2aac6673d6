"""What all figures share: resolution, colours, axes, and how they are written."""

import os
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from davegan_tf.files import atomic_path

DOTS_PER_INCH = 200
# Okabe and Ito's colours, distinct for colour-blind readers.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#767676", "#000000")
BLUE, ORANGE, GREEN, _, PURPLE, _, GREY, _ = PALETTE
COLORS = {"real crops": GREY, "samples": ORANGE, "white noise": BLUE}


def tidy(axes: Axes) -> None:
    """A pale grid, and no frame above and to the right."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, alpha=0.25, linewidth=0.6)


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure in the format of the suffix (png, pdf, svg), whole or not at all."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=Path(path).suffix.lstrip(".").lower() or "png")
