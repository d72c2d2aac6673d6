"""`davegan reconstruct`: encode an image and decode it again."""

from pathlib import Path

import click

from cli.pixel_size import find_pixel_size, pixel_size_options


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("image")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="FILE.npy (labels), FILE.png, FILE.tif, FILE.vti (for ParaView and DAMASK) or a folder (a PNG each).",
)
@pixel_size_options
@click.option(
    "--threshold",
    help="For a grey image: otsu or a grey level. [default: the run's, for its own source]",
)
@click.option("--phases", type=click.IntRange(2, 8), help="For a grey image: number of phases.")
def reconstruct(run, image, out, pixel_size, unit, threshold, phases):
    """Reconstruct an IMAGE (file or name): decode(encode(x)).

    RUN is a run folder or a packaged model's name.

    An image larger than the model's is cut into tiles and put together again.
    """
    from davegan_tf.errors import InputError
    from davegan_tf.files import check_not_read
    from davegan_tf.image_output import check_output, write_labels
    from davegan_tf.micrographs import load_micrograph
    from davegan_tf.packaged import find_run

    folder = find_run(run)
    config = folder.read_config()
    pixel_size, unit = find_pixel_size(config.data, pixel_size, unit, out)
    check_output(out, pixel_size=pixel_size, unit=unit)
    check_not_read(out, [image])
    if threshold is None and phases is None and image == config.data.source:
        threshold, phases = config.data.threshold, config.data.phases
    elif threshold is not None and phases is not None:
        raise InputError("--threshold and --phases contradict each other; give one of them.")
    if threshold not in (None, "otsu"):
        try:
            threshold = float(threshold)
        except ValueError:
            raise InputError(f"--threshold {threshold}: expected otsu or a number.") from None
    n_phases = folder.read_manifest()["data"]["n_phases"]
    micrograph = load_micrograph(
        image,
        threshold=threshold,
        phases=phases,
        micrograph_size=config.data.micrograph_size,
        generator_seed=config.data.generator_seed,
        count=16,
        min_side=config.data.image_size,
    )
    side, (height, width) = config.data.image_size, micrograph.images.shape[1:]
    if min(height, width) < side:
        raise InputError(
            f"{image}: is too small, {height} × {width} pixels; the model's images have {side} × {side}."
        )
    if micrograph.n_phases != n_phases:
        raise InputError(
            f"{image}: has {micrograph.n_phases} phases, but the model of {run} was trained on"
            f" {n_phases}; give an image with {n_phases} (see --threshold and --phases)."
        )
    check_output(out, len(micrograph.images), pixel_size, unit)
    from cli.quiet_tensorflow import start_tensorflow

    start_tensorflow()
    import numpy as np

    from davegan_tf.building import load_model
    from davegan_tf.inference import reconstruct_image

    model, _ = load_model(folder)
    labels = np.stack([reconstruct_image(model, each, n_phases) for each in micrograph.images])
    written = write_labels(out, labels, n_phases, pixel_size, unit)
    click.echo(f"segmentation: {micrograph.segmentation}")
    click.echo(f"pixels as in the original: {(labels == micrograph.images).mean():.2%}")
    click.echo(f"wrote {written}")
