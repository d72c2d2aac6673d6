"""An image as an argument of a command: how it is parted into phases, and whether it suits the run's model.

Everything that can be wrong with it is found before TensorFlow is imported.
"""

import click


def segmentation_options(command):
    """``--threshold`` and ``--phases``, for :func:`load_image`."""
    threshold = click.option(
        "--threshold",
        callback=_threshold,
        help="For a grey image: otsu or a grey level. [default: the run's, for its own source]",
    )
    phases = click.option(
        "--phases", type=click.IntRange(2, 8), help="For a grey image: number of phases."
    )
    return threshold(phases(command))


def load_image(folder, image, threshold=None, phases=None, count=1):
    """The image as a micrograph with the phases of a run's model, not smaller than its images.

    Parameters
    ----------
    folder : davegan_tf.run_folder.RunFolder
    image : str
        A file or the name of a micrograph or generator.
    threshold, phases : optional
        Of :func:`segmentation_options`; by default the run's, for its own source.
    count : int
        Images of the generator ``ellipses``.

    Returns
    -------
    davegan_tf.micrographs.Micrograph

    Raises
    ------
    InputError
        If it can't be had, is too small or has other phases.
    """
    from davegan_tf.errors import InputError
    from davegan_tf.micrographs import load_micrograph

    if threshold is not None and phases is not None:
        raise InputError("--threshold and --phases contradict each other; give one of them.")
    config = folder.read_config()
    side, n_phases = config.data.image_size, folder.read_manifest()["data"]["n_phases"]
    if threshold is None and phases is None and image == config.data.source:
        threshold, phases = config.data.threshold, config.data.phases
    micrograph = load_micrograph(
        image,
        threshold=threshold,
        phases=phases,
        micrograph_size=config.data.micrograph_size,
        count=count,
        generator_seed=config.data.generator_seed,
        min_side=side,
    )
    height, width = micrograph.images.shape[1:]
    if min(height, width) < side:
        raise InputError(
            f"{image}: is too small, {height} × {width} pixels; the model's images have {side} × {side}."
        )
    if micrograph.n_phases != n_phases:
        raise InputError(
            f"{image}: has {micrograph.n_phases} phases, but the model of {folder.path} was trained on"
            f" {n_phases}; give an image with {n_phases} (see --threshold and --phases)."
        )
    return micrograph


def _threshold(ctx, parameter, value):
    if value in (None, "otsu"):
        return value
    try:
        return float(value)
    except ValueError:
        raise click.BadParameter(f"{value}: expected otsu or a number.") from None
