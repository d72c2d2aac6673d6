"""Table 4 as we measure it: the jobs that make it, and docs/results/table4.{md,json}."""

import statistics
from collections.abc import Mapping
from typing import Any

from davegan_tf import tables
from davegan_tf.evaluation_table import LABELS
from davegan_tf.jobs import Job
from davegan_tf.likeness import LEAST_DIVERSITY
from davegan_tf.paper import PAPER_TABLE_4
from davegan_tf.ratios import LIMIT

PRESETS = {"best": "{material}.yaml", "paper": "paper/{material}.yaml"}
MATERIALS = tuple(PAPER_TABLE_4)

# What one model of the best preset must have all at once.
MUST = (
    "E_rec at most half of the paper's",
    "φ within 0.01",
    "spread of φ 0.7 … 1.3",
    f"diversity ≥ {LEAST_DIVERSITY:g}",
    "no memorisation",
    "autocovariance, lags ≤ 8",
    "autocovariance, lags ≤ 32",
    "interface density",
)
# The last of them are verdicts of the scorecard.
JUDGED = (
    "diversity",
    "memorisation",
    "autocovariance_8",
    "autocovariance_32",
    "interface_density",
)
# What Eq. 12 leaves of equal images.
ZERO = 1e-12


def job(preset: str, material: str, seed: int) -> Job:
    """The run of one material: of a preset, with a seed."""
    return Job(f"{preset}-{material}-{seed}", PRESETS[preset].format(material=material), seed)


def must(material: str, result: Mapping[str, Any]) -> dict[str, bool | None]:
    """Whether a run has what the best preset must have.

    Parameters
    ----------
    material : str
        A name of ``PAPER_TABLE_4``.
    result : dict
        As of :func:`davegan_tf.results.read_result`.

    Returns
    -------
    dict of bool or None, keyed by MUST
        None: there is no verdict, as on copies of a checkerboard, all of whose pieces are alike.
    """
    samples = result["samples"]
    phi, spread = samples["volume_fraction"], samples["volume_fraction_spread"]
    real_phi = result["true_volume_fraction"]
    values = (
        result["reconstructions"]["E_rec"]["value"] <= PAPER_TABLE_4[material]["E_rec"] / 2 + ZERO,
        all(abs(phi["images"][phase] - real_phi[phase]) <= 0.01 for phase in phi["images"]),
        all(0.7 <= value <= 1.3 for value in _quotients(spread)),
        *(samples[name]["passed"] for name in JUDGED),
    )
    return dict(zip(MUST, values, strict=True))


def has_all(checks: Mapping[str, bool | None]) -> bool:
    """Whether nothing is missing of what :func:`must` looks at."""
    return False not in checks.values()


def _named(materials):
    """Each run of materials → seed → result: its name on the page, its material and its result."""
    for material, results in materials.items():
        for seed, result in results.items():
            name = material if len(results) == 1 else f"{material}, seed {seed}"
            yield name, material, result


def document(table: Mapping[str, Any], command: str) -> str:
    """The Markdown page.

    Parameters
    ----------
    table : dict
        preset → material → seed (text) → result.
    command : str
        What made it.
    """
    lines = [
        "# Table 4",
        "",
        f"Made by `{command}`; every figure is in [`table4.json`](table4.json).",
        "E is the error of Eq. 12. *Floor* is what real crops get, *noise* what white noise of the same φ gets:",
        "E_gen cannot tell them apart, which is why the scorecard below has other measures, too. Real crops are",
        "pieces of tiles, as no sample is: *disjoint crops* are compared only with tiles that they have no pixel of,",
        "which are fewer to choose from. Of more than one seed the figure is the median. *Memorised* is the share of",
        "samples that lie near some place of the training data, *mirrored* the same of mirrored samples, which are",
        "copies no more.",
    ]
    for preset, materials in table.items():
        if not materials:
            continue
        title = {
            "best": "Our settings for one micrograph (`configs/*.yaml`)",
            "paper": "The paper to the letter (`configs/paper/*.yaml`)",
        }[preset]
        steps = {run["step"] for results in materials.values() for run in results.values()}
        lengths = " or ".join(f"{step:,}" for step in sorted(steps))
        lines += ["", f"## {title}", "", f"{lengths} steps a run.", "", *_errors(materials), ""]
        lines += _targets(materials) if preset == "best" else []
        lines += ["", *_scorecards(materials)]
        lines += ["", *_runs(materials)]
        if preset == "best":
            lines += ["", *_pictures(materials)]
    return "\n".join(lines) + "\n"


