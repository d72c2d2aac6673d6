"""The pages under docs/results, written from the finished runs and from what the pages' JSON files know of others."""

import json
import shlex
import shutil

import click

from cli.running import DEFAULT_COUNT

TABLE_4, ABLATION = "table4.json", "ablation.json"


def read_known(path, *keys):
    """What a page's JSON file has below these keys: {setting or material: {the other: {seed: result}}}.

    Nothing where there is no file; InputError if it is damaged.
    """
    from davegan_tf.errors import InputError

    if not path.is_file():
        return {}
    advice = "restore it, or remove it to begin a new one."
    try:
        known = json.loads(path.read_text("utf-8"))
    except ValueError as error:  # also of bytes that are no text
        raise InputError(f"{path}: not readable as JSON ({error}); {advice}") from None
    for key in keys:
        known = known.get(key) if isinstance(known, dict) else None
    if not _nested(known, 3):
        raise InputError(f"{path}: holds no results of this page; {advice}")
    return known


def _nested(value, depth):
    """Whether these are dictionaries, that many levels of them."""
    if not isinstance(value, dict):
        return False
    return depth == 0 or all(_nested(each, depth - 1) for each in value.values())


def write_table4(runs, count, out):
    """OUT/table4.json, OUT/table4.md and the pictures of OUT/table4 by what has finished in the folder ``runs``."""
    from davegan_tf import table4 as table
    from davegan_tf.files import atomic_path, write_text

    path = out / TABLE_4
    known = read_known(path, "presets")
    results = {}
    for preset in table.PRESETS:
        of_preset = {}
        for material in table.MATERIALS:
            jobs = finished(runs, table.job, preset, material, count)
            seeds = _merged(known.get(preset, {}).get(material, {}), jobs, runs)
            for job in jobs:
                picture = job.folder(runs).figures / "overview.png"
                if preset == "best" and str(job.seed) == next(iter(seeds)) and picture.is_file():
                    with atomic_path(out / "table4" / f"{material}.png") as temporary:
                        shutil.copyfile(picture, temporary)
            if seeds:
                of_preset[material] = seeds
        results[preset] = of_preset
    write_text(path, json.dumps({"presets": results}, indent=1) + "\n")
    made_by = commands("table4", "presets", results)
    write_text(out / "table4.md", table.document(results, made_by))


def write_ablation(runs, count, out):
    """OUT/ablation.json and OUT/ablation.md by what has finished in the folder ``runs``."""
    from davegan_tf import ablation as table
    from davegan_tf.files import write_text
    from davegan_tf.table4 import MATERIALS

    path = out / ABLATION
    known = read_known(path)
    results = {}
    for material in MATERIALS:
        of_material = {}
        for variant in table.VARIANTS:
            jobs = finished(runs, table.job, variant, material, count)
            seeds = _merged(known.get(material, {}).get(variant, {}), jobs, runs)
            # Results of another length are not to be compared with these.
            seeds = {
                seed: result for seed, result in seeds.items() if result["step"] == table.STEPS
            }
            if seeds:
                of_material[variant] = seeds
        if of_material:
            results[material] = of_material
    write_text(path, json.dumps(results, indent=1) + "\n")
    by_variant = {
        variant: {name: known[variant] for name, known in results.items() if variant in known}
        for variant in table.VARIANTS
    }
    made_by = commands("ablation", "variants", by_variant)
    write_text(out / "ablation.md", table.document(results, made_by))


def finished(runs, job, setting, material, count=None):
    """The jobs of the finished runs of a setting and a material, by seed; ``job`` makes one of these and a seed."""
    from davegan_tf.jobs import seeds_of

    jobs = [job(setting, material, seed) for seed in seeds_of(runs, f"{setting}-{material}")]
    return [each for each in jobs if each.finished(runs, count)]


def _merged(known, jobs, runs):
    """Seed (text) → result, ascending: what is known, replaced or joined by what these runs have."""
    from davegan_tf.results import read_result

    seeds = {int(seed): result for seed, result in known.items()}
    seeds |= {job.seed: read_result(job, runs) for job in jobs}
    return {str(seed): seeds[seed] for seed in sorted(seeds)}


def write_figure3(runs, out):
    """OUT/figure3.json, .png and .md by what has finished in the folder ``runs``."""
    from davegan_tf import beta_study
    from davegan_tf.beta_figures import figure_3
    from davegan_tf.files import write_text

    results = [beta_study.read_point(point, runs) for point in beta_study.finished(runs)]
    write_text(out / "figure3.json", json.dumps(results, indent=1) + "\n")
    figure_3(out / "figure3.png", results)
    document = beta_study.figure_3_document(results, ellipses_commands("figure3", results))
    write_text(out / "figure3.md", document)


def write_figure4(points, runs, out):
    """OUT/figure4.md and the pictures of OUT/figure4 of these finished runs."""
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
    document = beta_study.figure_4_document(results, ellipses_commands("figure4", results))
    write_text(out / "figure4.md", document)
    click.echo(f"wrote {out / 'figure4.md'}")


def commands(name, option, results):
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


def ellipses_commands(name, results):
    """The command lines that make these results: one for each length, and for runs with other seeds or changes."""
    import numpy as np

    seeds, betas = {}, {}
    for each in results:
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
