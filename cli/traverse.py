"""`davegan traverse`: what each latent dimension does to an image (Figure 4)."""

from pathlib import Path

import click

from cli.image_argument import check_segmentation_used, segmentation_options
from cli.options import RUN, SEED, whole_numbers

MOST = 64
# So many dimensions are shown by default, and so many samples say which ones are active.
SHOWN, SAMPLES = 8, 256
FRAMES = 25


def _dimensions(ctx, parameter, value):
    if value is None:
        return None
    dimensions = whole_numbers(value, "dimensions", "0,3,5")
    if len(dimensions) > MOST:
        raise click.BadParameter(f"{len(dimensions)} are too many for a picture; give {MOST}")
    return dimensions


@click.command()
@RUN
@click.option("--image", help="Start at this image (file or name; of a larger one its upper left).")
@click.option("--tile", type=click.IntRange(0), help="Start at this tile of the training data.")
@click.option("--seed", type=SEED, help="Start at this sample. [default: 0]")
@click.option(
    "--dims",
    callback=_dimensions,
    help="Dimensions, comma-separated, from 0. [default: the 8 most active]",
)
@click.option(
    "--range",
    "limit",
    type=float,
    default=3.0,
    show_default=True,
    help="Largest absolute value of z, in standard deviations of the prior.",
)
@click.option(
    "--steps",
    type=click.IntRange(2, MOST),
    default=7,
    show_default=True,
    help="Images a dimension.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="FILE.png; the same, moving, goes to FILE.gif.",
)
@segmentation_options
def traverse(run, image, tile, seed, dims, limit, steps, out, threshold, phases):
    """Vary one latent dimension at a time, from −range to range, and keep the others.

    RUN is a run folder or a packaged model's name. A row of the picture is a dimension, a column the value it is set
    to. The others keep the values of the start: the first sample of a seed (which needs no micrograph), or what the
    encoder makes of an image. The paper's Figure 4 is --tile N. A grey image needs --threshold or --phases, unless it
    is the run's own source.
    """
    from cli.latent_point import check_pictures, of_image, of_seed, of_tile, title
    from davegan_tf.errors import InputError
    from davegan_tf.latent import check_dimensions, traversal_values
    from davegan_tf.packaged import find_run

    if sum(each is not None for each in (image, tile, seed)) > 1:
        raise InputError("--image, --tile and --seed contradict each other; give one of them.")
    images = [] if image is None else [image]
    check_segmentation_used(images, threshold, phases)
    folder = find_run(run)
    config, n_phases = folder.read_config(), folder.n_phases
    if dims is not None:
        check_dimensions(dims, config.model.latent_dim)
    values, moving_values = traversal_values(limit, steps), traversal_values(limit, FRAMES)
    gif = check_pictures(folder, out, ".gif", images)
    if image is not None:
        start = of_image(folder, image, threshold, phases)
    elif tile is not None:
        start = of_tile(folder, tile)
    else:
        start = of_seed(seed or 0)
    from davegan_tf.tensorflow_setup import start_tensorflow

    start_tensorflow()
    from davegan_tf import latent
    from davegan_tf.building import load_model
    from davegan_tf.dataset import encode_phases
    from davegan_tf.figures import to_grey
    from davegan_tf.inference import generate_labels
    from davegan_tf.latent_figures import shown, signed, traversal_animation, traversal_picture

    model, step = load_model(folder)
    z = start.z(model, n_phases)
    # Samples know the active dimensions as well as the training data do, which may not be at hand.
    samples = encode_phases(generate_labels(model, SAMPLES, seed=0), n_phases)
    activity = latent.kl_per_dimension(model, samples)
    if dims is None:
        dims = latent.order_of_dimensions(model, samples)[:SHOWN].tolist()
    rows = [f"z {i}, KL {activity[i]:.3g}\nstarts at {signed(z[i])}" for i in dims]
    starts = [(f"decoded from z of {start.name}", shown(latent.decode(model, z[None]))[0])]
    if start.labels is not None:
        starts.insert(0, (start.name, to_grey(start.labels, n_phases)))
    still = shown(latent.traverse(model, z, dims, limit, steps))
    moving = shown(latent.traverse(model, z, dims, limit, FRAMES))
    heading = f"{title(folder, step)}: one dimension of z at a time, the others kept; KL in nats"
    traversal_picture(out, still, values, rows, starts, heading)
    traversal_animation(gif, moving, moving_values, [f"z {i}" for i in dims])
    click.echo(f"{folder.describe()}, step {step}; start: {start.name}")
    listed = ", ".join(f"{i} ({activity[i]:.3g})" for i in dims)
    click.echo(f"dimensions, with what they know of an image in nats: {listed}")
    click.echo(f"wrote {out} and {gif}")
