"""`davegan interpolate`: from one microstructure to another, through the latent space."""

from pathlib import Path

import click

from cli.image_argument import check_segmentation_used, segmentation_options
from cli.options import RUN

MOST = 64
WAYS = ("straight in z", "pixels faded")


@click.command()
@RUN
@click.argument("a")
@click.argument("b")
@click.option(
    "--steps",
    type=click.IntRange(2, MOST),
    default=9,
    show_default=True,
    help="Images, with both ends.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="FILE.png; the numbers go to FILE.json.",
)
@segmentation_options
def interpolate(run, a, b, steps, out, threshold, phases):
    """Go from A to B on the straight line in the latent space, and measure the images on the way.

    RUN is a run folder or a packaged model's name. A and B are each a whole number, the seed of a
    sample; tile:N, a tile of the training data, counted from 0; or an image, a file or a name, of
    which the upper left corner is taken if it is larger. A grey image needs --threshold or --phases,
    unless it is the run's own source. Statistics are those of images rounded to
    phases. For comparison, dashed: the two decoded ends faded into each other pixel by pixel.
    """
    from cli.latent_point import check_pictures, is_image, of_text, title
    from davegan_tf.errors import InputError
    from davegan_tf.packaged import find_run

    images = [text for text in (a, b) if is_image(text)]
    check_segmentation_used(images, threshold, phases)
    folder = find_run(run)
    n_phases = folder.n_phases
    numbers = check_pictures(folder, out, ".json", images)
    ends = [of_text(folder, text, threshold, phases) for text in (a, b)]
    if ends[0].same_as(ends[1]):
        raise InputError(f"A and B are the same ({ends[0].name}); give two different ones.")
    from davegan_tf.tensorflow_setup import start_tensorflow

    start_tensorflow()
    import json

    import numpy as np

    from davegan_tf import latent
    from davegan_tf.building import load_model
    from davegan_tf.dataset import decode_phases
    from davegan_tf.figures import to_grey
    from davegan_tf.files import write_text
    from davegan_tf.latent_figures import interpolation_picture, shown

    model, step = load_model(folder)
    straight = latent.interpolate(model, *(end.z(model, n_phases) for end in ends), steps)
    faded = latent.straight_line(straight[0], straight[-1], steps)
    paths = dict(zip(WAYS, (straight, faded), strict=True))
    labels = {way: decode_phases(images) for way, images in paths.items()}
    statistics = {way: latent.statistics_along(each, n_phases) for way, each in labels.items()}
    result = {
        "run": folder.name,
        "step": step,
        "start": ends[0].name,
        "end": ends[1].name,
        "share_of_the_way": np.linspace(0, 1, steps).tolist(),
        **{way.replace(" ", "_"): each for way, each in statistics.items()},
    }
    interpolation_picture(
        out,
        {
            WAYS[0]: shown(straight),
            f"{WAYS[1]}, rounded to phases": to_grey(labels[WAYS[1]], n_phases),
        },
        statistics,
        [(end.name, None if end.labels is None else to_grey(end.labels, n_phases)) for end in ends],
        f"{title(folder, step)}: from A to B",
    )
    write_text(numbers, json.dumps(result, indent=2) + "\n")
    click.echo(f"{folder.describe()}, step {step}; A: {ends[0].name}; B: {ends[1].name}")
    click.echo(f"wrote {out} and {numbers}")
