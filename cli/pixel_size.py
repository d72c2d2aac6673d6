"""The pixel size of what a command writes: `--pixel-size` and `--unit`, else the config's."""

import math

import click


def pixel_size_options(command):
    """``--pixel-size`` and ``--unit``; pass their values to :func:`find_pixel_size`."""
    pixel_size = click.option(
        "--pixel-size",
        type=float,
        callback=_above_zero,
        help="Side of a pixel, for .vti and .tif. [default: data.pixel_size of the run's config]",
    )
    unit = click.option(
        "--unit", help="Of --pixel-size, such as um. [default: data.unit of the config]"
    )
    return pixel_size(unit(command))


def find_pixel_size(data, pixel_size, unit, out):
    """What was given, else what the config says.

    Parameters
    ----------
    data : davegan_tf.config.Data
    pixel_size : float or None
    unit : str or None
        The options' values.
    out : Path
        The file to write.

    Returns
    -------
    pixel_size : float or None
        None: not known.
    unit : str or None

    Raises
    ------
    InputError
        Where an option would be of no effect.
    """
    from davegan_tf.errors import InputError
    from davegan_tf.image_output import HOLD_PIXEL_SIZE

    if pixel_size is None:
        if unit is not None:
            raise InputError(f"--unit {unit}: is the unit of --pixel-size; give both.")
        return data.pixel_size, data.unit
    if out.suffix.lower() not in HOLD_PIXEL_SIZE:
        raise InputError(
            f"--pixel-size {pixel_size:g}: {out} would not hold it; end the name in .vti or .tif."
        )
    if unit is not None and not (unit.strip() and unit.isprintable()):
        raise InputError(f"--unit {unit!r}: expected the name of a unit, such as um or nm.")
    return pixel_size, data.unit if unit is None else unit.strip()


def _above_zero(ctx, parameter, value):
    if value is not None and not (value > 0 and math.isfinite(value)):
        raise click.BadParameter(f"{value:g}: expected a number above 0")
    return value
