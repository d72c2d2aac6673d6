"""`davegan generate`: new microstructures from the prior."""

from pathlib import Path

import click

from cli.image_argument import check_not_replaced
from cli.options import RUN, SEED
from cli.pixel_size import find_pixel_size, pixel_size_options

# More don't fit into the memory; a slip of the keyboard is found at once.
MOST = 1_000_000


@click.command()
@RUN
@click.option(
    "--count", type=click.IntRange(1, MOST), default=16, show_default=True, help="How many."
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of z.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="FILE.npy (labels), FILE.png (a grid), FILE.tif (a page each), FILE.vti (for ParaView and DAMASK; of several "
    "images FILE_000.vti, …) or a folder (a PNG each).",
)
@pixel_size_options
@click.option(
    "--filter",
    "filter_size",
    type=click.IntRange(1),
    default=1,
    help="Side in pixels, odd, of a majority filter against stray pixels. [default: none]",
)
def generate(run, count, seed, out, pixel_size, unit, filter_size):
    """Make new microstructures: decode z ~ N(0, 1) with a model: RUN is a run folder or a packaged model's name.

    The same seed gives the same microstructures, as many as you ask for. In a .vti file the phases are the cell data
    `material`, and a cell is as large as a pixel, or 1 where that is not known. DAMASK takes lengths for metres:
    --pixel-size 5e-7 --unit m.
    """
    from davegan_tf.image_output import check_output, write_labels
    from davegan_tf.packaged import find_run
    from davegan_tf.postprocessing import check_size, majority_filter

    folder = find_run(run)
    data = folder.read_manifest()["data"]
    pixel_size, unit = find_pixel_size(folder.read_config().data, pixel_size, unit, out)
    check_output(out, count, pixel_size, unit)
    check_not_replaced(folder, [out])
    check_size(filter_size)
    from davegan_tf.tensorflow_setup import start_tensorflow

    start_tensorflow()
    from davegan_tf.building import load_model
    from davegan_tf.inference import generate_labels

    model, step = load_model(folder)
    labels = generate_labels(model, count, seed)
    labels = majority_filter(labels, data["n_phases"], filter_size)
    written = write_labels(out, labels, data["n_phases"], pixel_size, unit)
    fractions = ", ".join(f"{(labels == phase).mean():.3f}" for phase in range(1, data["n_phases"]))
    click.echo(f"{folder.describe()}, step {step}; volume fraction of phase 1 …: {fractions}")
    click.echo(f"wrote {written}")
