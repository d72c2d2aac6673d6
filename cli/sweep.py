"""`davegan sweep`: one config trained with every combination of some values."""

from pathlib import Path

import click

from cli.running import many_runs_options, run_jobs, seed_list, warn_of_stand_in


@click.command()
@click.option("--config", required=True, help="Config file, or name of a packaged one.")
@click.option(
    "--vary",
    multiple=True,
    required=True,
    metavar="KEY=VALUE,VALUE,…",
    help="Values of a key; repeatable: all combinations are run.",
)
@click.option(
    "--seeds",
    callback=seed_list,
    help="Comma-separated; each for all runs. [default: the config's]",
)
@many_runs_options
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    help="Folder of the run folders; NAME is the config's. [default: runs/sweep-NAME]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the table. [default: that of the run folders]",
)
def sweep(config, vary, seeds, resume, jobs, count, overrides, runs, out):
    """Train a config with every combination of some keys' values, evaluate and compare.

    All configs are checked before the first run starts. Each run has processes and a folder of its own,
    RUNS/NAME-KEY-VALUE-seed-SEED; one that fails does not stop the others (exit code 1 at the end). Interrupt at any
    time and go on with --resume.

    After each run OUT/sweep.md and OUT/sweep.json are written anew, with the columns

    \b
    KEY …      the varied keys
    seed
    E_rec      Eq. 12 between tiles and their reconstructions, mean
    E_gen      Eq. 12 between samples and their closest tiles, mean
    φ          of the samples, in brackets that of the training data
    diversity  difference of two samples over that of two real crops
    verdict    PASS or FAIL of the scorecard, and how many measures fail;
               or failed (why is said below the table), begun, missing
    minutes    wall time of the training

    and at the end TensorBoard's tab HParams has the finished runs: tensorboard --logdir tb_logs.
    """
    import json

    from davegan_tf import sweep as sweeps
    from davegan_tf.errors import InputError
    from davegan_tf.files import check_writable, write_text
    from davegan_tf.jobs import of_different_data
    from davegan_tf.micrographs import load_from_config
    from davegan_tf.results import read_result
    from davegan_tf.run_folder import RunFolder

    plan = sweeps.plan(config, sweeps.parse_vary(vary), seeds, overrides)
    name, logs = plan[0].settings.name, Path("tb_logs")
    runs = runs or Path("runs", f"sweep-{name}")
    out = out or runs
    if RunFolder(runs).holds_a_run:
        raise InputError(f"{runs}: is the folder of a single run; name another one with --runs.")
    if runs.is_file() or (not resume and runs.is_dir() and any(runs.iterdir())):
        raise InputError(
            f"{runs}: exists already; go on with --resume, or name another folder with --runs."
        )
    sweeps.check_folders(plan, runs, logs)
    check_writable(runs, "--runs")
    check_writable(out / "sweep.md", "--out")
    check_writable(logs, "TensorBoard's log")
    work = [run.job for run in plan]
    results = {job.name: read_result(job, runs) for job in work if job.finished(runs, count)}
    missing = [run.settings for run in plan if run.job.name not in results]
    for settings in of_different_data(missing):
        warn_of_stand_in(load_from_config(settings))

    command = _command(config, count, vary, seeds, overrides)
    failures = {}

    def write():
        rows = sweeps.summarize(plan, runs, results, failures)
        summary = {"command": command, "runs": rows}
        write_text(out / "sweep.json", json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
        write_text(out / "sweep.md", sweeps.document(rows, f"Sweep: {name}", command))
        return rows

    def ended(job, failure):
        if failure is None:
            results[job.name] = read_result(job, runs)
        else:
            failures[job.name] = str(failure)
            results.pop(job.name, None)
        write()

    write()
    failed = run_jobs(work, runs, jobs, count, ended)
    click.echo(sweeps.table(write()))
    click.echo(f"wrote {out / 'sweep.md'} and {out / 'sweep.json'}")
    _write_hparams(plan, results, logs)
    if failed:
        raise SystemExit(1)


def _command(config, count, vary, seeds, overrides):
    """The command line that makes this table."""
    import shlex

    given = ["--config", config, "--count", str(count)]
    given += [part for option in vary for part in ("--vary", option)]
    given += [] if seeds is None else ["--seeds", ",".join(map(str, seeds))]
    given += [part for override in overrides for part in ("--set", override)]
    return shlex.join(["python", "-m", "cli", "sweep", *given])


def _write_hparams(plan, results, logs):
    from davegan_tf.sweep import metrics

    finished = [run for run in plan if run.job.name in results]
    if not finished:
        return
    from davegan_tf.tensorflow_setup import start_tensorflow

    start_tensorflow()
    from davegan_tf.hparams import write_hparams

    for run in finished:
        name, result = run.job.name, results[run.job.name]
        values = {**run.values, "seed": run.job.seed}
        write_hparams(logs / name, values, metrics(result), result["step"])
    click.echo(
        "to compare the runs: tensorboard --logdir tb_logs, then http://localhost:6006/#hparams"
    )
