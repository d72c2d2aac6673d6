"""An image as an argument of a command: how it is parted into phases, and whether it suits the run's model.

Everything that can be wrong with it is found before TensorFlow is imported.
"""

import contextlib
import functools
import os
import re

import click

from davegan_tf.errors import InputError
from davegan_tf.limits import MOST_PHASES


def segmentation_options(command):
    """``--threshold`` and ``--phases``, for :func:`load_image`; InputError if both are given."""

    @functools.wraps(command)
    def checked(*args, threshold, phases, **others):
        if threshold is not None and phases is not None:
            raise InputError("--threshold and --phases contradict each other; give one of them.")
        return command(*args, threshold=threshold, phases=phases, **others)

    threshold = click.option(
        "--threshold",
        callback=_threshold,
        help="Two phases of a grey image: otsu or a grey level.",
    )
    phases = click.option(
        "--phases",
        type=click.IntRange(2, MOST_PHASES),
        help="Number of phases of a grey image (multi-Otsu).",
    )
    return threshold(phases(checked))


def check_segmentation_used(images, threshold, phases):
    """Raise InputError if an option of :func:`segmentation_options` is given, but no image that it could be for."""
    given = {"--threshold": threshold, "--phases": phases}
    for option, value in given.items():
        if value is not None and not images:
            raise InputError(
                f"{option} {value}: is for an image, and none is given; give one, or leave {option} out."
            )


@contextlib.contextmanager
def keys_as_options(*others):
    """The library's errors name keys of a config; in this block ``data.threshold`` becomes ``--threshold``.

    Parameters
    ----------
    *others : str
        Keys of ``data`` that the command has options for besides those of :func:`segmentation_options`.
    """
    try:
        yield
    except InputError as error:
        said = str(error).removeprefix("data.source: ")
        for key in ("threshold", "phases", *others):
            said = re.sub(rf"\bdata\.{key}\b", f"--{key.replace('_', '-')}", said)
        # The size of a trained model's images is what it is.
        raise InputError(said.replace(" or a smaller data.image_size", "")) from error


def check_not_read(path, sources, role="read"):
    """Raise InputError if writing ``path`` would replace a file that is read.

    Parameters
    ----------
    path : Path
    sources : sequence of str
        Arguments that may be files, or names of micrographs.
    role : str
        What they are, for the message.
    """
    from davegan_tf.registry import NAMED, places

    if not path.exists():
        return
    for source in sources:
        named = source in NAMED
        files = places(source) if named else [os.path.expanduser(source)]
        if os.path.realpath(path) in map(os.path.realpath, files):
            what = f"the micrograph {source}" if named else source
            raise InputError(
                f"--out {path}: would replace {what}, which is {role}; choose another name."
            )


def check_not_replaced(folder, paths, images=()):
    """Raise InputError if a file to be written would replace an image that is read, or the run's own micrograph.

    Parameters
    ----------
    folder : davegan_tf.run_folder.RunFolder
    paths : sequence of Path
        The files to be written, all of them.
    images : sequence of str
        Arguments that are images: files or names.
    """
    source = folder.read_config().data.source
    for path in paths:
        check_not_read(path, images)
        check_not_read(path, [source], "the run's data.source")


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
    from davegan_tf.micrographs import load_micrograph

    config = folder.read_config()
    side, n_phases = config.data.image_size, folder.n_phases
    as_options = keys_as_options()
    if threshold is None and phases is None and _same_source(image, config.data.source):
        threshold, phases = config.data.threshold, config.data.phases
        as_options = contextlib.nullcontext()
    with as_options:
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


def _same_source(one, other):
    """Whether both are one name, or one file however it is written."""
    from davegan_tf.micrographs import NAMED
    from davegan_tf.synthetic import GENERATORS

    if {one, other} & {*NAMED, *GENERATORS}:
        return one == other
    one, other = (os.path.realpath(os.path.expanduser(each)) for each in (one, other))
    return one == other


def _threshold(ctx, parameter, value):
    if value in (None, "otsu"):
        return value
    try:
        return float(value)
    except ValueError:
        raise click.BadParameter(f"{value}: expected otsu or a number.") from None
