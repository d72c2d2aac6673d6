"""`davegan reproduce`: the results under docs/results, made anew."""

from functools import partial
from pathlib import Path

import click
from click.core import ParameterSource

from cli import result_pages
from cli.options import comma_separated
from cli.running import run_jobs, runs_options
from davegan_tf.paper import BETAS, EPOCHS_OF_ELLIPSES, TRAVERSED_BETAS


@click.group()
def reproduce():
    """Make the results under docs/results anew: train what is missing, evaluate, write tables and pictures."""


def _names(allowed):
    def check(ctx, parameter, value):
        from davegan_tf.spelling import nearest

        names = allowed() if value is None else comma_separated(value)
        for name in names:
            if name not in allowed():
                likely = nearest(name, allowed())
                advice = (
                    f"did you mean {likely}?" if likely else f"there are {', '.join(allowed())}"
                )
                raise click.BadParameter(f'there is no "{name}"; {advice}')
        return names

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


@reproduce.command()
@click.option("--materials", callback=_names(_materials), help="Comma-separated. [default: all]")
@click.option(
    "--presets",
    callback=_names(_presets),
    help="best: configs/*.yaml; paper: configs/paper/*.yaml. [default: both]",
)
@runs_options("table4")
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
    result_pages.read_known(
        out / result_pages.TABLE_4, "presets"
    )  # damage is told of now, not after hours
    write = partial(result_pages.write_table4, runs, count, out)
    _run(work, overrides, resume, runs, jobs, count, out, write)


@reproduce.command()
@click.option(
    "--materials",
    callback=_names(_materials),
    default="alloy,copolymer",
    show_default=True,
    help="Comma-separated.",
)
@click.option("--variants", callback=_names(_variants), help="Comma-separated. [default: all]")
@runs_options("ablation")
def ablation(materials, variants, seeds, resume, jobs, count, overrides, runs, out):
    """What each of our settings brings: one change at a time, a third of the training.

    Writes OUT/ablation.md and OUT/ablation.json after each run. Interrupt at any time and go on with --resume.
    """
    from davegan_tf import ablation as table

    work = [
        table.job(variant, material, seed)
        for seed in seeds
        for variant in variants
        for material in materials
    ]
    result_pages.read_known(out / result_pages.ABLATION)
    write = partial(result_pages.write_ablation, runs, count, out)
    _run(work, overrides, resume, runs, jobs, count, out, write)


def _betas(ctx, parameter, value):
    import numpy as np

    try:
        betas = [float(beta) for beta in comma_separated(value)]
        usable = all(1e-9 <= beta <= 1e9 for beta in betas)
    except ValueError:
        usable = False
    # On the figure's logarithmic axis there is no 0; names of folders have an end.
    if not usable:
        raise click.BadParameter(
            f'"{value}" is no list of β; expected numbers from 1e-9 to 1e9, such as 0.01,1,50'
        )
    # Names of folders are made of them: however it was written, one β has one.
    return [np.format_float_positional(beta, trim="-") for beta in dict.fromkeys(betas)]


def _ellipses_options(betas):
    """Options of Figures 3 and 4, which are made of the same runs."""

    def decorate(command):
        epochs = click.option(
            "--epochs",
            type=click.IntRange(1),
            default=EPOCHS_OF_ELLIPSES,
            show_default=True,
            help="Length of each run, 1875 steps an epoch. Runs of other lengths are kept and shown, too.",
        )
        values = click.option(
            "--betas",
            callback=_betas,
            default=",".join(betas),
            show_default=True,
            help="Comma-separated.",
        )
        return values(epochs(runs_options("ellipses", samples=False)(command)))

    return decorate


@reproduce.command()
@_ellipses_options(BETAS)
def figure3(betas, epochs, seeds, resume, jobs, overrides, runs, out):
    """Figure 3: the reconstruction error of the ellipses over β, and the numbers of the latent space.

    Writes OUT/figure3.md, OUT/figure3.json and OUT/figure3.png after each run, of all finished runs in RUNS. Interrupt
    at any time and go on with --resume.
    """
    write = partial(result_pages.write_figure3, runs, out)
    _run_ellipses(betas, epochs, seeds, resume, jobs, overrides, runs, out, write)


