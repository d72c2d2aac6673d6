"""Every statistic of the scorecard drawn: real crops, samples and white noise in one small panel each.

The panels have one axes each, so that a page can put as many of them beside each other as fit. They have no title
and no legend: the page has them as text, which stays legible on any screen.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from davegan_tf import descriptors, scorecard
from davegan_tf.drawing import COLORS, tidy
from davegan_tf.measures import Labels, evaluated_phases

# Those of `davegan_tf.curves`.
LINES = {"real crops": "-", "samples": "-", "white noise": "--"}
DIRECTIONS = ("vertical", "horizontal")
# Inches: legible at the width of a phone.
PANEL = (3.2, 2.3)
BINS = 24
# Chords so rare, relative to the most frequent length, are left out at the end of the axis.
RARE_CHORDS = 0.005

_NUMBERS = "Volume fraction, interfaces and clusters"
_MEANS = "mean of real crops, samples and white noise."

# The three sets in the order of COLORS, each (n, …).
Sets = dict[str, descriptors.Floats]


class Panel(NamedTuple):
    """One picture of a statistic.

    group : str
        Panels of one group belong beside each other.
    statistic : str
        A key of :data:`davegan_tf.scorecard.STATISTICS`, or ``two_point_correlation``.
    heading : str
        What is drawn, of which phase and direction.
    figure : matplotlib.figure.Figure
    summary : str
        What the picture shows in words and numbers, for those who cannot see it.
    """

    group: str
    statistic: str
    heading: str
    figure: Figure
    summary: str


class _Scale(NamedTuple):
    pixel: float
    unit: str


def statistic_panels(
    crops: Labels,
    generated: Labels,
    noise: Labels,
    n_phases: int,
    *,
    pixel_size: float | None = None,
    unit: str | None = None,
) -> list[Panel]:
    """Draw every statistic that :mod:`davegan_tf.scorecard` measures, and S2, phase by phase.

    Curves are means over images; a band (real crops) or thin lines (samples) lie one standard deviation over images
    above and below. Single numbers are histograms over images, percolation is a bar: the share of images.

    Parameters
    ----------
    crops, generated, noise : (n, side, side) int
        Real crops, samples, and white noise of the same phase fractions.
    n_phases : int
    pixel_size, unit : optional
        Length of a pixel's side and its unit; lengths are in pixels if not given.
    """
    scale = _Scale(1.0, "pixel") if pixel_size is None else _Scale(pixel_size, unit or "unit")
    labels = dict(zip(COLORS, map(np.asarray, (crops, generated, noise)), strict=True))
    features = {name: scorecard.describe(images, n_phases) for name, images in labels.items()}
    panels = []
    for phase in evaluated_phases(n_phases):
        panels += _two_point_panels({k: v == phase for k, v in labels.items()}, phase, scale)
    for statistic, draw in _DRAWN.items():
        for phase in features["samples"][statistic]:
            sets = {name: table[statistic][phase] for name, table in features.items()}
            panels += draw(statistic, sets, f"phase {phase}" if phase else "", scale)
    return panels


def _two_point_panels(indicators, phase, scale):
    kinds = {
        "two_point_correlation": ("Two-point correlation S₂", descriptors.two_point_correlation),
        "autocovariance_32": ("Autocovariance", descriptors.normalized_autocovariance),
    }
    panels = []
    for statistic, (name, function) in kinds.items():
        curves = {k: descriptors.radial_average(function(v)) for k, v in indicators.items()}
        figure, axes = _curves(curves, start=0, scale=scale, xlabel="lag |r|")
        if statistic != "two_point_correlation":
            axes.axhline(0, color="black", linewidth=0.6)
        heading = f"{name}, phase {phase}"
        panels.append(
            Panel(
                "Two-point statistics",
                statistic,
                heading,
                figure,
                f"{heading}, over the lag: {_MEANS}",
            )
        )
    return panels


def _path_panels(statistic, sets, phase, scale):
    panels = []
    for direction, curves in _directions(sets):
        figure, _ = _curves(curves, start=0, scale=scale, xlabel="length")
        heading = f"{phase}, {direction}"
        summary = f"Lineal path of {heading}, over length: {_MEANS}"
        panels.append(Panel("Lineal path", statistic, heading.capitalize(), figure, summary))
    return panels


def _chord_panels(statistic, sets, phase, scale):
    panels = []
    for direction, curves in _directions(sets):
        curves = {name: values / scale.pixel for name, values in curves.items()}
        means = np.stack([curves[name].mean(axis=0) for name in ("real crops", "samples")])
        frequent = np.flatnonzero(means.max(axis=0) > RARE_CHORDS * means.max())
        last = max(8, frequent[-1] + 1 if len(frequent) else 0)
        curves = {name: values[:, :last] for name, values in curves.items()}
        ylabel = f"share per {scale.unit}"
        figure, _ = _curves(curves, start=1, scale=scale, xlabel="chord length", ylabel=ylabel)
        heading = f"{phase}, {direction}"
        summary = f"Chords of {heading}, over length: {_MEANS}"
        panels.append(Panel("Chord lengths", statistic, heading.capitalize(), figure, summary))
    return panels


def _directions(sets):
    """(n, 2 · lengths) features as curves of either direction."""
    for index, direction in enumerate(DIRECTIONS):
        yield direction, {k: v.reshape(len(v), 2, -1)[:, index] for k, v in sets.items()}


def _curves(curves: Sets, start, scale, xlabel, ylabel=None):
    figure, axes = _panel()
    for name, values in curves.items():
        mean, spread = values.mean(axis=0), values.std(axis=0)
        x = scale.pixel * np.arange(start, start + len(mean))
        color = COLORS[name]
        if name == "real crops":
            axes.fill_between(x, mean - spread, mean + spread, color=color, alpha=0.3, lw=0)
        elif name == "samples":
            for line in (mean - spread, mean + spread):
                axes.plot(x, line, color=color, linewidth=0.7)
        axes.plot(x, mean, LINES[name], color=color, linewidth=1.6)
    axes.set_xlim(x[0], x[-1])
    axes.set_xlabel(f"{xlabel} ({_plural(scale.unit)})", parse_math=False)
    if ylabel:
        axes.set_ylabel(ylabel, parse_math=False)
    return figure, axes


def _histogram(name: str, xlabel: str, power: int = 0) -> Callable[..., list[Panel]]:
    """Of a number per image that has the unit 1 / pixel ** power; ``xlabel`` ends before the unit."""

    def draw(statistic, sets, phase, scale):
        sets = {key: values[:, 0] / scale.pixel**power for key, values in sets.items()}
        figure, axes = _panel()
        # White noise may be far away; its histogram shall not leave the others a single bar.
        near = np.concatenate([sets["real crops"], sets["samples"]])
        low, high = near.min(), near.max()
        margin = 0.03 * (high - low) or 0.05 * abs(high) or 0.05
        bins = np.linspace(low - margin, high + margin, BINS + 1)
        highest = 0.0
        for key, values in sets.items():
            share = np.histogram(values, bins)[0] / len(values)
            filled = key == "real crops"
            axes.stairs(
                share,
                bins,
                fill=filled,
                alpha=0.4 if filled else 1,
                color=COLORS[key],
                linestyle=LINES[key],
                linewidth=0 if filled else 1.4,
            )
            if key != "white noise":
                highest = max(highest, share.max())
        axes.set_ylim(0, 1.15 * highest)
        axes.set_xlim(bins[0], bins[-1])
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_ylabel("images")
        _point_to(axes, sets["white noise"].mean())
        square = "²" if power == 2 and scale.unit != "pixel" else ""
        axes.set_xlabel(xlabel + (f"{scale.unit}{square}" if power else ""), parse_math=False)
        heading = ", ".join(filter(None, (name, phase)))
        means = "; ".join(f"{key} {values.mean():.3g}" for key, values in sets.items())
        summary = f"Histogram over images, {heading}. Means: {means}."
        return [Panel(_NUMBERS, statistic, heading, figure, summary)]

    return draw


def _point_to(axes: Axes, value: float) -> None:
    """Say where a value lies that the axis does not reach."""
    low, high = axes.get_xlim()
    if low <= value <= high:
        return
    left = value < low
    axes.annotate(
        f"← white noise: {value:.3g}" if left else f"white noise: {value:.3g} →",
        (0.02 if left else 0.98, 0.97),
        xycoords="axes fraction",
        ha="left" if left else "right",
        va="top",
        fontsize=8,
        color=COLORS["white noise"],
    )


def _percolation_panels(statistic, sets, phase, scale):
    figure, axes = _panel()
    places, width = np.arange(len(DIRECTIONS)), 0.27
    shares = {name: values.mean(axis=0) for name, values in sets.items()}
    for index, (name, share) in enumerate(shares.items()):
        x = places + (index - 1) * width
        axes.bar(
            x,
            share,
            0.9 * width,
            facecolor="none" if name == "white noise" else COLORS[name],
            edgecolor=COLORS[name],
            linestyle=LINES[name],
            alpha=0.6 if name == "real crops" else 1,
        )
        for place, value in zip(x, share, strict=True):
            axes.text(place, value + 0.02, f"{value:.0%}", ha="center", va="bottom", fontsize=8)
    axes.set_xticks(places, DIRECTIONS)
    axes.set_ylim(0, 1.15)
    axes.set_yticks(np.linspace(0, 1, 5))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_ylabel("images spanned")
    axes.grid(False, axis="x")
    heading = f"Percolation, {phase}"
    numbers = "; ".join(
        f"{name} " + ", ".join(f"{v:.0%} {d}" for v, d in zip(share, DIRECTIONS, strict=True))
        for name, share in shares.items()
    )
    return [Panel(_NUMBERS, statistic, heading, figure, f"{heading}, share of images: {numbers}.")]


def _panel() -> tuple[Figure, Axes]:
    figure = Figure(figsize=PANEL, layout="constrained")
    axes = figure.subplots()
    tidy(axes)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    return figure, axes


def _plural(unit: str) -> str:
    return "pixels" if unit == "pixel" else unit


# By statistic; the standard deviation of φ is the width of its histogram, and one curve shows all lags of the
# autocovariance.
_DRAWN: dict[str, Callable[..., list[Panel]]] = {
    "lineal_path": _path_panels,
    "chord_lengths": _chord_panels,
    "volume_fraction": _histogram("Volume fraction", "φ"),
    "interface_density": _histogram("Interface density", "boundaries per ", power=1),
    "euler_number": _histogram("Euler number density", "clusters minus holes per ", power=2),
    "largest_cluster": _histogram("Largest cluster", "share of the phase"),
    "percolation": _percolation_panels,
}
