"""Many trainings, one after the other or side by side: what `reproduce` and `sweep` are made of.

Every run is a process of its own (`train`, then `evaluate` or `study`), so that one that fails stops no other, and all
of them can be interrupted at any point and gone on with. No TensorFlow is imported here.
"""

import re
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple

from davegan_tf.config import Config
from davegan_tf.errors import InputError
from davegan_tf.run_folder import RunFolder


class Job(NamedTuple):
    """One run: a config with a seed and overrides (``key=value``), in a folder of its own.

    What measures it is the command ``evaluate`` or ``study``.
    """

    name: str
    config: str
    seed: int
    overrides: tuple[str, ...] = ()
    measured_by: str = "evaluate"

    def folder(self, runs: Path) -> RunFolder:
        return RunFolder(runs / self.name)

    def finished(self, runs: Path, count: int | None = None) -> bool:
        """Trained, and the finished model measured; with ``count`` samples, if it is given."""
        return trained(self.folder(runs)) and self.is_measured(runs, count)

    def is_measured(self, runs: Path, count: int | None = None) -> bool:
        """Whether the measuring command was run on the finished model, with ``count`` samples and no other options.

        Else what was measured by hand, of an unfinished run or with a filter, would pass for the run's result.
        """
        folder = self.folder(runs)
        try:
            found = (
                folder.read_evaluation() if self.measured_by == "evaluate" else folder.read_study()
            )
        except InputError:  # what is damaged is measured again
            return False
        if found is None:
            return False
        usual = {"step": folder.read_manifest().get("step"), "seed": 0}
        if self.measured_by == "evaluate":
            usual |= {"filter": 1, "holdout": False}
        if any(found[key] != value for key, value in usual.items()):
            return False
        return self.measured_by == "study" or count in (None, found["counts"]["samples"])


def trained(folder: RunFolder) -> bool:
    """Whether the folder holds a finished training."""
    return folder.holds_a_run and folder.read_manifest().get("finished", False)


def check_begun(job: Job, settings: Config, runs: Path, logs: Path, advice: str) -> None:
    """Raise InputError if a run has been begun with another config, or would replace another run's log.

    Parameters
    ----------
    job : Job
    settings : Config
        What `train` will make of the job.
    runs, logs : Path
        Folder of the run folders; TensorBoard's, which holds one of the same name for each.
    advice : str
        How else than by removing the other log it can be kept apart: a clause that begins with "or".
    """
    mine = job.folder(runs)
    mine.check_log(logs / job.name, advice)
    if not mine.holds_a_run:
        return
    mine.check_same(settings, "--runs")
    epochs, wanted = mine.read_config().training.epochs, settings.training.epochs
    if trained(mine) and epochs != wanted:
        raise InputError(
            f"{mine.path}: is finished with training.epochs {epochs}, not {wanted}; resume without this change, or "
            "choose another --runs."
        )


def of_different_data(configs: Iterable[Config]) -> Iterable[Config]:
    """One config for each section ``data`` there is: what is to be loaded to see whether all of it can be had."""
    return {config.data.model_dump_json(): config for config in configs}.values()


def seeds_of(runs: Path, name: str) -> list[int]:
    """The seeds of the folders NAME-SEED in ``runs``, ascending; others, such as a copy NAME-SEED-old, don't count."""
    found = (re.fullmatch(rf"{re.escape(name)}-(\d+)", path.name) for path in runs.glob("*"))
    return sorted(int(match[1]) for match in found if match)


class JobFailed(Exception):
    """A run ended with an error; the message is the last line it printed."""


def run_job(job: Job, runs: Path, count: int, processes: "Processes") -> None:
    """Train and measure, whatever of it is missing.

    Parameters
    ----------
    job : Job
    runs : Path
        Folder of the run folders.
    count : int
        Samples to evaluate.
    processes : Processes
    """
    folder = job.folder(runs)
    # The figures come last: a training that was interrupted at them draws them when it is resumed.
    if not trained(folder) or not (folder.figures / "losses.png").is_file():
        sets = [part for override in job.overrides for part in ("--set", override)]
        how = "--resume" if folder.holds_a_run else "--overwrite"
        config = ("--config", job.config, "--seed", str(job.seed), *sets)
        processes.run("train", *config, "--run-dir", str(folder.path), how)
    if not job.is_measured(runs, count):
        samples = ("--count", str(count)) if job.measured_by == "evaluate" else ()
        processes.run(job.measured_by, str(folder.path), *samples)


class Processes:
    """Commands of this program as child processes, all of which end with this one."""

    def __init__(self):
        self._lock, self._running, self._stopped = threading.Lock(), set(), False

    def run(self, *arguments: str) -> None:
        """Run `python -m cli` with the arguments; JobFailed unless it ends well."""
        with self._lock:
            if self._stopped:
                raise JobFailed("interrupted")
            process = subprocess.Popen(
                [sys.executable, "-m", "cli", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                # Ctrl-C at the terminal is ours to hand on.
                start_new_session=True,
            )
            self._running.add(process)
        output, _ = process.communicate()
        with self._lock:
            self._running.discard(process)
        if process.returncode:
            lines = [line for line in output.splitlines() if line.strip()]
            last = lines[-1].removeprefix("Error: ") if lines else ""
            raise JobFailed(last or f"exit code {process.returncode}")

    def stop(self) -> None:
        """End all of them; a training saves where it is."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.terminate()


def run_all(
    jobs: Sequence[Job], runs: Path, workers: int, count: int
) -> Iterator[tuple[Job, JobFailed | None]]:
    """Run all jobs, ``workers`` at a time; yields each as it ends, with its failure or None.

    When the iteration is broken off, the processes that run are stopped, saving where they are.
    """
    processes = Processes()
    with ThreadPoolExecutor(workers) as pool:
        futures = {pool.submit(run_job, job, runs, count, processes): job for job in jobs}
        try:
            while futures:
                # Not without end: a signal is only seen between two waits.
                done, _ = wait(futures, timeout=1, return_when=FIRST_COMPLETED)
                for future in done:
                    job, failure = futures.pop(future), future.exception()
                    if failure is not None and not isinstance(failure, JobFailed):
                        raise failure
                    yield job, failure
        finally:
            for future in futures:
                future.cancel()
            processes.stop()