@reproduce.command()
@_ellipses_options(TRAVERSED_BETAS)
def figure4(betas, epochs, seeds, resume, jobs, overrides, runs, out):
    """Figure 4: traversals from the paper's reference ellipse, for a small, a middle and a large β.

    Trains what `figure3` has not trained yet. Writes OUT/figure4.md and OUT/figure4/*.png at the end.
    """
    _run_ellipses(betas, epochs, seeds, resume, jobs, overrides, runs, out, lambda: None)
    from davegan_tf.beta_study import Point

    points = [Point(beta, epochs, seed) for beta in betas for seed in seeds]
    result_pages.write_figure4(points, runs, out)


def _run_ellipses(betas, epochs, seeds, resume, jobs, overrides, runs, out, write):
    from davegan_tf.beta_study import Point

    work = [Point(beta, epochs, seed).job() for seed in seeds for beta in betas]
    _run(work, overrides, resume, runs, jobs, None, out, write)


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
    from davegan_tf.packaged import check_replaceable, package
    from davegan_tf.results import read_result

    chosen = {}
    for material in materials:
        jobs = result_pages.finished(runs, table.job, "best", material)
        if jobs:
            missed = {
                job: list(table.must(material, read_result(job, runs)).values()).count(False)
                for job in jobs
            }
            chosen[material] = min(jobs, key=missed.get)
    missing = [material for material in materials if material not in chosen]
    named = click.get_current_context().get_parameter_source("materials") != ParameterSource.DEFAULT
    if missing and (named or not chosen):
        raise InputError(
            f"{runs}: holds no finished run of {', '.join(missing)}; make them with `reproduce table4`."
        )
    check_writable(out, "--out")
    for material in chosen:
        check_replaceable(out / material)
    from davegan_tf.tensorflow_setup import start_tensorflow

    start_tensorflow()
    for material, job in chosen.items():
        path = package(job.folder(runs), material, out)
        size = sum(file.stat().st_size for file in path.iterdir())
        click.echo(f"wrote {path}: seed {job.seed}, {size / 1e6:.2f} MB")


def _run(work, overrides, resume, runs, workers, count, out, write):
    from davegan_tf.config import load_config
    from davegan_tf.errors import InputError
    from davegan_tf.files import check_writable
    from davegan_tf.jobs import check_begun, of_different_data
    from davegan_tf.micrographs import load_from_config

    for override in overrides:
        key = override.partition("=")[0].strip()
        if key == "seed" or any(own.startswith(f"{key}=") for job in work for own in job.overrides):
            raise InputError(
                f"--set {override}: {key} is what this command sets itself; leave it out."
            )
    work = [job._replace(overrides=(*job.overrides, *overrides)) for job in work]
    configs = [load_config(job.config, [*job.overrides, f"seed={job.seed}"]) for job in work]
    for job, settings in zip(work, configs, strict=True):
        if not resume and job.folder(runs).path.exists():
            raise InputError(
                f"{job.folder(runs).path}: exists already; go on with --resume, or name another folder with --runs."
            )
        check_begun(job, settings, runs, Path("tb_logs"), "or start in another folder")
    # The same micrograph serves all seeds and variants.
    for settings in of_different_data(configs):
        if settings.data.offline_fallback and load_from_config(settings).fallback_for:
            raise InputError(
                f"data.source: the micrograph {settings.data.source} is not to be had here, and results of its stand-in"
                " are none of it; see `data list`."
            )
    check_writable(runs, "--runs")
    check_writable(out / "table.md", "--out")
    if any(job.finished(runs, count) for job in work):
        write()
    if run_jobs(work, runs, workers, count, lambda job, failure: failure or write()):
        raise SystemExit(1)
