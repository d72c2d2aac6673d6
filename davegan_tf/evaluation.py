"""How good are reconstructions and samples? The paper's measures and their baselines (Section 4.1).

Eq. 12 alone cannot tell most materials from white noise, and gives 0 to a copied training tile. So
every measure stands beside what real crops of the micrograph get (what sampling alone gives), what
white noise gets (what no structure gives), and measures that do see structure and copies.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from davegan_tf import descriptors, measures
from davegan_tf.errors import InputError
from davegan_tf.measures import Labels

# Table 4, by the name of the material in `data.source`.
PAPER_TABLE_4 = {
    "alloy": {"E_gen": 5.66e-3, "E_rec": 4.66e-3},
    "carbonate": {"E_gen": 6.78e-3, "E_rec": 8.16e-3},
    "ceramics": {"E_gen": 1.71e-2, "E_rec": 1.01e-2},
    "checkerboard": {"E_gen": 0.0, "E_rec": 0.0},
    "copolymer": {"E_gen": 5.64e-2, "E_rec": 6.96e-2},
    "rubber": {"E_gen": 8.15e-4, "E_rec": 3.08e-4},
    "synth1": {"E_gen": 1.06e-2, "E_rec": 1.81e-2},
    "synth2": {"E_gen": 1.53e-2, "E_rec": 4.53e-3},
    "synth3": {"E_gen": 1.89e-2, "E_rec": 4.42e-3},
    "composite": {"E_gen": 3.84e-2, "E_rec": 9.71e-2},
    "sandstone": {"E_gen": 5.97e-3, "E_rec": 1.71e-2},
}


def evaluate(
    real: Labels,
    reconstructed: Labels,
    generated: Labels,
    *,
    n_phases: int,
    crops: Labels,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure reconstructions and samples against the micrograph.

    Time and memory grow with tiles × samples and with samples²; hundreds of each take seconds.

    Parameters
    ----------
    real : (n, height, width) int
        Training tiles, phase labels 0 … n_phases − 1.
    reconstructed : (n, height, width) int
        decode(encode(tile)), in the order of ``real``, rounded to phases.
    generated : (m, height, width) int
        decode(z) with z from the prior, rounded to phases.
    n_phases : int, ≥ 2
    crops : (c, height, width) int, c ≥ 2
        Random crops of the micrograph. Take c ≥ 2 m: the structure ratio compares sets of
        min(m, c // 2) images.
    seed : int, ≥ 0
        Of the white noise and of the resampling.

    Returns
    -------
    dict
        JSON-ready. Measures (see :mod:`davegan_tf.measures`) ``E_rec``, ``E_gen`` (Eq. 12),
        ``structure_ratio``, ``diversity``, ``memorisation``, ``pixel_accuracy``; and
        ``volume_fraction`` (of each phase) and ``interface_density`` as mean and standard deviation
        over each set of images: ``tiles``, ``reconstructed``, ``generated``, ``real_crops``,
        ``white_noise``.

    Raises
    ------
    InputError
        If an array does not hold phase labels, or shapes do not fit together.
    """
    sets = {"real": real, "reconstructed": reconstructed, "generated": generated, "crops": crops}
    real, reconstructed, generated, crops = (
        _checked(name, labels, n_phases) for name, labels in sets.items()
    )
    _check_shapes(real, reconstructed, generated, crops)
    rng = np.random.default_rng(seed)
    phases = measures.evaluated_phases(n_phases)
    fractions = measures.phase_fractions(real, n_phases)
    noise = measures.white_noise(fractions.mean(axis=0), generated.shape, rng)
    noise_of_tiles = measures.white_noise(fractions, real.shape, rng)
    image_sets = {
        "tiles": real,
        "reconstructed": reconstructed,
        "generated": generated,
        "real_crops": crops,
        "white_noise": noise,
    }
    return {
        "counts": {name: len(labels) for name, labels in image_sets.items()},
        "image_size": list(real.shape[1:]),
        "n_phases": n_phases,
        "phases": phases,
        "seed": seed,
        "E_rec": measures.reconstruction_error(real, reconstructed, crops, noise_of_tiles, phases),
        "E_gen": measures.generation_error(real, generated, crops, noise, phases),
        "volume_fraction": {
            str(k): _over_sets(image_sets, lambda x, k=k: descriptors.volume_fraction(x == k))
            for k in range(n_phases)
        },
        "interface_density": _over_sets(image_sets, descriptors.interface_density),
        "structure_ratio": measures.structure_ratio(generated, crops, noise, phases, rng),
        "diversity": measures.diversity(generated, crops, noise),
        "memorisation": measures.memorisation(real, generated, crops, noise, n_phases),
        "pixel_accuracy": measures.pixel_accuracy(real, reconstructed, crops, noise_of_tiles),
    }


