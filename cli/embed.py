"""`davegan embed`: the training images as points of the latent space, in TensorBoard's projector."""

from pathlib import Path

import click

from cli.options import RUN, SEED


@click.command()
@RUN
@click.option(
    "--count",
    type=click.IntRange(3, 10_000),
    default=1000,
    show_default=True,
    help="Points at most: all tiles, then crops at random.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of the crops.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder; an older embedding in it is replaced. [default: tb_logs/NAME/projector]",
)
def embed(run, count, seed, out):
    """Encode pieces of the training data and show their z in TensorBoard, in the tab Projector.

    RUN is a run folder or a packaged model's name. Each point is the posterior mean of a tile or
    crop, with a thumbnail, its volume fractions, interface density and place.
    """
    from cli.latent_point import title
    from davegan_tf.packaged import find_run
    from davegan_tf.projector import check_folder, choose_places

    folder = find_run(run)
    logs = out or "tb_logs"
    out = out or Path("tb_logs") / folder.name / "projector"
    check_folder(out)
    micrograph = folder.load_micrograph()
    from davegan_tf.tensorflow_setup import start_tensorflow

    start_tensorflow()
    from davegan_tf.building import load_model
    from davegan_tf.dataset import cut, encode_phases
    from davegan_tf.latent import encode
    from davegan_tf.projector import metadata, sprite, write_embedding

    model, step = load_model(folder)
    side, n_phases = folder.read_config().data.image_size, micrograph.n_phases
    places, n_tiles = choose_places(micrograph.images.shape, side, count, seed)
    labels = cut(micrograph.images, places, side)
    z_mean, _ = encode(model, encode_phases(labels, n_phases))
    what = f"{n_tiles} tiles and {len(places) - n_tiles} crops of {micrograph.title}"
    write_embedding(
        out,
        z_mean,
        metadata(labels, n_phases, places, n_tiles),
        *sprite(labels, n_phases),
        f"{title(folder, step)}: z_mean of {what}",
    )
    click.echo(
        f"{folder.describe()}, step {step}: {what} as points of {z_mean.shape[1]} dimensions"
    )
    click.echo(f"wrote {out}")
    click.echo(f"to see it: tensorboard --logdir {logs}, then http://localhost:6006/#projector")
