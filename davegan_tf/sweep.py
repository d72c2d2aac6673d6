"""A sweep: one config trained with every combination of some keys' values, and the table that sums it up.

No TensorFlow is imported here.
"""

import collections
import functools
import hashlib
import itertools
import json
import math
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from davegan_tf.config import Config, load_config
from davegan_tf.errors import InputError
from davegan_tf.jobs import Job, check_begun
from davegan_tf.results import volume_fractions

MOST_RUNS = 1000
# Of a folder's name, as the config's key `name` has it.
LONGEST_NAME = 100

LEGEND = """\
E_rec, E_gen: Eq. 12, means over images. φ: of the samples, in brackets that of the training data. diversity: difference
of two samples over that of two real crops. verdict: the scorecard's, with the number of measures that fail; or how far
the run is. minutes: wall time of training. The rest is in `evaluation.json` and `report.html` of the run folders."""


class Run(NamedTuple):
    """One run of a sweep: its job, its config, and the varied keys' values in it."""

    job: Job
    settings: Config
    values: dict[str, Any]


def parse_vary(options: Sequence[str]) -> dict[str, list[str]]:
    """Read the options ``KEY=VALUE,VALUE,…``.

    Returns
    -------
    dict
        Key to its values as text; both are checked by :func:`plan`.

    Raises
    ------
    InputError
        If an option is something else, a key is given twice, or a value.
    """
    vary = {}
    for option in options:
        key, _, text = option.partition("=")
        key, values = key.strip(), [value.strip() for value in text.split(",")]
        if not key or not all(values):
            raise InputError(
                f"--vary {option}: expected key=value,value,…, for example --vary model.beta=0.1,1,10."
            )
        if key == "seed":
            raise InputError(
                f"--vary {option}: seeds have an option of their own; give --seeds {text}."
            )
        if key == "name":
            raise InputError(
                f"--vary {option}: runs are named by the other keys' values; name the sweep with --set name=…."
            )
        if key in vary:
            raise InputError(
                f"--vary {option}: {key} is varied already; give all its values in one --vary."
            )
        repeated = next((value for value in values if values.count(value) > 1), None)
        if repeated is not None:
            raise InputError(f"--vary {option}: {repeated} is given twice; keep one of them.")
        vary[key] = values
    return vary


def plan(
    config: str,
    vary: Mapping[str, Sequence[str]],
    seeds: Sequence[int] | None = None,
    overrides: Sequence[str] = (),
) -> list[Run]:
    """All runs of a sweep, in the order of the values: the last key changes fastest, but for the seed.

    Parameters
    ----------
    config : str
        File or name of a packaged one.
    vary : dict
        Key to its values in YAML, see :func:`parse_vary`.
    seeds : sequence of int, optional
        By default the config's.
    overrides : sequence of str
        ``key=value`` of all runs.

    Returns
    -------
    list of Run
        The names of the jobs are different, also where letters' case does not count, and such as a config's ``name``
        may be: NAME-KEY-VALUE-seed-SEED, NAME that of the config.

    Raises
    ------
    InputError
        If one of the configs cannot be used, or there are more than MOST_RUNS.
    """
    for override in overrides:
        key = override.partition("=")[0].strip()
        if key in vary:
            raise InputError(f"--set {override}: {key} is varied by --vary; keep one of them.")
        if key == "seed" and seeds is not None:
            raise InputError(f"--set {override}: the seeds are those of --seeds; keep one of them.")
    count = math.prod(map(len, vary.values())) * (1 if seeds is None else len(seeds))
    if count > MOST_RUNS:
        raise InputError(
            f"--vary: these are {count} runs, and a sweep has at most {MOST_RUNS}; give fewer values or seeds."
        )
    runs, known = [], collections.defaultdict(dict)
    for texts in itertools.product(*vary.values()):
        varied = tuple(f"{key}={text}" for key, text in zip(vary, texts, strict=True))
        for seed in [None] if seeds is None else seeds:
            settings = _load(config, overrides, varied, seed)
            values = {key: _value(settings, key) for key in vary}
            for key, text in zip(vary, texts, strict=True):
                other = known[key].setdefault(values[key], text)
                if other != text:
                    raise InputError(
                        f"--vary {key}={','.join(vary[key])}: {other} and {text} are the same value; keep one of them."
                    )
            job = Job("", config, settings.seed, (*overrides, *varied))
            runs.append(Run(job, settings, values))
    names = _names(runs)
    return [
        run._replace(job=run.job._replace(name=name)) for run, name in zip(runs, names, strict=True)
    ]


def check_folders(runs: Sequence[Run], folder: Path, logs: Path) -> None:
    """Raise InputError if a run has been begun with another config, or would replace another run's log.

    Parameters
    ----------
    runs : sequence of Run
    folder : Path
        Of the run folders.
    logs : Path
        TensorBoard's, which holds one of the same name for each.
    """
    advice = "or give the sweep another name with --set name=…"
    for run in runs:
        check_begun(run.job, run.settings, folder, logs, advice)


