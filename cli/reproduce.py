"""`davegan reproduce`: the results under docs/results, made anew."""

from pathlib import Path

import click


@click.group()
def reproduce():
    """Make the results under docs/results anew: train what is missing, evaluate, write tables and pictures."""


def _names(allowed):
    def check(ctx, parameter, value):
        from davegan_tf.config_errors import nearest

        names = [name.strip() for name in value.split(",") if name.strip()] if value else allowed()
        for name in names:
            if name not in allowed():
                likely = nearest(name, allowed())
                advice = (
                    f"did you mean {likely}?" if likely else f"there are {', '.join(allowed())}"
                )
                raise click.BadParameter(f'there is no "{name}"; {advice}')
        return list(dict.fromkeys(names))

    return check


def _materials():
    from davegan_tf.table4 import MATERIALS

    return list(MATERIALS)


def _presets():
    from davegan_tf.table4 import PRESETS

    return list(PRESETS)


def _variants():
    from davegan_tf.ablation import VARIANTS

    return list(VARIANTS)


def _seeds(ctx, parameter, value):
    seeds = [part.strip() for part in value.split(",")]
    if not all(seed.isdigit() for seed in seeds):
        raise click.BadParameter(f'"{value}" is no list of seeds; expected numbers such as 0,1,2')
    return list(dict.fromkeys(map(int, seeds)))


def _runs_options(name):
    """Options of every command that trains."""
    options = (
        click.option(
            "--seeds", default="0", show_default=True, callback=_seeds, help="Comma-separated."
        ),
        click.option(
            "--resume", is_flag=True, help="Go on: keep what is finished, continue what was begun."
        ),
        click.option(
            "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Runs at a time."
        ),
        click.option(
            "--count",
            type=click.IntRange(2),
            default=256,
            show_default=True,
            help="Samples to measure.",
        ),
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="KEY=VALUE",
            help="For all runs; repeatable.",
        ),
        click.option(
            "--runs", type=click.Path(path_type=Path), default=Path("runs", name), show_default=True
        ),
        click.option(
            "--out",
            type=click.Path(path_type=Path),
            default=Path("docs", "results"),
            show_default=True,
        ),
    )

    def decorate(command):
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@reproduce.command()
@click.option("--materials", callback=_names(_materials), help="Comma-separated. [default: all]")
@click.option(
    "--presets",
    callback=_names(_presets),
    help="best: configs/*.yaml; paper: configs/paper/*.yaml. [default: both]",
)
@_runs_options("table4")
def table4(materials, presets, seeds, resume, jobs, count, overrides, runs, out):
    """Table 4: every material trained, evaluated and judged by the scorecard.

    Writes OUT/table4.md, OUT/table4.json and OUT/table4/MATERIAL.png after each run. Interrupt at any time and go on
    with --resume.
    """
    from davegan_tf import table4 as table

    work = [
        table.job(preset, material, seed)
        for preset in presets
        for seed in seeds
        for material in materials
    ]
    _run(work, overrides, resume, runs, jobs, count, out, lambda: _write_table4(runs, out))


@reproduce.command()
@click.option(
    "--materials",
    callback=_names(_materials),
    default="alloy,copolymer",
    show_default=True,
    help="Comma-separated.",
)
@click.option("--variants", callback=_names(_variants), help="Comma-separated. [default: all]")
@_runs_options("ablation")
def ablation(materials, variants, seeds, resume, jobs, count, overrides, runs, out):
    """What each of our settings brings: one change at a time, a fifth of the training.

    Writes OUT/ablation.md and OUT/ablation.json after each run. Interrupt at any time and go on with --resume.
    """
    from davegan_tf import ablation as table

    work = [
        table.job(variant, material, seed)
        for seed in seeds
        for variant in variants
        for material in materials
    ]
    _run(work, overrides, resume, runs, jobs, count, out, lambda: _write_ablation(runs, out))


@reproduce.command()
@click.option("--materials", callback=_names(_materials), help="Comma-separated. [default: all]")
@click.option(
    "--runs", type=click.Path(path_type=Path), default=Path("runs", "table4"), show_default=True
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("davegan_tf", "models"),
    show_default=True,
)
def models(materials, runs, out):
    """The packaged models, made of the runs of `reproduce table4`.

    Of several seeds the run is taken that has most of what it must have (docs/results/table4.md), of equals the first.
    """
    from davegan_tf import table4 as table
    from davegan_tf.errors import InputError
    from davegan_tf.files import check_writable
    from davegan_tf.reproduction import read_result

    chosen = {}
    for material in materials:
        jobs = _finished(runs, "best", material)
        if jobs:
            score = {
                job: sum(table.must(material, read_result(job, runs)).values()) for job in jobs
            }
            chosen[material] = max(jobs, key=score.get)
    if not chosen:
        raise InputError(f"{runs}: holds no finished run; make them with `reproduce table4`.")
    check_writable(out, "--out")
    from cli.quiet_tensorflow import start_tensorflow

    start_tensorflow()
    from davegan_tf.packaged import package

    for material, job in chosen.items():
        path = package(job.folder(runs), material, out)
        size = sum(file.stat().st_size for file in path.iterdir())
        click.echo(f"wrote {path}: seed {job.seed}, {size / 1e6:.2f} MB")


