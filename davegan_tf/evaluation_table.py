"""The scorecard as text, for a terminal, a log file or a Markdown page."""

from collections.abc import Mapping
from typing import Any

from davegan_tf.likeness import LEAST_DIVERSITY
from davegan_tf.paper import PAPER_TABLE_4
from davegan_tf.ratios import LIMIT
from davegan_tf.scorecard import STATISTICS
from davegan_tf.tables import aligned

HEAD = ("", "value", "paper", "floor", "noise", "ratio", "95 %", "noise/floor", "strict", "")
LABELS = {
    "E_rec": "E_rec",
    "E_rec_near": "E_rec, lags < 16",
    "E_gen": "E_gen",
    "E_gen_near": "E_gen, lags < 16",
    "pixel_accuracy": "pixels as in the original",
    "diversity": "diversity",
    "coverage": "coverage",
    "memorisation": "memorised share",
    **{name: statistic.label for name, statistic in STATISTICS.items()},
}
# What stands beside a measure, by its key in the record.
BESIDE = {"mirrored": "mirrored", "disjoint": "disjoint crops"}
LEGEND = f"""\
E_rec, E_gen: RMS difference of two-point correlations (Eq. 12): tile and reconstruction, sample and closest tile. They
  see little but φ; where white noise does as well as real crops, a small value proves nothing. Disjoint crops: what
  real crops get from tiles that they share no pixel with, as samples share none; the floor's are pieces of tiles, if
  they are not held out.
φ … percolation: distance between the means over images and those of real crops (both in brackets, where a number).
diversity: difference of two samples over that of two real crops. coverage: share of real crops with a sample as near
  as another real crop. memorised: share of samples nearer to the training data than 99 % of real crops to other places,
  without those that repeat exactly; both relative to what chance gives for the two images' phase fractions, and both
  also turned by 180° where the model learnt from turned crops (data.real_turned). Mirrored, a sample is no copy any
  more.
floor: for E_rec, E_gen and the last three what real crops get; else what the size of the micrograph leaves uncertain in
  its own mean: half the mean difference of random halves without a common pixel, about one standard error (of a curve;
  0.8 of a single number). noise: white noise of the same φ.
ratio: value over floor (more is better: floor over value), of φ … percolation the mean of every phase's own ratio, ∞
  over 0; PASS up to {LIMIT:g}, diversity from {LEAST_DIVERSITY}; no verdict where there is too little material to tell,
  or all of it repeats.
strict: value over what sets of overlapping crops of this very micrograph differ by; also new material exceeds 2."""


def format_table(
    result: Mapping[str, Any], *, paper: str | Mapping[str, float] | None = None
) -> str:
    """Plain text table of what :func:`davegan_tf.evaluation.evaluate` returned.

    Parameters
    ----------
    result : dict
        Also after a round trip through JSON.
    paper : str or mapping, optional
        A material of ``PAPER_TABLE_4`` (others have no figures) or ``{"E_rec": …, "E_gen": …}``.

    Returns
    -------
    str
        No newline at the end.
    """
    (head, *lines), width = aligned([HEAD, *rows(result, paper)])
    table = "\n".join([head, "-" * width, *lines])
    return f"{table}\n\n{verdict(result)}\n\n{LEGEND}"


def rows(
    result: Mapping[str, Any], paper: str | Mapping[str, float] | None = None
) -> list[tuple[str, ...]]:
    """The cells below HEAD; a row of one cell is a heading."""
    published = PAPER_TABLE_4.get(paper, {}) if isinstance(paper, str) else paper or {}
    counts = result["counts"]
    tiles = f"{counts['tiles']} {'held-out ' if result['holdout'] else ''}tile"
    cells = [(f"Reconstructions of {tiles}{'s' if counts['tiles'] > 1 else ''}",)]
    cells += [_row(name, record, published) for name, record in result["reconstructions"].items()]
    size = result.get("filter", 1)
    filtered = f", after a majority filter of size {size}" if size > 1 else ""
    cells += [(f"{counts['samples']} samples of the prior{filtered}",)]
    cells += [_row(name, record, published) for name, record in result["samples"].items()]
    return cells


def verdict(result: Mapping[str, Any]) -> str:
    """One line: whether all measures pass, and which do not."""
    judged, failed = result["verdict"]["measures"], result["verdict"]["failed"]
    if not judged:
        return "NO VERDICT: there is too little material to judge by."
    if not failed:
        return f"PASS: all {judged} measures."
    names = []
    for name in failed:
        subject, measure = name.split(".")
        names.append(f"{LABELS[measure]} ({subject})")
    return f"FAIL: {len(failed)} of {judged} measures: {', '.join(names)}."


def _row(name, record, published):
    label = LABELS[name]
    if "images" in record:
        values = zip(record["images"].values(), record["real"].values(), strict=True)
        label += f" ({'; '.join(f'{mine:.3g}, real {real:.3g}' for mine, real in values)})"
    for key, what in BESIDE.items():
        if record.get(key) is not None:
            label += f" ({_number(record[key])} {what})"
    floor, interval = record["floor"], record["interval"]
    return (
        f"  {label}",
        _number(record["value"]),
        _number(published.get(name)),
        "–" if floor is None else f"{_number(floor['mean'])} ± {_number(floor['std'])}",
        _number(record["noise"]),
        _ratio(record["ratio"], known=floor is not None),
        "–" if interval is None else " … ".join(map(_ratio, interval)),
        _ratio(record["noise_ratio"], known=None not in (floor, record["noise"])),
        _ratio(record.get("strict_ratio")),
        {True: "PASS", False: "FAIL", None: ""}[record["passed"]],
    )


def _number(value):
    if value is None:
        return "–"
    return f"{value:.3f}" if value == 0 or abs(value) >= 0.1 else f"{value:.2e}"


def _ratio(value, known=False):
    """A ratio of two numbers that are known is None where it is infinite."""
    if value is None:
        return "∞" if known else "–"
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"