def summarize(
    runs: Sequence[Run],
    folder: Path,
    results: Mapping[str, Mapping[str, Any]],
    failures: Mapping[str, str],
) -> list[dict[str, Any]]:
    """What is known of each run, JSON-ready.

    Parameters
    ----------
    runs : sequence of Run
    folder : Path
        Of the run folders.
    results : dict
        Name of a finished run to its result, as of :func:`davegan_tf.results.read_result`.
    failures : dict
        Name of a failed run to the reason.

    Returns
    -------
    list of dict
        In the order of the runs, with ``name``, ``values``, ``seed``, ``status`` (finished, failed, begun or missing),
        and ``result`` or ``failure``.
    """
    rows = []
    for run in runs:
        name = run.job.name
        row = {"name": name, "values": run.values, "seed": run.job.seed}
        if name in results:
            row |= {"status": "finished", "result": results[name]}
        elif name in failures:
            row |= {"status": "failed", "failure": failures[name]}
        else:
            begun = run.job.folder(folder).holds_a_run
            row["status"] = "begun" if begun else "missing"
        rows.append(row)
    return rows


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """What :func:`summarize` returned as a Markdown table that is also legible as it stands."""
    keys = list(rows[0]["values"])
    head = (*keys, "seed", "E_rec", "E_gen", "φ", "diversity", "verdict", "minutes")
    cells = [head, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |"
        for line in cells
    )


def document(rows: Sequence[Mapping[str, Any]], title: str, command: str) -> str:
    """The Markdown page.

    Parameters
    ----------
    rows : list of dict
        See :func:`summarize`.
    title : str
    command : str
        What made it.
    """
    finished = sum(row["status"] == "finished" for row in rows)
    made = f"Made by `{command}`; {finished} of {len(rows)} runs are finished."
    # A stand-in is named as one.
    data = dict.fromkeys(row["result"]["data"] for row in rows if row["status"] == "finished")
    made += f" Data: {', '.join(data)}." if data else ""
    failed = [f"- {row['name']}: {row['failure']}" for row in rows if row["status"] == "failed"]
    parts = [f"# {title}", made, table(rows), LEGEND]
    parts += ["Failed:", "\n".join(failed)] if failed else []
    return "\n\n".join(parts) + "\n"


def metrics(result: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a run that are compared in TensorBoard; without those that are not defined for it."""
    samples, reconstructions = result["samples"], result["reconstructions"]
    values = {
        "E_rec": reconstructions["E_rec"]["value"],
        "E_gen": samples["E_gen"]["value"],
        "pixel_accuracy": reconstructions["pixel_accuracy"]["value"],
        "volume_fraction_error": statistics.mean(
            abs(mine - true) for mine, true in volume_fractions(result)
        ),
        "diversity": samples["diversity"]["value"],
        "coverage": samples["coverage"]["value"],
        "memorised_share": samples["memorisation"]["value"],
        "failed_measures": len(result["verdict"]["failed"]),
        "minutes": result["wall_seconds"] / 60,
    }
    return {name: value for name, value in values.items() if value is not None}


def shown(value: Any) -> str:
    """A value of a config, as YAML has it: 0.1, 1, 1e30, null, true, alloy."""
    if isinstance(value, str):
        return value
    return json.dumps(value).removesuffix(".0").replace("e+", "e")


def _load(config, overrides, varied, seed):
    seeds = [] if seed is None else [f"seed={seed}"]
    try:
        return load_config(config, [*overrides, *varied, *seeds])
    except InputError as error:
        message = str(error)
        for override in varied:
            message = message.replace(f"--set {override}", f"--vary {override}")
        for override in seeds:
            message = message.replace(f"--set {override}", f"--seeds {seed}")
        raise InputError(message) from None


def _value(settings, key):
    return functools.reduce(getattr, key.split("."), settings)


def _names(runs):
    """Of the keys without their section, which no two share; where they would not do, with a digest at the end."""
    names = []
    for run in runs:
        parts = [run.settings.name]
        for key, value in run.values.items():
            parts += [key.rpartition(".")[2], shown(value)]
        names.append(re.sub(r"[^\w.-]+", "-", "-".join([*parts, f"seed-{run.job.seed}"])))
    times = collections.Counter(name.lower() for name in names)
    for number, (run, name) in enumerate(zip(runs, names, strict=True)):
        if times[name.lower()] > 1 or len(name) > LONGEST_NAME:
            known = json.dumps([run.values, run.job.seed])
            digest = hashlib.sha256(known.encode()).hexdigest()[:8]
            names[number] = f"{name[: LONGEST_NAME - 9]}-{digest}"
    return names


def _cells(row):
    values = [*map(shown, row["values"].values()), str(row["seed"])]
    if row["status"] != "finished":
        cells = [*values, "–", "–", "–", "–", row["status"], "–"]
    else:
        result = row["result"]
        failed, judged = len(result["verdict"]["failed"]), result["verdict"]["measures"]
        cells = [
            *values,
            _error(result["reconstructions"]["E_rec"]["value"]),
            _error(result["samples"]["E_gen"]["value"]),
            " / ".join(f"{mine:.3f} ({true:.3f})" for mine, true in volume_fractions(result)),
            _share(result["samples"]["diversity"]["value"]),
            f"FAIL, {failed} of {judged}" if failed else f"PASS, {judged}" if judged else "–",
            f"{result['wall_seconds'] / 60:.1f}",
        ]
    return [cell.replace("|", "\\|") for cell in cells]


def _error(value):
    return "0" if value == 0 else f"{value:.2e}"


def _share(value):
    return "–" if value is None else f"{value:.2f}"
