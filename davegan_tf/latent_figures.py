"""Pictures of the latent space: traversal plots (Figure 4), still and moving, and the way from one image to another.

Every pixel of an image is a whole number of pixels of the picture. Of two phases the probability of phase 1 is shown as
grey, unrounded; of more the most probable phase, since a mean of labels 0 and 2 would pass for 1.
"""

import textwrap

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from davegan_tf.dataset import decode_phases
from davegan_tf.drawing import DOTS_PER_INCH, GREEN, PALETTE, PURPLE, save_figure, tidy
from davegan_tf.figures import SEPARATOR, image_grid, to_grey
from davegan_tf.files import atomic_path

# An image is drawn about so large, and that far from the next, in pixels of the picture.
SIZE, PAD = 160, 6
MOVING_SIZE, MOVING_DPI, SLIDER = 128, 100, 44
FRAME_MILLISECONDS = 60
TEXT = 8  # points
# The GIF's colours: greys, the last of which is white, and the separators' blue, which is no grey.
_WHITE, _BLUE = 254, 255
_GIF_COLORS = [*np.arange(_WHITE).repeat(3).tolist(), 255, 255, 255, *SEPARATOR]


def shown(probabilities):
    """Phase probabilities as grey levels.

    Parameters
    ----------
    probabilities : (…, channels) float in [0, 1]

    Returns
    -------
    (…) uint8
        One channel: from 0 (surely phase 0) to 255 (surely phase 1). K channels: the level of the most probable phase.
    """
    channels = probabilities.shape[-1]
    if channels == 1:
        return np.rint(255 * probabilities[..., 0]).astype(np.uint8)
    return to_grey(decode_phases(probabilities), channels)