def _errors(materials):
    head = (
        *("material", "seeds", "E_rec", "paper", "no worse"),
        *("E_gen", "paper", "floor", "disjoint crops", "noise", "no worse than paper or floor"),
    )
    rows, reached = [], []
    for material, results in materials.items():
        published, runs = PAPER_TABLE_4[material], list(results.values())
        e_rec = _median(run["reconstructions"]["E_rec"]["value"] for run in runs)
        e_gen, floor, disjoint, noise = (
            _median(values)
            for values in zip(*(_generation_error(run) for run in runs), strict=True)
        )
        rec_reached = e_rec <= published["E_rec"] + ZERO
        gen_reached, disjoint_reached = (
            e_gen <= max(published["E_gen"], real or 0.0) + ZERO for real in (floor, disjoint)
        )
        reached.append((rec_reached, gen_reached, disjoint_reached))
        rows.append(
            (
                material,
                ", ".join(results),
                *map(_number, (e_rec, published["E_rec"])),
                _mark(rec_reached),
                *map(_number, (e_gen, published["E_gen"], floor, disjoint, noise)),
                _mark(gen_reached),
            )
        )
    of_rec, of_gen, of_disjoint = map(sum, zip(*reached, strict=True))
    summary = (
        f"E_rec is no worse than the paper's on {of_rec} of {len(rows)} materials, E_gen no worse than the larger of "
        f"the paper's and the floor on {of_gen}, than the larger of the paper's and that of disjoint crops on "
        f"{of_disjoint}."
    )
    return [*tables.markdown(head, rows), "", summary]


def _generation_error(run):
    """Value, floor, that of disjoint crops and of white noise."""
    record = run["samples"]["E_gen"]
    floor = record["floor"] and record["floor"]["mean"]
    return record["value"], floor, record.get("disjoint"), record["noise"]


def _targets(materials):
    head = ("must, all in one model", *MUST, "all")
    rows, complete = [], set()
    for name, material, result in _named(materials):
        checks = must(material, result)
        rows.append((name, *map(_mark, checks.values()), _mark(has_all(checks))))
        if has_all(checks):
            complete.add(material)
    lines = tables.markdown(head, rows)
    return [*lines, "", f"All at once: {len(complete)} of {len(materials)} materials."]


def _scorecards(materials):
    names = list(next(iter(next(iter(materials.values())).values()))["samples"])
    head = ("samples: ratio to the floor (strict)", *(LABELS[name] for name in names))
    rows = [
        (name, *(_ratio_cell(result["samples"][each]) for each in names))
        for name, _, result in _named(materials)
    ]
    noise = [
        (
            f"white noise, {material}",
            *(_noise_cell(next(iter(results.values()))["samples"][each]) for each in names),
        )
        for material, results in materials.items()
    ]
    note = (
        f"A measure passes up to {LIMIT:g} floors (diversity from {LEAST_DIVERSITY}; here 1 / diversity); **bold**: it "
        "does not. In brackets the ratio to the strict floor, which new material of the same kind exceeds, too."
    )
    return [note, "", *tables.markdown(head, rows + noise)]


def _runs(materials):
    head = (
        "run",
        "φ of samples",
        "true",
        "spread of φ over real",
        "diversity",
        "coverage",
        "memorised",
        "mirrored",
        "minutes",
    )
    rows = []
    for material, results in materials.items():
        for seed, result in results.items():
            samples = result["samples"]
            phi, spread = samples["volume_fraction"], samples["volume_fraction_spread"]
            rows.append(
                (
                    f"{material}, seed {seed}",
                    " / ".join(f"{value:.3f}" for value in phi["images"].values()),
                    " / ".join(f"{value:.3f}" for value in result["true_volume_fraction"].values()),
                    " / ".join(f"{value:.2f}" for value in _quotients(spread)),
                    *(_share(samples[name]["value"]) for name in ("diversity", "coverage")),
                    _share(samples["memorisation"]["value"], 3),
                    _share(samples["memorisation"].get("mirrored"), 3),
                    f"{result['wall_seconds'] / 60:.0f}",
                )
            )
    machine = next(iter(next(iter(materials.values())).values()))["machine"]
    return [
        f"Machine: {machine['cores']} cores, {machine['processor']}. Minutes are of wall time.",
        "",
        *tables.markdown(head, rows),
    ]


def _pictures(materials):
    lines = []
    for material in materials:
        picture = f"![Originals, reconstructions and samples of {material}](table4/{material}.png)"
        lines += [f"### {material}", "", picture, ""]
    return lines


def _quotients(spread):
    """The spread of images over the real one, by phase; where neither spreads, they are alike."""
    pairs = zip(spread["images"].values(), spread["real"].values(), strict=True)
    return [1.0 if mine == real else mine / real if real else float("inf") for mine, real in pairs]


def _median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def _mark(passed):
    return {True: "yes", False: "**no**", None: "–"}[passed]


def _number(value):
    return "–" if value is None else "0" if abs(value) < ZERO else f"{value:.2e}"


def _share(value, digits=2):
    return "–" if value is None else f"{value:.{digits}f}"


def _ratio_cell(record):
    if record["passed"] is None:
        return "–"
    ratio = "∞" if record["ratio"] is None else f"{record['ratio']:.2g}"
    ratio = ratio if record["passed"] else f"**{ratio}**"
    strict = record.get("strict_ratio")
    return ratio if strict is None else f"{ratio} ({strict:.2g})"


def _noise_cell(record):
    ratio = record.get("noise_ratio")
    if record["passed"] is None:
        return "–"
    if ratio is None:
        return "**∞**"
    return f"{ratio:.2g}" if ratio <= LIMIT else f"**{ratio:.2g}**"
