"""Deployment: a SavedModel that TensorFlow alone can load and run."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from davegan_tf.files import atomic_folder, check_new_folder

SIGNATURES = ("encode", "generate", "reconstruct", "sample")


class _Deployed(tf.Module):
    """The model's functions with fixed signatures and checked inputs; any batch size."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        side, channels = model.arguments["image_size"], model.arguments["channels"]
        images = tf.TensorSpec([None, side, side, channels], tf.float32, name="images")
        z = tf.TensorSpec([None, model.latent_dim], tf.float32, name="z")
        scalar = tf.TensorSpec([], tf.int64)
        self.encode = tf.function(self._encode, input_signature=[images])
        self.generate = tf.function(self._generate, input_signature=[z])
        self.reconstruct = tf.function(self._reconstruct, input_signature=[images])
        self.sample = tf.function(
            self._sample,
            input_signature=[
                tf.TensorSpec(scalar.shape, scalar.dtype, name="seed"),
                tf.TensorSpec(scalar.shape, scalar.dtype, name="count"),
            ],
        )

    def _checked(self, images):
        message = "images must be numbers from 0 to 1: phase label (two phases) or one-hot"
        inside = tf.reduce_all((images >= 0.0) & (images <= 1.0))
        with tf.control_dependencies([tf.debugging.Assert(inside, [message])]):
            return tf.identity(images)

    def _encode(self, images):
        z_mean, z_log_var = self.model.encode(self._checked(images))
        return {"z_mean": z_mean, "z_log_var": z_log_var}

    def _generate(self, z):
        finite = tf.reduce_all(tf.math.is_finite(z))
        with tf.control_dependencies([tf.debugging.Assert(finite, ["z must be finite numbers"])]):
            return {"probabilities": self.model.generate(tf.identity(z))}

    def _reconstruct(self, images):
        return {"probabilities": self.model.reconstruct(self._checked(images))}

    def _sample(self, seed, count):
        check = tf.debugging.Assert(count > 0, ["count must be at least 1"])
        with tf.control_dependencies([check]):
            z = self.model.sample_latent(tf.cast(count, tf.int32), seed)
        probabilities = self.model.generate(z)
        two_phases = probabilities.shape[-1] == 1
        labels = probabilities[..., 0] >= 0.5 if two_phases else tf.argmax(probabilities, axis=-1)
        return {"labels": tf.cast(labels, tf.uint8)}


def export_saved_model(model, folder):
    """Write the model as a SavedModel and check it.

    Its signatures, all with any batch size (float32 unless said otherwise):

    ``encode``       images (n, side, side, channels) in [0, 1] → z_mean, z_log_var (n, latent_dim)
    ``generate``     z (n, latent_dim), N(0, 1) under the prior → probabilities (n, side, side, channels)
    ``reconstruct``  images → probabilities, the same shape
    ``sample``       seed () int64, count () int64 → labels (count, side, side) uint8

    Parameters
    ----------
    model : DAVEGAN
    folder : Path
        New or empty.

    Returns
    -------
    float
        Largest difference of an output of the reloaded SavedModel to the model's own.

    Raises
    ------
    InputError
        If the folder holds anything already.
    """
    folder = Path(folder)
    check_new_folder(folder)
    with atomic_folder(folder) as temporary:
        deployed = _Deployed(model)
        signatures = {name: getattr(deployed, name) for name in SIGNATURES}
        tf.saved_model.save(deployed, str(temporary), signatures=signatures)
        difference = _difference(model, tf.saved_model.load(str(temporary)).signatures)
    return difference


def _difference(model, signatures):
    """Largest difference over all outputs, on seeded random inputs."""
    rng = np.random.default_rng(0)
    side, channels = model.arguments["image_size"], model.arguments["channels"]
    images = tf.constant(rng.random((5, side, side, channels)), tf.float32)
    z = model.sample_latent(5, seed=0)
    z_mean, z_log_var = model.encode(images)
    generated = model.generate(z)
    pairs = [
        (signatures["encode"](images=images), {"z_mean": z_mean, "z_log_var": z_log_var}),
        (signatures["generate"](z=z), {"probabilities": generated}),
        (signatures["reconstruct"](images=images), {"probabilities": model.reconstruct(images)}),
    ]
    return max(
        float(np.max(np.abs(exported[name] - expected)))
        for exported, own in pairs
        for name, expected in own.items()
    )
