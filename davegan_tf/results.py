"""What is kept of a finished run for tables and pages. No TensorFlow is imported here."""

import json
from pathlib import Path
from typing import Any

from davegan_tf.config import load_config
from davegan_tf.jobs import Job
from davegan_tf.run_folder import FREE_TO_CHANGE


def changes(job: Job, runs: Path) -> list[str]:
    """``key=value`` of what a run's config has otherwise than its job says, but for what changes no result."""
    config = load_config(job.config, [*job.overrides, f"seed={job.seed}"])
    but = set(FREE_TO_CHANGE) - {"training.epochs"}
    return [
        f"{key}={json.dumps(value, ensure_ascii=False)}"
        for key, value, _ in job.folder(runs).differences(config, but)
    ]


def read_result(job: Job, runs: Path) -> dict[str, Any]:
    """What is kept of a finished run, JSON-ready: scorecard without the details, changes, time, machine, versions."""
    folder = job.folder(runs)
    evaluation, manifest = folder.read_evaluation(), folder.read_manifest()
    kept = ("value", "floor", "noise", "ratio", "interval", "noise_ratio", "strict_ratio")
    kept += ("passed", "per_phase", "images", "real", "mirrored", "disjoint")
    return {
        "config": job.config,
        "seed": job.seed,
        "step": evaluation["step"],
        "data": evaluation["data"],
        "counts": evaluation["counts"],
        "true_volume_fraction": rounded(evaluation["true_volume_fraction"]),
        **{
            subject: {
                name: {key: rounded(record[key]) for key in kept if key in record}
                for name, record in evaluation[subject].items()
            }
            for subject in ("reconstructions", "samples")
        },
        "verdict": evaluation["verdict"],
        "changes": changes(job, runs),
        "wall_seconds": manifest["wall_seconds"],
        "machine": manifest["machine"],
        "versions": manifest["versions"],
    }


def rounded(value: Any) -> Any:
    """Floats to four significant digits, also inside lists and dictionaries."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list) else value


def volume_fractions(result: dict[str, Any]) -> list[tuple[float, float]]:
    """(of the samples, true) φ of each phase that is measured, of what :func:`read_result` returns."""
    images = result["samples"]["volume_fraction"]["images"]
    return [(mine, result["true_volume_fraction"][phase]) for phase, mine in images.items()]
