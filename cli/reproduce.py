"""`davegan reproduce`: the results under docs/results, made anew."""

import shlex
from pathlib import Path

import click
from click.core import ParameterSource

from cli.running import DEFAULT_COUNT, run_jobs, runs_options
from davegan_tf.beta_study import BETAS, PAPER_EPOCHS, TRAVERSED_BETAS, Point


@click.group()
def reproduce():
    """Make the results under docs/results anew: train what is missing, evaluate, write tables and pictures."""


def _names(allowed):
    def check(ctx, parameter, value):
        from davegan_tf.config_errors import nearest

        names = [name.strip() for name in value.split(",")] if value is not None else allowed()
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
    _run(work, overrides, resume, runs, jobs, count, out, lambda: _write_table4(runs, count, out))


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
    _run(work, overrides, resume, runs, jobs, count, out, lambda: _write_ablation(runs, count, out))


def _betas(ctx, parameter, value):
    betas = list(dict.fromkeys(part.strip() for part in value.split(",")))
    try:
        usable = all(0 <= float(beta) < float("inf") for beta in betas)
    except ValueError:
        usable = False
    # Names of folders are made of them.
    if not usable or any("-" in beta or "+" in beta for beta in betas):
        raise click.BadParameter(
            f'"{value}" is no list of β; expected numbers such as 0.01,1,50, not below 0'
        )
    return betas


