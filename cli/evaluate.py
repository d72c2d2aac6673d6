"""`davegan evaluate`: the measures of Section 4.1 beside their baselines."""

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--count", type=click.IntRange(2), default=256, show_default=True, help="Samples to measure."
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    show_default=True,
    help="Of z and crops.",
)
def evaluate(run, count, seed):
    """Measure reconstructions and samples of a RUN folder's model against its micrograph.

    Prints a table and writes evaluation.json into the run folder.
    """
    from davegan_tf.micrographs import load_from_config
    from davegan_tf.run_folder import RunFolder

    folder = RunFolder(run).require()
    config = folder.read_config()
    micrograph = load_from_config(config)
    folder.check_data(micrograph)
    from cli.quiet_tensorflow import start_tensorflow

    start_tensorflow(config.training.threads)
    import json

    from davegan_tf.building import load_model
    from davegan_tf.dataset import BatchPositions, cut
    from davegan_tf.evaluation import evaluate as measure
    from davegan_tf.evaluation import format_table
    from davegan_tf.files import write_text
    from davegan_tf.inference import generate_labels, reconstruct_labels
    from davegan_tf.training import training_tiles

    model, step = load_model(folder)
    side, shape = config.data.image_size, micrograph.images.shape
    tiles = training_tiles(config, micrograph)[:MOST_TILES]
    crops = BatchPositions(shape, side, "crops", 2 * count, seed).positions(0, 1)[0]
    result = measure(
        tiles,
        reconstruct_labels(model, tiles, micrograph.n_phases),
        generate_labels(model, count, seed),
        n_phases=micrograph.n_phases,
        crops=cut(micrograph.images, crops, side),
        seed=seed,
    )
    result = {"data": micrograph.title, "step": step, **result}
    write_text(folder.evaluation, json.dumps(result, indent=2) + "\n")
    click.echo(f"{folder.describe()}, step {step}")
    # A stand-in has the name of its generator, for which the paper has no figures.
    click.echo(format_table(result, paper=micrograph.name))
    click.echo(f"wrote {folder.evaluation}")


# Of the 60,000 images of Section 4.2, so many are enough for a mean.
MOST_TILES = 256