def _finished(runs, preset, material):
    """The jobs of the finished runs, by seed."""
    from davegan_tf import table4 as table

    folders = runs.glob(f"{preset}-{material}-*")
    seeds = sorted(int(folder.name.rpartition("-")[2]) for folder in folders)
    jobs = [table.job(preset, material, seed) for seed in seeds]
    return [job for job in jobs if job.finished(runs)]


def _run(work, overrides, resume, runs, workers, count, out, write):
    from davegan_tf.config import load_config
    from davegan_tf.errors import InputError
    from davegan_tf.files import check_writable
    from davegan_tf.reproduction import run_all

    work = [job._replace(overrides=(*job.overrides, *overrides)) for job in work]
    for job in work:
        load_config(job.config, list(job.overrides))
        if not resume and job.folder(runs).path.exists():
            raise InputError(
                f"{job.folder(runs).path}: exists already; go on with --resume, or name another folder with --runs."
            )
    check_writable(runs, "--runs")
    check_writable(out / "table.md", "--out")
    missing = [job for job in work if not job.finished(runs)]
    click.echo(f"{len(work)} runs, {len(work) - len(missing)} of them finished")
    if len(missing) < len(work):
        write()
    failures = []
    with _stopped_by_signals():
        for job, failure in run_all(missing, runs, workers, count):
            if failure is None:
                click.echo(f"{job.name}: done")
                write()
            else:
                failures.append(job.name)
                click.echo(f"{job.name}: FAILED: {failure}", err=True)
    if failures:
        click.echo(f"{len(failures)} of {len(work)} runs failed: {', '.join(failures)}", err=True)
        raise SystemExit(1)


def _stopped_by_signals():
    """SIGTERM, like Ctrl-C, ends the runs, which save where they are."""
    import contextlib
    import signal

    def stop(*_):
        raise KeyboardInterrupt

    @contextlib.contextmanager
    def installed():
        before = signal.signal(signal.SIGTERM, stop)
        try:
            yield
        except KeyboardInterrupt:
            click.echo("Interrupted; everything is saved. Go on with --resume.", err=True)
            raise SystemExit(130) from None
        finally:
            signal.signal(signal.SIGTERM, before)

    return installed()


def _write_ablation(runs, out):
    import json

    from davegan_tf import ablation as table
    from davegan_tf.files import write_text
    from davegan_tf.reproduction import read_result

    path = out / "ablation.json"
    known = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    results = {}
    for material in _materials():
        of_material = {}
        for variant in table.VARIANTS:
            seeds = dict(known.get(material, {}).get(variant, {}))
            for folder in runs.glob(f"{variant}-{material}-*"):
                job = table.job(variant, material, int(folder.name.rpartition("-")[2]))
                if job.finished(runs):
                    seeds[str(job.seed)] = read_result(job, runs)
            if seeds:
                of_material[variant] = dict(sorted(seeds.items(), key=lambda item: int(item[0])))
        if of_material:
            results[material] = of_material
    write_text(path, json.dumps(results, indent=1) + "\n")
    made = [
        run
        for material in results.values()
        for seeds in material.values()
        for run in seeds.values()
    ]
    write_text(out / "ablation.md", table.document(results, _command("ablation", made)))


def _write_table4(runs, out):
    import json
    import shutil

    from davegan_tf import table4 as table
    from davegan_tf.files import atomic_path, write_text
    from davegan_tf.reproduction import read_result

    path = out / "table4.json"
    known = json.loads(path.read_text("utf-8"))["presets"] if path.is_file() else {}
    results = {}
    for preset in table.PRESETS:
        of_preset = {}
        for material in table.MATERIALS:
            seeds = dict(known.get(preset, {}).get(material, {}))
            for job in _finished(runs, preset, material):
                seeds[str(job.seed)] = read_result(job, runs)
                picture = job.folder(runs).figures / "overview.png"
                if preset == "best" and job.seed == min(map(int, seeds)) and picture.is_file():
                    with atomic_path(out / "table4" / f"{material}.png") as temporary:
                        shutil.copyfile(picture, temporary)
            if seeds:
                of_preset[material] = dict(sorted(seeds.items(), key=lambda item: int(item[0])))
        results[preset] = of_preset
    write_text(path, json.dumps({"presets": results}, indent=1) + "\n")
    made = [
        run for preset in results.values() for seeds in preset.values() for run in seeds.values()
    ]
    write_text(out / "table4.md", table.document(results, _command("table4", made)))


def _command(name, results):
    """The command line that makes these results."""
    seeds = sorted({result["seed"] for result in results})
    command = f"python -m cli reproduce {name} --seeds {','.join(map(str, seeds))}"
    threads = {result["threads"] for result in results}
    if len(threads) == 1 and None not in threads:
        command += f" --set training.threads={threads.pop()}"
    return command
