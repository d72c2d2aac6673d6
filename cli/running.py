"""What the commands that train share: of many runs (`reproduce`, `sweep`) the options, and running to the end."""

import contextlib
import functools
import signal
import sys
from pathlib import Path

import click

from cli.options import whole_numbers
from cli.progress import say

# Samples that a run is measured by.
DEFAULT_COUNT = 256


def seed_list(ctx, parameter, value):
    """Callback of an option: ``0,1,2`` as a list of int, without repetitions; None stays None."""
    return None if value is None else whole_numbers(value, "seeds", "0,1,2")


def many_runs_options(command, samples=True):
    """Options of every command that trains many runs: ``resume``, ``jobs``, ``overrides``, and ``count`` of samples."""
    count = click.option(
        "--count",
        type=click.IntRange(2),
        default=DEFAULT_COUNT,
        show_default=True,
        help="Samples to measure.",
    )
    return _decorated(
        command,
        click.option(
            "--resume", is_flag=True, help="Go on: keep what is finished, continue what was begun."
        ),
        click.option(
            "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Runs at a time."
        ),
        *([count] if samples else []),
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="KEY=VALUE",
            help="For all runs; repeatable.",
        ),
    )


def runs_options(name, samples=True):
    """The same with ``seeds``, ``runs`` and ``out``, for results under docs/results.

    Parameters
    ----------
    name : str
        The run folders go to runs/NAME by default.
    samples : bool
        Whether there is ``count``.
    """

    def decorate(command):
        return _decorated(
            command,
            click.option(
                "--seeds",
                default="0",
                show_default=True,
                callback=seed_list,
                help="Comma-separated.",
            ),
            functools.partial(many_runs_options, samples=samples),
            click.option(
                "--runs",
                type=click.Path(path_type=Path),
                default=Path("runs", name),
                show_default=True,
            ),
            click.option(
                "--out",
                type=click.Path(path_type=Path),
                default=Path("docs", "results"),
                show_default=True,
            ),
        )

    return decorate


def _decorated(command, *options):
    for option in reversed(options):
        command = option(command)
    return command


def run_jobs(work, runs, workers, count, ended):
    """Train and measure what is not finished, and say how each ends.

    Parameters
    ----------
    work : sequence of davegan_tf.jobs.Job
    runs : Path
        Folder of the run folders.
    workers : int
        Runs at a time.
    count : int
        Samples to evaluate.
    ended : callable
        Called with a job and its failure, or None, when it has ended.

    Returns
    -------
    list of str
        Names of the runs that failed; the command's exit code should then be 1.
    """
    from davegan_tf.jobs import run_all

    missing = [job for job in work if not job.finished(runs, count)]
    click.echo(f"{len(work)} runs, {len(work) - len(missing)} of them finished")
    failures = []
    with _stopped_by_signals():
        for job, failure in run_all(missing, runs, workers, count):
            if failure is None:
                say(f"{job.name}: done")
            else:
                failures.append(job.name)
                say(f"{job.name}: FAILED: {failure}", file=sys.stderr)
            ended(job, failure)
    if failures:
        click.echo(f"{len(failures)} of {len(work)} runs failed: {', '.join(failures)}", err=True)
    return failures


def warn_of_stand_in(micrograph):
    """Say on stderr where a built-in generator stands in for a micrograph that could not be had."""
    if micrograph.fallback_for:
        click.secho(
            f"WARNING: the model is trained on the built-in generator {micrograph.name} INSTEAD of the micrograph"
            f" {micrograph.fallback_for}, which was neither on this machine nor could be downloaded"
            " (data.offline_fallback).",
            fg="yellow",
            bold=True,
            err=True,
        )


@contextlib.contextmanager
def _stopped_by_signals():
    """Signals that ask for an end end the runs, which save where they are."""
    from davegan_tf.stop_signal import ending_signals

    def stop(*_):
        raise KeyboardInterrupt

    before = {each: signal.signal(each, stop) for each in ending_signals()}
    try:
        yield
    except KeyboardInterrupt:
        click.echo("Interrupted; everything is saved. Go on with --resume.", err=True)
        raise SystemExit(130) from None
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
