"""Curves as figures: the losses of a training (Figure 5); those of images are in :mod:`davegan_tf.statistic_curves`.

Built on :class:`matplotlib.figure.Figure` without pyplot, so that nothing opens a window or keeps
state. The suffix of the path chooses the format (png, pdf, svg).
"""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from davegan_tf import descriptors
from davegan_tf.drawing import BLUE, DOTS_PER_INCH, GREEN, GREY, ORANGE, save_figure, tidy
from davegan_tf.errors import InputError

# A discriminator that answers 1/3 to everything: −log(1/3) − 2 log(2/3).
_BLIND_LOSS = np.log(3) + 2 * np.log(1.5)


def loss_curves(
    history_csv: str | os.PathLike[str], path: str | os.PathLike[str], title: str
) -> None:
    """Losses over epochs (Figure 5), with the reconstruction loss and D's answers beside them.

    Parameters
    ----------
    history_csv : path
        Columns ``epoch``, ``discriminator_loss``, ``generator_loss``, ``encoder_loss``,
        ``kl_loss``, ``reconstruction_loss``, ``probability_real``, ``probability_reconstructed``,
        ``probability_generated``; missing ones leave their curve out, empty cells a gap.
    path : path of the picture
    title : str

    Raises
    ------
    InputError
        If there is no such file or it has no rows or no column ``epoch``.
    """
    history = _read_history(Path(history_csv))
    panels = [
        ("(a) Discriminator loss", ["discriminator_loss"]),
        ("(b) Generator loss", ["generator_loss"]),
        ("(c) Total encoder loss", ["encoder_loss"]),
        ("(d) KL loss of the encoder", ["kl_loss"]),
        ("(e) Reconstruction loss", ["reconstruction_loss"]),
        (
            "(f) Mean probability D gives to be real",
            ["probability_real", "probability_reconstructed", "probability_generated"],
        ),
    ]
    figure = Figure(figsize=(10, 8.4), dpi=DOTS_PER_INCH, layout="constrained")
    for axes, (heading, names) in zip(figure.subplots(3, 2).flat, panels, strict=True):
        present = [name for name in names if name in history]
        colors = [BLUE] if len(names) == 1 else [GREEN, BLUE, ORANGE]
        for name, color in zip(names, colors, strict=True):
            if name in present:
                _noisy_curve(axes, history["epoch"], history[name], color, name.split("_")[-1])
        _scale(axes, [history[name] for name in present], None if len(names) == 1 else (0, 1))
        axes.set_title(heading, loc="left", fontsize=10, fontweight="bold")
        if names == ["discriminator_loss"]:
            _reference_line(axes, _BLIND_LOSS, f"{_BLIND_LOSS:.2f}: D tells nothing apart")
        elif len(names) > 1:
            _reference_line(axes, 1 / 3, "1/3")
            if present:
                axes.legend(fontsize=8, frameon=False, ncols=3, loc="center right")
        axes.set_ylabel("nats" if len(names) == 1 else "probability")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(6))
    figure.suptitle(title, fontsize=11, parse_math=False)
    save_figure(figure, path)


def _read_history(path: Path) -> dict[str, NDArray[np.float64]]:
    """Columns of the file by name; a cell that is no number is NaN."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise InputError(f"{path} cannot be read as a history: {error.strerror}.") from error
    if not rows or "epoch" not in rows[0]:
        raise InputError(
            f"{path} is no history of a training: expected a column 'epoch' and at least one row."
        )
    return {
        name: np.array([_number(row[name]) for row in rows]) for name in rows[0] if name is not None
    }


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def _noisy_curve(
    axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], color: str, label: str
) -> None:
    """The values thin and pale, their running mean over 2 % of the curve thick."""
    axes.plot(x, y, color=color, alpha=0.3, linewidth=0.5)
    smooth = running_mean(y, max(1, len(y) // 50))
    # A line through a single point would be invisible.
    axes.plot(x, smooth, "." if len(y) == 1 else "-", color=color, linewidth=1.6, label=label)
    tidy(axes)
    axes.margins(x=0.01)


def running_mean(values: Sequence[float] | NDArray[np.float64], window: int) -> descriptors.Floats:
    """Centred mean over ``window`` values, over those there are at the ends; NaN is left out."""
    values = np.asarray(values, dtype=np.float64)
    known = np.isfinite(values)
    kernel = np.ones(min(window, len(values)))
    count = np.convolve(known, kernel, "same")
    total = np.convolve(np.where(known, values, 0.0), kernel, "same")
    return np.divide(total, count, out=np.full(len(values), np.nan), where=known & (count > 0))


def _scale(
    axes: Axes, curves: Sequence[NDArray[np.float64]], limits: tuple[float, float] | None
) -> None:
    """The limits, else logarithmic where a loss falls by far, and outliers do not set the scale."""
    values = np.concatenate([*curves, []])
    values = values[np.isfinite(values)]
    if not values.size:
        axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", color=GREY)
        return
    low, high = np.percentile(values, [0.2, 99.8])
    if limits is not None:
        axes.set_ylim(*limits)
    elif low > 0 and high > 30 * low:
        axes.set_yscale("log")
    elif high > low:
        margin = 0.08 * (high - low)
        axes.set_ylim(low - margin, high + margin)


def _reference_line(axes: Axes, value: float, text: str) -> None:
    """A dotted line that stays in view, with its meaning at the right end above it."""
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0.98 * value), max(high, 1.05 * value))
    axes.axhline(value, color=GREY, linestyle=":", linewidth=1.2)
    axes.annotate(
        text,
        (1, value),
        xycoords=axes.get_yaxis_transform(),
        xytext=(0, 2),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=8,
        color="#444444",
    )