def traversal_picture(path, images, values, rows, starts, title):
    """The traversal plot: a row for each dimension, a column for each value, above them where it starts.

    Parameters
    ----------
    path : Path
        Of the PNG.
    images : (dimensions, steps, side, side) uint8, grey levels
    values : (steps,) float, that the dimensions were set to
    rows : sequence of str, one for each dimension, of one or more lines
    starts : sequence of (str, (side, side) uint8)
        Caption and image, left to right.
    title : str
    """
    dimensions, steps, side = images.shape[:3]
    scale = max(1, round(SIZE / side))
    cell = scale * side + PAD
    margin, head, gap = 250, 100, 84
    width = margin + max(steps * cell, 2 * (cell + 240)) + 60
    top = head + cell + gap
    height = top + dimensions * cell + 40
    sheet = _Sheet(width, height, DOTS_PER_INCH)
    sheet.title(title)
    sheet.text(margin - 24, head + cell / 2, "start", fontweight="bold", ha="right")
    left = margin
    for caption, image in starts:
        sheet.image(left - PAD // 2, head, image_grid(image[None], 256, 1, PAD, scale))
        sheet.text(left + cell + 14, head + cell / 2, textwrap.fill(caption, 16), linespacing=1.4)
        left += cell + 240
    for column, value in enumerate(values):
        sheet.text(margin + (column + 0.5) * cell, top - 20, signed(value), ha="center")
    sheet.text(margin - 24, top - 20, "set to", ha="right")
    # Grey levels are the labels of 256 phases.
    grid = image_grid(images.reshape(-1, side, side), 256, steps, PAD, scale)
    sheet.image(margin - PAD // 2, top, grid)
    for row, label in enumerate(rows):
        sheet.text(margin - 24, top + (row + 0.5) * cell, label, ha="right", linespacing=1.4)
    save_figure(sheet.figure, path)


def traversal_animation(path, images, values, names):
    """The same as a GIF that goes to and fro for ever: all dimensions move at once, each in an image of its own.

    Parameters
    ----------
    path : Path
        Of the GIF.
    images : (dimensions, frames, side, side) uint8, grey levels
        Of the way forth; the way back is the same.
    values : (frames,) float, ascending, that the dimensions are set to
    names : sequence of str, one for each dimension
    """
    dimensions, frames, side = images.shape[:3]
    scale = max(1, round(MOVING_SIZE / side))
    length = scale * side
    columns = int(np.ceil(np.sqrt(dimensions)))
    # One more where that leaves fewer places empty.
    columns = min(columns, columns + 1, key=lambda number: -dimensions % number)
    cell_width, cell_height = length + 16, length + 28
    width = max(columns * cell_width, 240)
    height = SLIDER + -(-dimensions // columns) * cell_height + 8
    corners = [
        (SLIDER + row * cell_height + 20, column * cell_width + (width - columns * cell_width) // 2)
        for row, column in (divmod(index, columns) for index in range(dimensions))
    ]
    corners = [(top, left + (cell_width - length) // 2) for top, left in corners]
    sheet = _Sheet(width, height, MOVING_DPI)
    first, last = 60, width - 60
    sheet.text(first - 12, SLIDER // 2, signed(values[0]), ha="right")
    sheet.text(last + 12, SLIDER // 2, signed(values[-1]))
    for (top, left), name in zip(corners, names, strict=True):
        sheet.text(left + length / 2, top - 10, name, ha="center")
    background = np.minimum(sheet.drawn()[..., 0], _WHITE)
    background[SLIDER // 2 - 1 : SLIDER // 2 + 1, first:last] = 180
    for top, left in corners:
        background[top - 2 : top + length + 2, left - 2 : left + length + 2] = _BLUE
    pictures = []
    for frame in [*range(frames), *range(frames - 2, 0, -1)]:
        picture = background.copy()
        share = (values[frame] - values[0]) / (values[-1] - values[0])
        at = round(first + share * (last - first))
        picture[SLIDER // 2 - 7 : SLIDER // 2 + 7, at - 4 : at + 4] = _BLUE
        for (top, left), image in zip(corners, images[:, frame], strict=True):
            enlarged = np.minimum(image, _WHITE).repeat(scale, 0).repeat(scale, 1)
            picture[top : top + length, left : left + length] = enlarged
        pictures.append(Image.fromarray(picture))
        pictures[-1].putpalette(_GIF_COLORS)
    with atomic_path(path) as temporary:
        pictures[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=pictures[1:],
            duration=FRAME_MILLISECONDS,
            loop=0,
            optimize=False,
        )


def interpolation_picture(path, rows, statistics, ends, title):
    """Images on the way from A to B, and below each of them its statistics.

    Parameters
    ----------
    path : Path
        Of the PNG.
    rows : dict of str to (steps, side, side) uint8
        Grey levels along two ways by their names: the first is drawn solid, the second dashed.
    statistics : dict of str to dict
        By the same names, see :func:`davegan_tf.latent.statistics_along`.
    ends : sequence of (str, (side, side) uint8 or None)
        What A and B are, and the original if they are an image: the first and last image of a row are its decoded z.
    title : str
    """
    steps, side = next(iter(rows.values())).shape[:2]
    scale = max(1, round(SIZE / side))
    cell = scale * side + PAD
    margin, head, between, panel, gap = cell + 110, 130, 56, 280, 36
    width = 2 * margin + steps * cell
    panels_top = head + len(rows) * (cell + between)
    sheet = _Sheet(width, panels_top + 3 * (panel + gap) + 90, DOTS_PER_INCH)
    sheet.title(title)
    for number, (name, images) in enumerate(rows.items()):
        top = head + number * (cell + between)
        sheet.text(margin, top - 22, name, fontweight="bold")
        sheet.image(margin - PAD // 2, top, image_grid(images, 256, steps, PAD, scale))
    for letter, (name, original), left in zip("AB", ends, (24, width - cell - 40), strict=True):
        if original is not None:
            sheet.text(left, head - 22, f"original {letter}", fontweight="bold")
            sheet.image(left, head, image_grid(original[None], 256, 1, PAD, scale))
        caption = textwrap.fill(f"{letter}: {name}", 15)
        sheet.text(left, head + (cell + 20 if original is not None else 0), caption, va="top")
    share = np.linspace(0, 1, steps)
    all_axes = []
    for number, heading in enumerate(
        ("volume fraction φ", "interface density", "S₂ error (Eq. 12)")
    ):
        axes = sheet.axes(margin, panels_top + number * (panel + gap), steps * cell, panel)
        axes.set_ylabel(heading, fontsize=TEXT)
        # Every image stands above its own numbers.
        axes.set_xlim(-0.5 / (steps - 1), 1 + 0.5 / (steps - 1))
        tidy(axes)
        axes.tick_params(labelsize=TEXT, labelbottom=number == 2)
        axes.yaxis.set_major_locator(MaxNLocator(4))
        all_axes.append(axes)
    for style, (name, values) in zip(("-", "--"), statistics.items(), strict=True):
        for axes, curves in zip(all_axes, _curves(values, name), strict=True):
            for label, (curve, color) in curves.items():
                line = {"linewidth": 1.4, "marker": "o", "markersize": 3, "color": color}
                label = label if style == "-" or label == name else None
                axes.plot(share, curve, style, label=label, **line)
    for axes in all_axes:
        # Long enough for dashes on both sides of the marker.
        axes.legend(
            fontsize=TEXT - 1,
            frameon=False,
            handlelength=3,
            loc="upper left",
            bbox_to_anchor=(1.0, 1.05),
        )
    all_axes[-1].set_xlabel("share of the way from A to B", fontsize=TEXT)
    all_axes[-1].set_ylim(bottom=0)
    save_figure(sheet.figure, path)


def _curves(values, name):
    """What each of the three panels has of one way: {label: (curve, colour)}."""
    fractions = values["volume_fraction"].items()
    phases = {f"phase {k}": (curve, PALETTE[int(k) % len(PALETTE)]) for k, curve in fractions}
    # Of several phases the mean error, as in the scorecard.
    errors = {
        f"to {letter}": (np.mean(list(values[f"s2_error_to_{end}"].values()), axis=0), color)
        for letter, end, color in (("A", "start", GREEN), ("B", "end", PURPLE))
    }
    return phases, {name: (values["interface_density"], "black")}, errors


def signed(value):
    """A number with its sign and no superfluous digits, as text."""
    return f"{value:+.2f}".rstrip("0").rstrip(".").replace("-", "−") if abs(value) >= 0.005 else "0"


class _Sheet:
    """A figure laid out in pixels from the upper left corner."""

    def __init__(self, width, height, dots_per_inch):
        self.width, self.height = width, height
        size = (width / dots_per_inch, height / dots_per_inch)
        self.figure = Figure(figsize=size, dpi=dots_per_inch)

    def text(self, x, y, text, **style):
        style = {"fontsize": TEXT, "va": "center", "parse_math": False} | style
        self.figure.text(x / self.width, 1 - y / self.height, text, **style)

    def title(self, text):
        # About 15 pixels a letter.
        self.text(30, 20, textwrap.fill(text, self.width // 15), fontsize=TEXT + 1, va="top")

    def axes(self, left, top, width, height):
        bottom = self.height - top - height
        place = (left, bottom, width, height)
        return self.figure.add_axes(np.divide(place, 2 * (self.width, self.height)))

    def image(self, left, top, rgb):
        axes = self.axes(left, top, rgb.shape[1], rgb.shape[0])
        axes.imshow(rgb, interpolation="nearest", aspect="auto")
        axes.set_axis_off()

    def drawn(self):
        """The picture: (height, width, 4) uint8."""
        canvas = FigureCanvasAgg(self.figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())
