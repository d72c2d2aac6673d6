"""Phase labels → files: NPY, TIFF, one PNG or a folder of PNGs."""

import io
import os

import imageio.v3 as iio
import numpy as np
import tifffile

from davegan_tf.errors import InputError
from davegan_tf.figures import image_grid, save_png, to_grey
from davegan_tf.files import atomic_folder, atomic_path, check_new_folder, check_writable

SUFFIXES = (".npy", ".png", ".tif", ".tiff")


def check_output(path):
    """Raise InputError now if :func:`write_labels` could not write to ``path`` later.

    Parameters
    ----------
    path : Path
    """
    if path.suffix.lower() in SUFFIXES:
        if path.is_dir():
            raise InputError(f"--out {path}: is a folder; give the name of a file in it.")
    elif path.suffix:
        raise InputError(
            f"--out {path}: {path.suffix} can't be written; end the name in .npy, .png, .tif, or give"
            " a folder (a name without ending) for one PNG an image."
        )
    else:
        check_new_folder(path)
    check_writable(path)


def write_labels(path, labels, n_phases):
    """Write images of phase labels, at once or not at all; the ending of the name says how.

    Parameters
    ----------
    path : Path
        ``.npy``: the labels as they are, (n, height, width) uint8. ``.tif``: one page an image, labels as grey levels
        spread over 0 … 255. ``.png``: all images in a grid (one image: itself). A name without ending: a folder with
        one PNG an image.
    labels : (n, height, width) uint8
    n_phases : int

    Returns
    -------
    str
        What was written, for a message.
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
    with atomic_path(path) as temporary:
        if suffix == ".npy":
            # Not straight to the file: NumPy does not say why it could not write (a full disk).
            buffer = io.BytesIO()
            np.save(buffer, labels)
            temporary.write_bytes(buffer.getbuffer())
            return f"{path} ({what}, labels 0 … {n_phases - 1})"
        tifffile.imwrite(temporary, to_grey(labels, n_phases), photometric="minisblack")
        return f"{path} ({what}, a page each, labels as grey levels)"
