"""Figures 3 and 4: the ellipses with one β after the other (Section 4.2), docs/results/figure3 and figure4.

The paper trains 200 epochs, 375,000 steps, for each β. The number of epochs is an argument here and stands in every
table; runs of different lengths are kept apart.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from davegan_tf import tables
from davegan_tf.jobs import Job
from davegan_tf.paper import EPOCHS_OF_ELLIPSES
from davegan_tf.results import changes, rounded

# Share of a run after which the learning rates fall, that of ellipses.yaml.
DECAY_AFTER = 0.75
# What the best β must have: a small E_rec, and codes that fill the prior, neither a part of it nor far beyond.
LARGEST_ERROR = 0.005
DEVIATIONS = (0.5, 1.5)


class Point(NamedTuple):
    """One run: its β, the epochs it was trained for and its seed."""

    beta: str
    epochs: int
    seed: int

    def job(self) -> Job:
        decay = int(DECAY_AFTER * self.epochs)
        keys = (
            f"model.beta={self.beta}",
            f"training.epochs={self.epochs}",
            f"training.decay_after={decay}",
        )
        name = f"beta={self.beta}-epochs={self.epochs}-{self.seed}"
        return Job(name, "ellipses.yaml", self.seed, keys, "study")


def finished(runs: Path) -> list[Point]:
    """The finished runs of a folder, by epochs, β and seed."""
    points = []
    for folder in runs.glob("beta=*-epochs=*-*"):
        # Not a copy that someone kept, beta=1-epochs=8-0-old.
        if parts := re.fullmatch(r"beta=([\d.]+)-epochs=(\d+)-(\d+)", folder.name):
            points.append(Point(parts[1], int(parts[2]), int(parts[3])))
    points.sort(key=lambda point: (point.epochs, float(point.beta), point.seed))
    return [point for point in points if point.job().finished(runs)]


def read_point(point: Point, runs: Path) -> dict[str, Any]:
    """What is kept of a finished run, JSON-ready."""
    job = point.job()
    folder = job.folder(runs)
    manifest = folder.read_manifest()
    return {
        "beta": float(point.beta),
        "epochs": point.epochs,
        **rounded(folder.read_study()),
        "seed": point.seed,
        "changes": changes(job, runs),
        "wall_seconds": manifest["wall_seconds"],
        "machine": manifest["machine"],
        "versions": manifest["versions"],
    }


def best(results: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """The best run, or None.

    Of those with E_rec < 0.005 and a standard deviation of z, over all images, between 0.5 and 1.5 in every dimension,
    it is the one with most frames within ±2σ that are one ellipse.
    """
    low, high = DEVIATIONS
    fit = [
        each
        for each in results
        if each["E_rec"] < LARGEST_ERROR
        and low <= min(each["posterior"]["std"])
        and max(each["posterior"]["std"]) <= high
    ]
    return max(fit, key=lambda each: each["traversals"]["one_ellipse_within_2"], default=None)


def table(results: Sequence[dict[str, Any]]) -> list[str]:
    """The runs, a line each, in Markdown."""
    head = ("β", "epochs", "seed", "E_rec", "pixels right", "DCI D", "DCI C", "MIG", *R2_COLUMNS)
    head += ("KL, nats", "std of z", "one ellipse, ±2σ: reference", "100 images", "±3σ: 100 images")
    head += ("sudden, reference", "100 images", "minutes")
    rows = []
    for each in results:
        codes, traversals = each["disentanglement"], each["traversals"]
        row = (
            f"{each['beta']:g}",
            f"{each['epochs']}",
            f"{each['seed']}",
            f"{each['E_rec']:.2e}",
            f"{each['pixel_accuracy']:.2%}",
            *(f"{codes[name]:.2f}" for name in ("dci_disentanglement", "dci_completeness", "mig")),
            *(f"{each['r2'][name]['neighbours']:.2f}" for name in R2_COLUMNS.values()),
            f"{sum(each['posterior']['kl']):.1f}",
            f"{min(each['posterior']['std']):.2f} … {max(each['posterior']['std']):.2f}",
            f"{each['traversal']['one_ellipse_within_2']:.0%}",
            f"{traversals['one_ellipse_within_2']:.1%}",
            f"{traversals['one_ellipse_within_3']:.1%}",
            f"{len(each['traversal']['sudden'])}",
            f"{traversals['sudden']:.2f}",
            f"{each['wall_seconds'] / 60:.0f}",
        )
        rows.append(row)
    return tables.markdown(head, rows)


R2_COLUMNS = {f"R² {name}": name for name in ("row", "column", "a", "b", "angle")}

LEGEND = f"""\
E_rec: Eq. 12, mean of 2,000 images. DCI, MIG: disentanglement and completeness, and the mutual information gap,
between z and the six factors row, column, a, b, cos 2ϕ, sin 2ϕ; a code that is the five parameters themselves gets
0.72, 0.81 and 0.51, since the angle has two of the factors. R²: each parameter from z by nearest neighbours,
cross-validated. KL: between posterior and prior. *std of z*: over all images, the least and the largest of a
dimension; the prior's is 1. *One ellipse*: share of the frames of the traversals of all dimensions whose inclusion
is in one piece, without holes, and an ellipse by fit; of the paper's reference sample and in the mean over 100
images. *Sudden*: dimensions with a step of more than three times the mean step between the 25 frames from −3 to 3.
The paper trains {EPOCHS_OF_ELLIPSES} epochs."""


def figure_3_document(results: Sequence[dict[str, Any]], command: str) -> str:
    """The page of Figure 3: the curve, the table and the best β."""
    chosen = best(results)
    criterion = f"E_rec < {LARGEST_ERROR:g}, std of z within {DEVIATIONS[0]:g} … {DEVIATIONS[1]:g}"
    verdict = f"No run has {criterion}."
    if chosen is not None:
        verdict = (
            f"Best by this criterion – {criterion}, then most frames within ±2σ that are one ellipse – "
            f"is β = {chosen['beta']:g} ({chosen['epochs']} epochs, seed {chosen['seed']})."
        )
    lines = [
        "# Figure 3: reconstruction error over β",
        "",
        f"Made by `{command}`. {_machine(results)}",
    ]
    lines += ["", "![Reconstruction error over β](figure3.png)", "", *table(results)]
    return "\n".join([*lines, "", LEGEND, "", verdict]) + "\n"


def figure_4_document(results: Sequence[dict[str, Any]], command: str) -> str:
    """The page of Figure 4: a picture of each run, and the table."""
    lines = ["# Figure 4: traversals from the reference sample", ""]
    lines += [
        f"Made by `{command}`. {_machine(results)} A row is a dimension of z, a column the value it is set to."
    ]
    for each in results:
        name = f"β = {each['beta']:g}, {each['epochs']} epochs"
        lines += ["", f"## {name}", "", f"![Traversal, {name}](figure4/{picture_name(each)})"]
    return "\n".join([*lines, "", *table(results), "", LEGEND]) + "\n"


def picture_name(result: dict[str, Any]) -> str:
    """Name of the picture of a run's traversals."""
    return f"beta_{result['beta']:g}_epochs_{result['epochs']}_seed_{result['seed']}.png"


def _machine(results):
    machine = results[0]["machine"]
    return f"Machine: {machine['cores']} cores, {machine['processor']}."
