"""`davegan reconstruct`: encode an image and decode it again."""

from pathlib import Path

import click

from cli.image_argument import check_not_replaced, load_image, segmentation_options
from cli.options import RUN
from cli.pixel_size import find_pixel_size, pixel_size_options


@click.command()
@RUN
@click.argument("image")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="FILE.npy (labels), FILE.png, FILE.tif, FILE.vti (for ParaView and DAMASK) or a folder (a PNG each).",
)
@pixel_size_options
@segmentation_options
def reconstruct(run, image, out, pixel_size, unit, threshold, phases):
    """Reconstruct an IMAGE (file or name): decode(encode(x)).

    RUN is a run folder or a packaged model's name.

    An image larger than the model's is cut into tiles and put together again. A grey one needs --threshold or --phases,
    unless it is the run's own source.
    """
    from davegan_tf.image_output import check_output, write_labels
    from davegan_tf.packaged import find_run

    folder = find_run(run)
    config = folder.read_config()
    pixel_size, unit = find_pixel_size(config.data, pixel_size, unit, out)
    check_output(out, pixel_size=pixel_size, unit=unit)
    check_not_replaced(folder, [out], [image])
    micrograph = load_image(folder, image, threshold, phases, count=16)
    check_output(out, len(micrograph.images), pixel_size, unit)
    from davegan_tf.tensorflow_setup import start_tensorflow

    start_tensorflow()
    import numpy as np

    from davegan_tf.building import load_model
    from davegan_tf.inference import reconstruct_image

    model, _ = load_model(folder)
    labels = np.stack(
        [reconstruct_image(model, each, micrograph.n_phases) for each in micrograph.images]
    )
    written = write_labels(out, labels, micrograph.n_phases, pixel_size, unit)
    click.echo(f"segmentation: {micrograph.segmentation}")
    click.echo(f"pixels as in the original: {(labels == micrograph.images).mean():.2%}")
    click.echo(f"wrote {written}")
