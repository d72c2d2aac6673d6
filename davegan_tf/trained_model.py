"""A trained model for a notebook: one object, phase labels in NumPy arrays in and out (`davegan_tf.load`).

The work is done by ``inference``, ``latent``, ``linkage`` and ``evaluation``. Everything that can be wrong with an
argument is found here, of a model before TensorFlow is imported.
"""

import numbers
import operator
from pathlib import Path

import numpy as np

from davegan_tf import latent, linkage, measured, packaged, properties
from davegan_tf.dataset import decode_phases, encode_phases
from davegan_tf.errors import InputError
from davegan_tf.inference import generate_labels, reconstruct_image, reconstruct_labels
from davegan_tf.limits import LARGEST_SEED
from davegan_tf.postprocessing import check_size, majority_filter
from davegan_tf.tensorflow_setup import import_tensorflow

# Far beyond the prior and every code; from much farther away the networks' numbers overflow.
LARGEST_Z = 1e6


def load(run_or_name):
    """See :func:`davegan_tf.load`."""
    return TrainedModel(packaged.find_run(Path(run_or_name)))


class TrainedModel:
    """The model of a run: new microstructures, reconstructions, the latent space, the scorecard.

    Images are phase labels, 0 … n_phases − 1, uint8 where they are returned; any integers (or bool) are accepted.
    They are (n, side, side), and so is what comes back; a single image, (side, side), comes back as a single one.
    Where a method takes a point of the latent space, it may be given as a whole number, the seed of a sample; as an
    image, (side, side), which is encoded; or as z itself, (latent_dim,).

    Parameters
    ----------
    folder : davegan_tf.run_folder.RunFolder
        See :func:`davegan_tf.load`.

    Attributes
    ----------
    name : str
        Of the run folder or the packaged model.
    material : str
        What it was trained on; a stand-in is named as one.
    image_size, n_phases, latent_dim : int
        Side of the images in pixels; number of phases; dimensions of z.
    step : int
        Steps it was trained for.
    folder : davegan_tf.run_folder.RunFolder
        Where it came from.
    config : davegan_tf.config.Config
        What it was trained with, ``config.data.pixel_size`` among it.
    keras_model : davegan_tf.davegan.DAVEGAN
        The networks, for all that is not offered here.

    Raises
    ------
    InputError
        By all methods, if an argument can't be used.

    Examples
    --------
    >>> import davegan_tf
    >>> model = davegan_tf.load("alloy")
    >>> model
    <TrainedModel alloy: trained on alloy for 36000 steps; 64 × 64 pixels, 2 phases, latent_dim 32; a packaged model>

    New microstructures, and their volume fraction of phase 1:

    >>> samples = model.generate(100, seed=1)
    >>> samples.shape, samples.dtype
    ((100, 64, 64), dtype('uint8'))
    >>> float(samples.mean().round(1))
    0.9

    To the latent space and back; of an image larger than the model's a mosaic is reconstructed:

    >>> z = model.encode(samples)
    >>> z.shape
    (100, 32)
    >>> bool((model.decode(z) == model.reconstruct(samples)).all())
    True
    >>> model.reconstruct(samples[:4].reshape(2, 128, 64)).shape
    (2, 128, 64)

    The latent space, one dimension at a time and along a straight line, here between the samples of two seeds:

    >>> model.traverse(samples[0], dimensions=[3, 7]).shape
    (2, 7, 64, 64)
    >>> model.interpolate(1, 2).shape
    (9, 64, 64)

    Structures with given properties (skipped as a test: a search takes half a minute or more):

    >>> found = model.find(volume_fraction=0.8)  # doctest: +SKIP
    >>> found.labels.mean(axis=(1, 2)).round(2)  # doctest: +SKIP
    array([0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8])

    The scorecard (skipped as a test: it needs the micrograph, which is not part of the package):

    >>> result = model.evaluate()  # doctest: +SKIP
    >>> round(result["reconstructions"]["E_rec"]["value"], 5)  # doctest: +SKIP
    0.00026
    >>> from davegan_tf.evaluation_table import format_table
    >>> print(format_table(result))  # doctest: +SKIP
    """

    def __init__(self, folder):
        self.folder, self.config = folder, folder.read_config()
        self.name, self.material = folder.name, folder.material
        self.image_size = self.config.data.image_size
        self.n_phases = folder.n_phases
        self.latent_dim = self.config.model.latent_dim
        # Not at the top: TensorFlow takes seconds.
        import_tensorflow()
        from davegan_tf.building import load_model

        self.keras_model, self.step = load_model(folder)

    def __repr__(self):
        origin = "a packaged model" if packaged.is_packaged(self.folder) else f"{self.folder.path}"
        return (
            f"<TrainedModel {self.name}: trained on {self.material} for {self.step} steps; "
            f"{self.image_size} × {self.image_size} pixels, {self.n_phases} phases, "
            f"latent_dim {self.latent_dim}; {origin}>"
        )

    def generate(self, count, seed=0, *, filter_size=1):
        """New microstructures: decode(z) with z ~ N(0, 1).

        Parameters
        ----------
        count : int ≥ 1
        seed : int, 0 … 2³¹ − 1
            The same seed gives the same microstructures, as many as are asked for.
        filter_size : int, odd, ≥ 1
            Side in pixels of a majority filter against stray pixels; 1: none.

        Returns
        -------
        (count, side, side) uint8
        """
        _check_whole("count", count, 1)
        _check_whole("seed", seed, 0, LARGEST_SEED)
        _check_filter(filter_size)
        labels = generate_labels(self.keras_model, count, seed)
        return majority_filter(labels, self.n_phases, filter_size)

    def encode(self, images):
        """Latent vectors of images: the means of their posteriors.

        Parameters
        ----------
        images : (n, side, side) or (side, side) int, phase labels

        Returns
        -------
        (n, latent_dim) or (latent_dim,) float32
            :func:`davegan_tf.latent.encode` also gives the variances.
        """
        images = self._checked(images)
        z, _ = latent.encode(self.keras_model, encode_phases(_as_stack(images), self.n_phases))
        return z.reshape(*images.shape[:-2], self.latent_dim)

    def decode(self, z):
        """Microstructures of latent vectors, each pixel of its most probable phase.

        Parameters
        ----------
        z : (n, latent_dim) or (latent_dim,) float
            Samples of the prior have N(0, 1).

        Returns
        -------
        (n, side, side) or (side, side) uint8
            :func:`davegan_tf.latent.decode` gives the probabilities.
        """
        z = self._checked_z(z)
        labels = decode_phases(latent.decode(self.keras_model, np.atleast_2d(z)))
        return labels.reshape(*z.shape[:-1], *labels.shape[1:])

    def reconstruct(self, images):
        """decode(encode(x)) of images, of larger ones tile by tile.

        Parameters
        ----------
        images : (n, height, width) or (height, width) int, phase labels
            Sides of at least ``image_size`` pixels.

        Returns
        -------
        The same shape, uint8
            See :func:`davegan_tf.inference.reconstruct_image` for how tiles are put together.
        """
        images = self._checked(images, larger=True)
        stack = _as_stack(images)
        if stack.shape[1:] == (self.image_size, self.image_size):
            labels = reconstruct_labels(self.keras_model, stack, self.n_phases)
        else:
            labels = np.stack(
                [reconstruct_image(self.keras_model, image, self.n_phases) for image in stack]
            )
        return labels.reshape(images.shape)

    def traverse(self, start=0, dimensions=None, limit=3.0, steps=7):
        """One latent dimension at a time is varied, the others are kept (Figure 4).

        Parameters
        ----------
        start : int, (side, side) int or (latent_dim,) float
            A point of the latent space: a seed, an image or z.
        dimensions : int or sequence of int, optional
            Those to vary, counted from 0; all if None.
        limit : float > 0
            The varied dimension takes ``steps`` values from −limit to limit, in standard deviations of the prior.
        steps : int ≥ 2

        Returns
        -------
        (len(dimensions), steps, side, side) uint8
        """
        _check_whole("steps", steps, 2)
        limit = _number("limit", limit)
        if dimensions is not None:
            dimensions = np.atleast_1d(dimensions)
            for dimension in dimensions:
                _check_whole("a dimension", dimension, 0, self.latent_dim - 1)
        z = self._point("start", start)
        return decode_phases(latent.traverse(self.keras_model, z, dimensions, limit, steps))

    def interpolate(self, a, b, steps=9):
        """Microstructures on the straight line from one point of the latent space to another.

        Parameters
        ----------
        a, b : int, (side, side) int or (latent_dim,) float
            Each a seed, an image or z.
        steps : int ≥ 2
            Number of images, evenly spaced, both ends among them.

        Returns
        -------
        (steps, side, side) uint8
        """
        _check_whole("steps", steps, 2)
        ends = self._point("a", a), self._point("b", b)
        return decode_phases(latent.interpolate(self.keras_model, *ends, steps))

    def find(self, *, count=8, seed=0, **targets):
        """Different structures of the prior whose properties are nearest to the targets.

        Parameters
        ----------
        count : int ≥ 1
        seed : int, 0 … 2³¹ − 1
            Of the search.
        **targets : float
            Such as ``volume_fraction=0.8``, for names see :func:`davegan_tf.properties.names`.

        Returns
        -------
        davegan_tf.linkage.Found
            ``labels``, ``z``, ``values`` (a column for each target), ``distances`` and ``density_rank``; the nearest
            first, also where the model makes nothing near the target.
        """
        _check_whole("count", count, 1, linkage.DECODED)
        _check_whole("seed", seed, 0, LARGEST_SEED)
        known = properties.names(self.n_phases)
        if not targets:
            raise InputError(f"find needs a property with its value; there are {', '.join(known)}.")
        properties.check_names(list(targets), self.n_phases)
        targets = {name: _number(name, value) for name, value in targets.items()}
        for name, value in targets.items():
            properties.check_value(name, value)
        fitted = linkage.linkage(self.keras_model, self.n_phases, list(targets), seed=seed)
        return linkage.find(self.keras_model, self.n_phases, fitted, targets, count, seed)

    def evaluate(self, count=256, seed=0, *, holdout=False, filter_size=1):
        """The scorecard: every measure beside its floor and white noise, as the command ``evaluate`` writes it.

        Parameters
        ----------
        count : int ≥ 2
            Samples to measure.
        seed : int, 0 … 2³¹ − 1
            Of z and of the real crops.
        holdout : bool
            Measure on what ``data.holdout`` kept out of training.
        filter_size : int, odd, ≥ 1
            Of :meth:`generate`, for the samples.

        Returns
        -------
        dict
            JSON-ready, see :func:`davegan_tf.evaluation.evaluate`; :func:`davegan_tf.evaluation_table.format_table`
            makes a table of it.

        Raises
        ------
        InputError
            Also if the micrograph is not at hand, or is not the one that the model was trained on.
        """
        _check_whole("count", count, 2)
        _check_whole("seed", seed, 0, LARGEST_SEED)
        _check_filter(filter_size)
        # They stand in the result, where NumPy's whole numbers would be no JSON.
        count, seed, filter_size = map(operator.index, (count, seed, filter_size))
        micrograph = measured.micrograph_of(self.folder, holdout, "holdout=True")
        return measured.measure(self, micrograph, count, seed, holdout, filter_size).result

    def _point(self, name, point):
        """Latent vector of a seed, an image or z itself: (latent_dim,) float32."""
        rank = np.ndim(point)
        if rank == 0:
            _check_whole(f"{name}, a seed,", point, 0, LARGEST_SEED)
            return latent.z_of_seed(self.keras_model, point)
        if rank > 2:
            raise InputError(
                f"{name} is of shape {np.shape(point)}; expected one point of the latent space: a seed, an image "
                f"({self.image_size}, {self.image_size}) or z ({self.latent_dim},)."
            )
        return self._checked_z(point) if rank == 1 else self.encode(point)

    def _checked_z(self, z):
        z = np.asarray(z)
        if z.ndim not in (1, 2) or z.shape[-1] != self.latent_dim or z.size == 0:
            raise InputError(
                f"z is of shape {z.shape}; expected (n, {self.latent_dim}), or one vector ({self.latent_dim},)."
            )
        if z.dtype.kind not in "iuf" or not (np.abs(z) <= LARGEST_Z).all():
            raise InputError(
                f"z holds what is no number between ±{LARGEST_Z:g}; expected numbers such as N(0, 1) has."
            )
        return z.astype(np.float32)

    def _checked(self, images, *, larger=False):
        images, side = np.asarray(images), self.image_size
        sides = images.shape[-2:]
        fits = min(sides, default=0) >= side if larger else sides == (side, side)
        labels = images.dtype.kind in "biu" and images.ndim in (2, 3) and images.size > 0
        if not (labels and fits):
            wanted = f"at least {side} × {side}" if larger else f"{side} × {side}"
            raise InputError(
                f"images are {images.dtype} of shape {images.shape}; expected phase labels, whole numbers, of shape "
                f"(n, height, width) or (height, width), with {wanted} pixels."
            )
        if images.min() < 0 or images.max() >= self.n_phases:
            raise InputError(
                f"images hold labels {images.min()} to {images.max()}; expected 0 to {self.n_phases - 1}, since the "
                f"model has {self.n_phases} phases (davegan_tf.micrographs.load_micrograph makes labels of a picture)."
            )
        return images.astype(np.uint8)


def _as_stack(images):
    return images.reshape(-1, *images.shape[-2:])


def _number(name, value):
    """A real number of any kind as a float."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise InputError(f"{name} is {value!r}; expected a number.")
    try:
        return float(value)
    except OverflowError:
        raise InputError(f"{name} is too large; expected a number that a float can hold.") from None


def _check_filter(size):
    _check_whole("filter_size", size, 1)
    check_size(size)


def _check_whole(name, value, least, most=None):
    try:
        fits = least <= operator.index(value) and (most is None or value <= most)
    except TypeError:
        fits = False
    if not fits:
        limits = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise InputError(f"{name} is {value}; expected a whole number {limits}.")
