"""Image files → the grey values in them: PNG, TIFF, BMP, JPEG and NPY.

What a file is, is told from its first bytes, not from its name.
"""

import re
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from davegan_tf.errors import InputError
from davegan_tf.limits import MOST_PHASES

READABLE = "PNG, TIFF, BMP, JPEG or NPY"
# Rec. 709 luminance of red, green and blue, as in scikit-image's rgb2gray.
LUMINANCE = (0.2125, 0.7154, 0.0721)


@dataclass(frozen=True)
class GreyImage:
    """What was read from a file.

    values : (height, width) bool, int or float, finite; the units of the file, e.g. 0 … 255
    lossy : True where compression has altered the values, so that few distinct ones mean nothing
    notes : what was done to the values, phrases to be shown to the user
    """

    values: np.ndarray
    lossy: bool = False
    notes: tuple[str, ...] = ()


def read_image(path: str | Path) -> GreyImage:
    """Read one grey image; colours become luminance, an opaque alpha channel is dropped.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    GreyImage

    Raises
    ------
    InputError
        If the file is missing, empty, damaged, not an image of the kinds above, a stack, holds
        objects, complex numbers, NaN or infinity, or has an alpha channel that varies.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; give the path of a {READABLE} file.") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; give one {READABLE} file in it.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror or error}).") from None
    if not start:
        raise InputError(f"{path} is empty (0 bytes); give a {READABLE} file with one image.")

    if start.startswith(b"\x93NUMPY"):
        image = GreyImage(_read_npy(path))
    elif start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        image = _read_tiff(path)
    elif start.startswith((b"\x89PNG", b"BM", b"\xff\xd8\xff")):
        image = _read_pillow(path)
    elif start.startswith(b"PK"):
        raise InputError(
            f"{path} is an archive, not an image; if it is a .npz file, save the one array in it "
            "that is the micrograph with numpy.save and give that .npy file."
        )
    else:
        raise InputError(f"{path} is not an image that can be read; give a {READABLE} file.")
    return _to_grey(image, path)


def _damaged(path: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return InputError(
        f"{path} is damaged or truncated and cannot be read ({reason}); export or copy it again."
    )


def _read_npy(path: Path) -> np.ndarray:
    try:
        with path.open("rb") as file:
            # Pickled objects could run any code on loading, so they are never loaded.
            array = np.lib.format.read_array(file, allow_pickle=False)
    except MemoryError:
        raise
    except Exception as error:  # another one for every kind of damage, of tokenize among them
        if "Object arrays" in str(error):
            raise InputError(
                f"{path} holds Python objects (a pickled array), which are not loaded for safety; "
                "save a plain integer array of shape (height, width) with numpy.save."
            ) from None
        raise _damaged(path, error) from None
    return array


def _read_tiff(path: Path) -> GreyImage:
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            # Reduced copies of the same image (thumbnails, pyramids) are not further images.
            pages = [page for page in tiff.pages if not page.is_reduced]
            if len(pages) != 1:
                raise _several(path, len(pages), "pages")
            page = pages[0]
            # JPEG in its many kinds, and WebP; some may be lossless, which can't be told from here.
            lossy = any(kind in page.compression.name for kind in ("JPEG", "JP2000", "WEBP"))
            colours = page.photometric.name if page.photometric is not None else "MINISBLACK"
            # In these tifffile leaves values as they are stored, of a palette, of printing inks, …
            if colours not in ("MINISBLACK", "MINISWHITE", "RGB"):
                return replace(_read_pillow(path), lossy=lossy)
            array = page.asarray()
            if page.axes == "SYX":
                array = np.moveaxis(array, 0, -1)
            elif page.axes not in ("YX", "YXS"):
                raise InputError(
                    f"{path} holds a stack of shape {array.shape}; give a TIFF with one image."
                )
            array = _upright(array, page.tags.valueof("Orientation"))
            if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
                # What one sees counts: bright is high.
                array = ~array if array.dtype.kind in "bu" else -array
                return GreyImage(array, lossy, ("values inverted, as 0 is white in this TIFF",))
            return GreyImage(array, lossy)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # damaged files raise whatever the decoder tripped over
        raise _damaged(path, error) from None


def _upright(array: np.ndarray, orientation: int | None) -> np.ndarray:
    """As one sees it, what is stored (height, width, …) with this value of TIFF's tag Orientation."""
    if orientation in (3, 4, 6, 7):
        array = array[::-1]
    if orientation in (2, 3, 7, 8):
        array = array[:, ::-1]
    return array.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else array


