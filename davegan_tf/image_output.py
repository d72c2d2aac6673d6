"""Phase labels → files: NPY, TIFF, VTK image data, one PNG or a folder of PNGs."""

import io
import os
import unicodedata

import imageio.v3 as iio
import numpy as np
import tifffile

from davegan_tf.errors import InputError
from davegan_tf.figures import image_grid, save_png, to_grey
from davegan_tf.files import atomic_folder, atomic_path, check_new_folder, check_writable
from davegan_tf.vtk_output import check_series, write_vti

SUFFIXES = (".npy", ".png", ".tif", ".tiff", ".vti")
# A PNG could, but programs would then lay it out at its real size: a few micrometres.
HOLD_PIXEL_SIZE = (".tif", ".tiff", ".vti")

# Micro sign and Ångström sign are normalised to letters first.
_CENTIMETRES = {
    "m": 100,
    "cm": 1,
    "mm": 1e-1,
    "um": 1e-4,
    "μm": 1e-4,
    "micron": 1e-4,
    "nm": 1e-7,
    "Å": 1e-8,
    "pm": 1e-10,
}


def check_output(path, count=1, pixel_size=None, unit=None, fewer=False):
    """Raise InputError now if :func:`write_labels` could not write to ``path`` later.

    Parameters
    ----------
    path : Path
    count : int
        How many images there will be.
    pixel_size, unit : optional
        As of :func:`write_labels`.
    fewer : bool
        Whether there may be fewer in the end.
    """
    if path.suffix.lower() in SUFFIXES:
        if path.is_dir():
            raise InputError(f"--out {path}: is a folder; give the name of a file in it.")
    elif path.suffix:
        raise InputError(
            f"--out {path}: {path.suffix} can't be written; end the name in .npy, .png, .tif, .vti, or"
            " give a folder (a name without ending) for one PNG an image."
        )
    else:
        check_new_folder(path)
    if path.suffix.lower() == ".vti":
        check_series(path, count, fewer)
    elif path.suffix.lower() in HOLD_PIXEL_SIZE:
        _resolution(path, pixel_size, unit)
    check_writable(path)


def write_labels(path, labels, n_phases, pixel_size=None, unit=None):
    """Write images of phase labels, at once or not at all; the ending of the name says how.

    Parameters
    ----------
    path : Path
        ``.npy``: the labels as they are, (n, height, width) uint8. ``.tif``: one page an image, labels as grey levels
        spread over 0 … 255. ``.vti``: the labels as :func:`davegan_tf.vtk_output.vti` writes them; several images are a
        numbered series, not one stack: they are no slices of a volume. ``.png``: all images in a grid (one image:
        itself). A name without ending: a folder with one PNG an image.
    labels : (n, height, width) uint8
    n_phases : int
    pixel_size : float, optional
        Side of a pixel. In ``.vti`` the spacing of the grid, in ``.tif`` the tags XResolution, YResolution and
        ResolutionUnit, in pixels per centimetre where ``unit`` is a length of the metric system; number and unit as
        they were given are in the tag ImageDescription. The other formats don't hold it.
    unit : str, optional

    Returns
    -------
    str
        What was written, for a message.

    Raises
    ------
    InputError
        If a TIFF can't hold the pixel size, or a file of another series would pass for a part of this one (``.vti``).
    """
    count, height, width = labels.shape
    what = f"{count} image{'s' if count > 1 else ''} of {height} × {width}"
    suffix = path.suffix.lower()
    if not suffix:
        with atomic_folder(path) as folder:
            for index, image in enumerate(to_grey(labels, n_phases)):
                iio.imwrite(folder / f"{index:0{len(str(count - 1))}d}.png", image)
        return f"{path}{os.sep} ({what}, a PNG each)"
    if suffix == ".png":
        save_png(path, to_grey(labels[0], n_phases) if count == 1 else image_grid(labels, n_phases))
        return f"{path} ({what}, labels as grey levels)"
    if suffix == ".vti":
        paths = write_vti(path, labels, pixel_size, unit)
        name = str(path) if count == 1 else f"{paths[0]} … {paths[-1].name}"
        pixel = (
            "spacing 1: the pixel size is not known"
            if pixel_size is None
            else f"spacing {_length(pixel_size, unit)}"
        )
        return f"{name} ({what}, labels 0 … {n_phases - 1} as cell data material, {pixel})"
    with atomic_path(path) as temporary:
        if suffix == ".npy":
            # Not straight to the file: NumPy does not say why it could not write (a full disk).
            buffer = io.BytesIO()
            np.save(buffer, labels)
            temporary.write_bytes(buffer.getbuffer())
            return f"{path} ({what}, labels 0 … {n_phases - 1})"
        resolution = _resolution(path, pixel_size, unit)
        tifffile.imwrite(
            temporary, to_grey(labels, n_phases), photometric="minisblack", **resolution
        )
        pixel = f", pixel {_length(pixel_size, unit)}" if resolution else ""
        return f"{path} ({what}, a page each, labels as grey levels{pixel})"


def _resolution(path, pixel_size, unit):
    """Arguments of tifffile; none without a pixel size."""
    if pixel_size is None:
        return {}
    centimetres = _CENTIMETRES.get(unicodedata.normalize("NFKC", unit or ""))
    side = pixel_size * (centimetres or 1)
    # Its inverse becomes a fraction of two numbers of 32 bits.
    if not 2.5e-10 <= side <= 1e9:
        raise InputError(
            f"--out {path}: TIFF can't hold a pixel size of {_length(pixel_size, unit)};"
            " give another unit, or a name that ends in .vti."
        )
    return {
        "resolution": (1 / side, 1 / side),
        "resolutionunit": "NONE" if centimetres is None else "CENTIMETER",
        "metadata": {"pixel_size": pixel_size, "unit": unit},
    }


def _length(pixel_size, unit):
    return f"{pixel_size:g} {unit or '(of an unknown unit)'}"
