"""How long whole commands take, from the shell's point of view."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.pool import TAIL_LINES, WorkerError, environment

REPEATS = 3
# Name, arguments, exit code and the time it should stay below, in seconds.
COMMANDS = (
    ("--help", ["--help"], 0, 0.5),
    ("train with a mistake in the config", ["train", "--config", "mistaken.yaml"], 2, 1.0),
    (
        "generate --count 64",
        ["generate", "runs/tiny", "--count", "64", "--out", "samples.png"],
        0,
        10.0,
    ),
)
MISTAKEN = "base: alloy.yaml\ntraining: {epochz: 1}\n"
TINY = (
    "data.source=grains",
    "data.micrograph_size=128",
    "training.backend=graph",  # the quickest to compile
    "training.recalibrate=false",
)


def measure_startup(say):
    """Seconds of each of COMMANDS, the median of several.

    Returns
    -------
    list of dict : ``command``, ``seconds`` (all), ``median_seconds``, ``limit_seconds``

    Raises
    ------
    WorkerError
        If a command ends otherwise than it should.
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "mistaken.yaml").write_text(MISTAKEN)
        say("start-up times: training a model for two steps …")
        values = [word for value in TINY for word in ("--set", value)]
        tiny = [
            "train",
            "--config",
            "alloy.yaml",
            "--run-dir",
            "runs/tiny",
            "--epochs",
            "2",
            *values,
        ]
        _run(tiny, 0, folder)
        for name, arguments, code, limit in COMMANDS:
            say(f"{name} …")
            seconds = [_run(arguments, code, folder) for _ in range(REPEATS)]
            rows.append(
                {
                    "command": name,
                    "seconds": seconds,
                    "median_seconds": statistics.median(seconds),
                    "limit_seconds": limit,
                }
            )
    return rows


def _run(arguments, code, folder):
    """Run one command to its end; returns the seconds it took."""
    command = [sys.executable, "-m", "cli", *arguments]
    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - started
    if done.returncode != code:
        said = "\n".join(done.stderr.strip().splitlines()[-TAIL_LINES:])
        raise WorkerError(
            f"`{' '.join(arguments)}` ended with code {done.returncode}, not {code}:\n{said}"
        )
    return seconds
