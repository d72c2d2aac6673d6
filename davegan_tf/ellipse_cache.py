"""The ellipses of Section 4.2 with their parameters, kept in the user's cache once they are drawn."""

import contextlib
from pathlib import Path

import numpy as np

from davegan_tf.files import atomic_path
from davegan_tf.registry import cache_folder
from davegan_tf.synthetic import ellipses

# Raised whenever `ellipses` draws others with the same seed.
VERSION = 1
# Fewer are drawn as fast as read.
LEAST_CACHED = 20_000
SIDE = 32


def cached_ellipses(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """As :func:`davegan_tf.synthetic.ellipses`, from the cache where it has them.

    60,000 images take 1.2 s to draw and 3 MB on disk. A cache that can't be read or written does no harm.

    Returns
    -------
    images : (count, 32, 32) uint8, 1 in the inclusion
    parameters : (count, 5) float64
        a, b, row, column, angle, see :func:`davegan_tf.synthetic.draw_ellipses`.
    """
    if count < LEAST_CACHED:
        return ellipses(count, seed, SIDE)
    path = cache_folder() / f"ellipses-{count}-{seed}-v{VERSION}.npz"
    kept = _read(path, count)
    if kept is not None:
        return kept
    images, parameters = ellipses(count, seed, SIDE)
    with contextlib.suppress(OSError):
        _write(path, images, parameters)
    return images, parameters


def _write(path: Path, images: np.ndarray, parameters: np.ndarray) -> None:
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        bits = np.packbits(images.reshape(len(images), -1), axis=1)
        np.savez_compressed(file, bits=bits, parameters=parameters)


def _read(path: Path, count: int) -> tuple[np.ndarray, np.ndarray] | None:
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            bits, parameters = arrays["bits"], arrays["parameters"]
        images = np.unpackbits(bits, axis=1).reshape(count, SIDE, SIDE)
        return images, parameters.reshape(count, 5)
    except Exception:  # another one for every kind of damage
        return None