def _ellipses_options(betas):
    """Options of Figures 3 and 4, which are made of the same runs."""

    def decorate(command):
        epochs = click.option(
            "--epochs",
            type=click.IntRange(1),
            default=PAPER_EPOCHS,
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
    _run_ellipses(
        betas, epochs, seeds, resume, jobs, overrides, runs, out, lambda: _write_figure3(runs, out)
    )


@reproduce.command()
@_ellipses_options(TRAVERSED_BETAS)
def figure4(betas, epochs, seeds, resume, jobs, overrides, runs, out):
    """Figure 4: traversals from the paper's reference ellipse, for a small, a middle and a large β.

    Trains what `figure3` has not trained yet. Writes OUT/figure4.md and OUT/figure4/*.png at the end.
    """
    _run_ellipses(betas, epochs, seeds, resume, jobs, overrides, runs, out, lambda: None)
    _write_figure4([Point(beta, epochs, seed) for beta in betas for seed in seeds], runs, out)


def _run_ellipses(betas, epochs, seeds, resume, jobs, overrides, runs, out, write):
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
    from davegan_tf.reproduction import read_result

    chosen = {}
    for material in materials:
        jobs = _finished(runs, "best", material)
        if jobs:
            score = {
                job: sum(table.must(material, read_result(job, runs)).values()) for job in jobs
            }
            chosen[material] = max(jobs, key=score.get)
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


def _finished(runs, preset, material, count=None):
    """The jobs of the finished runs, by seed."""
    from davegan_tf import table4 as table
    from davegan_tf.reproduction import seeds_of

    seeds = seeds_of(runs, f"{preset}-{material}")
    jobs = [table.job(preset, material, seed) for seed in seeds]
    return [job for job in jobs if job.finished(runs, count)]


def _run(work, overrides, resume, runs, workers, count, out, write):
    from davegan_tf.config import load_config
    from davegan_tf.errors import InputError
    from davegan_tf.files import check_writable
    from davegan_tf.micrographs import load_from_config
    from davegan_tf.reproduction import check_begun, of_different_data

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


def _write_ablation(runs, count, out):
    import json

    from davegan_tf import ablation as table
    from davegan_tf.files import write_text
    from davegan_tf.reproduction import read_result, seeds_of

    path = out / "ablation.json"
    known = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    results = {}
    for material in _materials():
        of_material = {}
        for variant in table.VARIANTS:
            # Results of another length are not to be compared with these.
            seeds = {
                seed: result
                for seed, result in known.get(material, {}).get(variant, {}).items()
                if result["step"] == table.STEPS
            }
            for seed in seeds_of(runs, f"{variant}-{material}"):
                job = table.job(variant, material, seed)
                if job.finished(runs, count):
                    seeds[str(job.seed)] = read_result(job, runs)
            if seeds:
                of_material[variant] = dict(sorted(seeds.items(), key=lambda item: int(item[0])))
        if of_material:
            results[material] = of_material
    write_text(path, json.dumps(results, indent=1) + "\n")
    by_variant = {
        variant: {name: known[variant] for name, known in results.items() if variant in known}
        for variant in table.VARIANTS
    }
    commands = _commands("ablation", "variants", by_variant)
    write_text(out / "ablation.md", table.document(results, commands))


def _write_figure3(runs, out):
    import json

    from davegan_tf import beta_study
    from davegan_tf.beta_figures import figure_3
    from davegan_tf.files import write_text

    results = [beta_study.read_point(point, runs) for point in beta_study.finished(runs)]
    write_text(out / "figure3.json", json.dumps(results, indent=1) + "\n")
    figure_3(out / "figure3.png", results)
    document = beta_study.figure_3_document(results, _ellipses_command("figure3", results))
    write_text(out / "figure3.md", document)


def _write_figure4(points, runs, out):
    from davegan_tf.tensorflow_setup import start_tensorflow

    start_tensorflow()
    from davegan_tf import beta_study, latent
    from davegan_tf.building import load_model
    from davegan_tf.dataset import encode_phases
    from davegan_tf.ellipse_study import reference_image
    from davegan_tf.figures import to_grey
    from davegan_tf.files import write_text
    from davegan_tf.latent_figures import shown, traversal_picture

    results = [beta_study.read_point(point, runs) for point in points]
    reference = reference_image()
    for point, result in zip(points, results, strict=True):
        model, step = load_model(point.job().folder(runs))
        z = latent.z_of_image(model, encode_phases(reference, 2))
        frames = shown(latent.traverse(model, z))
        starts = [("reference sample", to_grey(reference, 2))]
        starts.append(("reconstructed", shown(latent.decode(model, z[None]))[0]))
        traversal_picture(
            out / "figure4" / beta_study.picture_name(result),
            frames,
            latent.traversal_values(),
            [f"z {i}, KL {kl:.2g}" for i, kl in enumerate(result["posterior"]["kl"])],
            starts,
            f"β = {point.beta}, {step} steps: one dimension of z at a time",
        )
    document = beta_study.figure_4_document(results, _ellipses_command("figure4", results))
    write_text(out / "figure4.md", document)
    click.echo(f"wrote {out / 'figure4.md'}")


def _ellipses_command(name, results):
    """The command lines that make these results: one for each length, and for runs with other seeds or changes."""
    import numpy as np

    seeds, betas = {}, {}
    for each in results:
        # Not 1e-05, which --betas refuses.
        beta = np.format_float_positional(each["beta"], trim="-")
        run = each["epochs"], beta, _options(each)
        seeds.setdefault(run, []).append(each["seed"])
    for (epochs, beta, options), of_beta in seeds.items():
        made = epochs, ",".join(map(str, sorted(of_beta))), options
        betas.setdefault(made, []).append(beta)
    return "` and `".join(
        f"python -m cli reproduce {name} --epochs {epochs} --betas {','.join(sorted(of_these, key=float))} "
        f"--seeds {which}{options}"
        for (epochs, which, options), of_these in sorted(betas.items())
    )


def _write_table4(runs, count, out):
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
            for job in _finished(runs, preset, material, count):
                seeds[str(job.seed)] = read_result(job, runs)
                picture = job.folder(runs).figures / "overview.png"
                if preset == "best" and job.seed == min(map(int, seeds)) and picture.is_file():
                    with atomic_path(out / "table4" / f"{material}.png") as temporary:
                        shutil.copyfile(picture, temporary)
            if seeds:
                of_preset[material] = dict(sorted(seeds.items(), key=lambda item: int(item[0])))
        results[preset] = of_preset
    write_text(path, json.dumps({"presets": results}, indent=1) + "\n")
    commands = _commands("table4", "presets", results)
    write_text(out / "table4.md", table.document(results, commands))


def _commands(name, option, results):
    """The command lines that make these results, {value of ``option``: {material: {seed: result}}}."""
    materials, values = {}, {}
    for value, of_value in results.items():
        for material, seeds in of_value.items():
            alike = {}
            for seed, result in seeds.items():
                alike.setdefault(_options(result), []).append(seed)
            for options, of_these in alike.items():
                made = ",".join(sorted(of_these, key=int)), options
                materials.setdefault((value, *made), []).append(material)
    for (value, *made), of_value in materials.items():
        values.setdefault((",".join(of_value), *made), []).append(value)
    return "` and `".join(
        f"python -m cli reproduce {name} --{option} {','.join(of_these)} --materials {which} --seeds {seeds}{options}"
        for (which, seeds, options), of_these in values.items()
    )


def _options(result):
    """The rest of the command line that a result needs, with a space before it: ``--count`` and ``--set``."""
    count = result["counts"]["samples"] if "counts" in result else DEFAULT_COUNT
    counted = [] if count == DEFAULT_COUNT else [f"--count {count}"]
    changed = [f"--set {shlex.quote(change)}" for change in result["changes"]]
    return "".join(f" {option}" for option in counted + changed)
