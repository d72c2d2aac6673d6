"""`davegan find`: structures of the prior that have given properties."""

import math
from pathlib import Path

import click

from cli.image_argument import check_not_replaced
from cli.options import RUN, SEED
from cli.pixel_size import find_pixel_size, pixel_size_options

# Each is refined for itself.
MOST = 256


def _values_by_name(ctx, parameter, texts):
    """``("a=1", "b=2")`` → {"a": 1.0, "b": 2.0}."""
    values = {}
    for text in texts:
        name, _, number = (part.strip() for part in text.partition("="))
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise click.BadParameter(
                f'"{text}": expected NAME=NUMBER, such as volume_fraction=0.25'
            )
        if name in values:
            raise click.BadParameter(f"{name} is given twice; give it once")
        values[name] = value
    return values


@click.command()
@RUN
@click.option(
    "--target",
    "targets",
    multiple=True,
    required=True,
    callback=_values_by_name,
    metavar="NAME=NUMBER",
    help="Property and its value, such as volume_fraction=0.25; may be repeated for others.",
)
@click.option(
    "--tolerance",
    "tolerances",
    multiple=True,
    callback=_values_by_name,
    metavar="NAME=NUMBER",
    help="Error that is small enough. [default: 0.01; of interface_density 0.001]",
)
@click.option(
    "--count",
    type=click.IntRange(1, MOST),
    default=8,
    show_default=True,
    help="Different structures.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of the search.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="found.png",
    show_default=True,
    help="FILE.npy (labels), FILE.png (a grid), FILE.tif (a page each), FILE.vti (a file each) or a folder (a PNG "
    "each); z and all properties go to FILE.npz.",
)
@pixel_size_options
def find(run, targets, tolerances, count, seed, out, pixel_size, unit):
    """Find microstructures with given properties, among those that a model makes.

    RUN is a run folder or a packaged model's name. Properties are volume_fraction (of phase 1), interface_density
    (crossings per pixel) and anisotropy of S2, (l_h - l_v) / (l_h + l_v) of the correlation lengths along rows and
    columns; of three or more phases also those of the others, such as volume_fraction_2. Of several targets, errors are
    compared in units of what the properties vary among samples.

    A map from z to the properties is fitted to samples, promising z of the prior are decoded, and the best refined.
    The density rank tells how usual the z is: the share of the prior's samples where its density is lower. Where the
    model makes no such structure, it says so and gives the nearest.
    """
    from davegan_tf import properties
    from davegan_tf.errors import InputError
    from davegan_tf.files import check_writable
    from davegan_tf.image_output import check_output, write_labels
    from davegan_tf.packaged import find_run

    folder = find_run(run)
    n_phases = folder.n_phases
    properties.check_names([*targets, *tolerances], n_phases)
    for name, value in targets.items():
        properties.check_value(name, value)
    for name, value in tolerances.items():
        if name not in targets or value <= 0:
            raise InputError(
                f"--tolerance {name}={value:g}: expected a number above 0 for a property that is a --target."
            )
    tolerances = {name: tolerances.get(name, properties.tolerance(name)) for name in targets}
    pixel_size, unit = find_pixel_size(folder.read_config().data, pixel_size, unit, out)
    check_output(out, count, pixel_size, unit, fewer=True)
    numbers = out.with_suffix(".npz")
    if numbers.is_dir():
        raise InputError(f"--out {out}: {numbers} is a folder; choose another name.")
    check_not_replaced(folder, [out, numbers])
    check_writable(numbers)
    from davegan_tf.tensorflow_setup import start_tensorflow

    start_tensorflow()
    import numpy as np

    from davegan_tf.building import load_model
    from davegan_tf.files import atomic_path
    from davegan_tf.linkage import find as find_structures
    from davegan_tf.linkage import linkage

    model, step = load_model(folder)
    fitted = linkage(model, n_phases, list(targets), seed=seed)
    found = find_structures(model, n_phases, fitted, targets, count, seed)
    names = properties.names(n_phases)
    values = dict(zip(names, properties.measure(found.labels, names, n_phases).T, strict=True))
    errors = found.values - np.array(list(targets.values()))
    within = (np.abs(errors) <= list(tolerances.values())).all(axis=1)
    written = write_labels(out, found.labels, n_phases, pixel_size, unit)
    with atomic_path(numbers) as temporary:
        np.savez_compressed(temporary, z=found.z, density_rank=found.density_rank, **values)

    click.echo(f"{folder.describe()}, step {step}")
    click.echo(f"predicted from z, of {len(fitted.z)} samples: {_fit(fitted)}")
    click.echo(
        "structure  " + "  ".join(f"{name:>17}     error" for name in targets) + "  density rank"
    )
    for number, (row, error) in enumerate(zip(found.values, errors, strict=True)):
        cells = "  ".join(f"{a:17.4f}  {b:+8.4f}" for a, b in zip(row, error, strict=True))
        click.echo(f"{number:9}  {cells}  {found.density_rank[number]:12.2f}")
    limit = ", ".join(f"{name} ±{value:g}" for name, value in tolerances.items())
    if len(within) < count:
        click.echo(
            f"found {len(within)} different structures, not {count}: of those looked at there are no more"
        )
    click.echo(f"within {limit}: {within.sum()} of {len(within)}")
    click.echo(f"wrote {written} and {numbers} (z, its density rank and all properties)")
    if not within.any():
        click.echo(_not_reached(fitted, targets, found.values[0], errors[0]))


def _fit(fitted):
    return ", ".join(
        f"{name} never changes" if math.isnan(r2) else f"{name} with R² {r2:.2f}"
        for name, r2 in zip(fitted.names, fitted.r2, strict=True)
    )


def _not_reached(fitted, targets, nearest, errors):
    """The sentence for a target that no structure comes near enough to; all of the names of `fitted`."""
    wanted = " with ".join(f"{name}={value:g}" for name, value in targets.items())
    seen = ", ".join(
        f"{name} {low:.4g} to {high:.4g}"
        for name, low, high in zip(fitted.names, fitted.low, fitted.high, strict=True)
    )
    reached = ", ".join(
        f"{name}={value:.4g} ({error:+.4g})"
        for name, value, error in zip(targets, nearest, errors, strict=True)
    )
    ranges = dict(zip(fitted.names, zip(fitted.low, fitted.high, strict=True), strict=True))
    inside = all(ranges[name][0] <= value <= ranges[name][1] for name, value in targets.items())
    what = (
        f"NOT WITHIN THE TOLERANCE: {wanted} was not met, though samples of this model have {seen}"
        if inside
        else f"OUT OF REACH: {wanted} lies outside what this model makes (samples have {seen})"
    )
    return f"{what}; the nearest structure found has {reached}."