def _several(path: Path, count: int, what: str) -> InputError:
    return InputError(
        f"{path} holds {count} {what}; give a file with exactly one (DA-VEGAN learns from a single "
        "2D micrograph: export the one you mean)."
    )


def _read_pillow(path: Path) -> GreyImage:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large images; stitched ones are large
            with Image.open(path, formats=("PNG", "BMP", "JPEG", "TIFF")) as image:
                frames = getattr(image, "n_frames", 1)
                # A JPEG of two "frames" is a photograph with a preview (MPO), of which one is read.
                if frames != 1 and image.format in ("PNG", "TIFF"):
                    raise _several(path, frames, "images")
                lossy = image.format in ("JPEG", "MPO")
                # Pillow would keep the upper 8 bits without a word: it has no mode for such colours.
                if re.search(";16[BLN]", str(image.tile)) and not image.mode.startswith("I"):
                    raise InputError(
                        f"{path} has colours of 16 bits, of which only 8 could be read; save it as a grey image."
                    )
                image.load()
                image = ImageOps.exif_transpose(image)
                transparent = "transparency" in image.info
                if image.mode in ("P", "PA"):
                    image = image.convert("RGBA" if transparent or image.mode == "PA" else "RGB")
                elif image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
                    image = image.convert("RGB")
                elif transparent and image.mode.startswith("I"):
                    raise InputError(
                        f"{path} marks a grey level of 16 bits as transparent; save it without transparency."
                    )
                elif transparent and image.mode in ("1", "L", "RGB"):
                    image = image.convert("RGBA" if image.mode == "RGB" else "LA")
                return GreyImage(np.asarray(image), lossy)
    except (InputError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise InputError(
            f"{path} begins like an image but is damaged or truncated; export or copy it again."
        ) from None
    except Image.DecompressionBombError:
        raise InputError(
            f"{path} has more than 178 million pixels; cut out or scale down a part of it."
        ) from None
    except Exception as error:  # damaged files raise whatever the decoder tripped over
        raise _damaged(path, error) from None


def _to_grey(image: GreyImage, path: Path) -> GreyImage:
    """(height, width) values out of (height, width), (height, width, channels), (1, height, width).

    Channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
    """
    array, notes = image.values, list(image.notes)
    if array.dtype.kind not in "buif":
        raise InputError(
            f"{path} holds values of type {array.dtype}; give an array of integers, real numbers "
            "or booleans of shape (height, width)."
        )
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[-1] in (1, 2, 3, 4)):
        raise InputError(
            f"{path} holds an array of shape {array.shape}; one micrograph of shape "
            "(height, width), or with 1 to 4 colour channels last, is expected."
        )
    if array.size == 0:
        raise InputError(f"{path} holds no pixels (shape {array.shape}); give an image that does.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int(array.size - np.count_nonzero(np.isfinite(array)))
        raise InputError(
            f"{path} holds {bad} values that are NaN or infinite; replace them or cut them off."
        )
    if array.ndim == 3:
        if array.shape[-1] in (2, 4):
            alpha = array[..., -1]
            if alpha.min() != alpha.max():
                raise InputError(
                    f"{path} has an alpha channel that varies (transparent parts), so its grey "
                    "values are not certain; flatten the image and save it without alpha."
                )
            array = array[..., :-1]
            notes.append("constant alpha channel dropped")
        if array.shape[-1] == 1 or (array == array[..., :1]).all():
            array = array[..., 0]  # grey in all but name: keeps the exact values
        else:
            array = _luminance(array, path)
            notes.append("colours converted to luminance")
    return GreyImage(array, image.lossy, tuple(notes))


def _luminance(array: np.ndarray, path: Path) -> np.ndarray:
    grey = (array.astype(np.float64) * LUMINANCE).sum(axis=-1).round(6)
    # A label image in colours must not lose a phase because two colours are equally bright.
    levels = len(np.unique(grey))
    if levels <= MOST_PHASES:
        colours = len(np.unique(array.reshape(-1, 3), axis=0))
        if colours > levels:
            raise InputError(
                f"{path} has {colours} colours of which some are equally bright and cannot be told "
                "apart as grey values; save it with one grey value (0, 1, 2, …) per phase."
            )
    return grey