def format_table(
    result: Mapping[str, Any], *, paper: str | Mapping[str, float] | None = None
) -> str:
    """Plain text table of what :func:`evaluate` returned, for a terminal or a log file.

    Parameters
    ----------
    result : dict
        Also after a round trip through JSON.
    paper : str or mapping, optional
        A material of ``PAPER_TABLE_4`` (others have no figures) or ``{"E_rec": …, "E_gen": …}``.

    Returns
    -------
    str
        Lines of at most 100 characters, no newline at the end.
    """
    published = PAPER_TABLE_4.get(paper, {}) if isinstance(paper, str) else paper or {}
    phases = [str(phase) for phase in result["phases"]]
    fractions, interface = result["volume_fraction"], result["interface_density"]
    memory = result["memorisation"]
    rows = [("", "value", "paper", "real crops", "white noise")]
    rows += [(f"Reconstructions of the {result['counts']['tiles']} tiles",)]
    rows += _measure_rows("E_rec", result["E_rec"], ".2e", published.get("E_rec"))
    rows += _measure_rows("pixel accuracy", result["pixel_accuracy"], ".3f")
    rows += [_statistic_row(f"φ of phase {k}", fractions[k], "reconstructed") for k in phases]
    rows += [_statistic_row("interface density", interface, "reconstructed")]
    rows += [(f"{result['counts']['generated']} samples of the prior",)]
    rows += _measure_rows("E_gen", result["E_gen"], ".2e", published.get("E_gen"))
    rows += [_statistic_row(f"φ of phase {k}", fractions[k], "generated") for k in phases]
    rows += [_statistic_row("interface density", interface, "generated")]
    rows += _measure_rows("structure ratio", result["structure_ratio"], ".2f")
    rows += _measure_rows("diversity", result["diversity"], ".2f")
    rows += _measure_rows("distance to the nearest tile", memory, ".3f")
    smallest = (f"{memory[name]:.3f}" for name in ("smallest", "smallest_real_crops"))
    rows += [("  of the nearest one", next(smallest), "", next(smallest), "")]
    ratio = result["structure_ratio"]
    legend = _LEGEND.format(max_lag=ratio["max_lag"], set_size=ratio["set_size"])
    return f"{_aligned(rows)}\n\n{legend}"


_LEGEND = """\
E_rec, E_gen: RMS difference of two-point correlations (Eq. 12): tile and reconstruction, sample
  and closest tile. They see little but φ; where white noise does as well as real crops, a small
  value proves nothing, and the lines below it decide.
φ: volume fraction, mean ± standard deviation over images; in brackets that of the tiles.
interface density: phase boundaries crossed per pixel along rows and columns.
structure ratio: error of the mean autocovariance at lags ≤ {max_lag} pixels over that of real
  crops, in sets of {set_size}. 1: as good as real.
diversity: mean difference between two samples over that between two real crops. 0: all the same.
distance to the nearest tile: share of differing pixels at the best cyclic shift. 0: a copy."""


def _measure_rows(
    label: str, record: Mapping[str, Any], number: str, paper: float | None = None
) -> list[tuple[str, ...]]:
    """Row of a measure; where there is more than one phase, a row each below it."""

    def text(value: float | None) -> str:
        return "–" if value is None else format(value, number)

    cells = (record["value"], paper, record["real_crops"], record["white_noise"])
    split = record.get("per_phase", {})
    return [(f"  {label}", *map(text, cells))] + [
        (f"    phase {phase}", text(value), "", "", "")
        for phase, value in split.items()
        if len(split) > 1
    ]


def _statistic_row(label: str, sets: Mapping[str, Any], subject: str) -> tuple[str, ...]:
    """Row of mean ± standard deviation over images; what it should be stands in brackets."""
    value, crops, noise = (
        f"{sets[name]['mean']:.3f} ± {sets[name]['std']:.3f}"
        for name in (subject, "real_crops", "white_noise")
    )
    return (f"  {label} ({sets['tiles']['mean']:.3f})", value, "–", crops, noise)


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    """Labels to the left, numbers to the right, a rule below the head; one cell is a heading."""
    full = [row for row in rows if len(row) > 1]
    widths = [max(map(len, column)) for column in zip(*full, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=False))
        ).rstrip()
        for row in rows
    ]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([lines[0], rule, *lines[1:]])


def _over_sets(
    image_sets: Mapping[str, Labels], descriptor: Callable[[Labels], descriptors.Floats]
) -> dict[str, Any]:
    return {name: measures.statistics(descriptor(labels)) for name, labels in image_sets.items()}


def _checked(name: str, labels: Labels, n_phases: int) -> Labels:
    labels = np.asarray(labels)
    if labels.ndim != 3 or 0 in labels.shape or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"{name} is {labels.dtype} of shape {labels.shape}; expected integer phase labels of "
            "shape (images, height, width), at least one image."
        )
    if labels.min() < 0 or labels.max() >= n_phases:
        raise InputError(
            f"{name} holds labels {labels.min()} to {labels.max()}; expected 0 to {n_phases - 1}, "
            f"since there are {n_phases} phases."
        )
    return labels


def _check_shapes(real: Labels, reconstructed: Labels, generated: Labels, crops: Labels) -> None:
    if reconstructed.shape != real.shape:
        raise InputError(
            f"reconstructed has the shape {reconstructed.shape}; expected {real.shape}, one "
            "reconstruction of each tile in the same order."
        )
    for name, labels in (("generated", generated), ("crops", crops)):
        if labels.shape[1:] != real.shape[1:]:
            raise InputError(
                f"{name} has images of {labels.shape[1:]} pixels; expected {real.shape[1:]}, the "
                "size of the tiles."
            )
    if len(crops) < 2:
        raise InputError("crops holds one image; expected at least two, better twice the samples.")
