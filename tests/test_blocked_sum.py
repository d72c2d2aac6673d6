"""BlockedSumConv2D beside Keras' Conv2D."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from davegan_tf.blocked_sum import BlockedSumConv2D
from davegan_tf.building import load_model
from davegan_tf.export_check import random_inputs
from davegan_tf.networks import Encoder
from davegan_tf.packaged import MODELS
from davegan_tf.recasting import recast
from davegan_tf.run_folder import RunFolder


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("count", [1, 5])
def test_is_the_convolution(count, use_bias):
    images = np.random.default_rng(count).standard_normal((count, 4, 4, 3))
    options = {"use_bias": use_bias, "bias_initializer": "ones", "dtype": "float64"}
    layer, plain = (kind(6, 4, **options) for kind in (BlockedSumConv2D, keras.layers.Conv2D))
    for each in (layer, plain):
        each.build(images.shape)
    plain.set_weights(layer.get_weights())
    np.testing.assert_allclose(layer(images), plain(images), rtol=0, atol=1e-13)
    np.testing.assert_array_equal(layer(images, training=True), plain(images))


def test_gradients_are_the_convolution_s():
    images = tf.constant(np.random.default_rng(0).standard_normal((3, 4, 4, 2)))
    layer = BlockedSumConv2D(5, 4, dtype="float64")
    layer.build(images.shape)

    def gradients(training):
        with tf.GradientTape() as tape:
            tape.watch(images)
            loss = tf.reduce_sum(tf.sin(layer(images, training=training)))
        return tape.gradient(loss, [images, *layer.trainable_variables])

    for own, plain in zip(gradients(False), gradients(True), strict=True):
        np.testing.assert_allclose(own, plain, rtol=0, atol=1e-13)


def test_rounds_less_than_one_long_sum():
    """A large part that all terms share, as in trained encoders."""
    rng = np.random.default_rng(0)
    images = (1 + 0.1 * rng.standard_normal((64, 4, 4, 64))).astype(np.float32)
    layer = BlockedSumConv2D(32, 4, use_bias=False, kernel_initializer="ones")
    layer.build(images.shape)
    exact = images.sum(axis=(1, 2, 3), dtype=np.float64)[:, None]
    rounding = [
        np.abs(np.reshape(layer(images, training=training), (64, 32)) - exact).max()
        for training in (False, True)
    ]
    assert rounding[0] < 0.5 * rounding[1]


def test_is_the_last_convolution_of_the_encoder_alone():
    convolutions = [
        layer for layer in Encoder().stack.layers if isinstance(layer, keras.layers.Conv2D)
    ]
    assert [type(layer) is BlockedSumConv2D for layer in convolutions] == 4 * [False] + [True]


@pytest.mark.parametrize("name", ["copolymer", "sandstone"])
def test_log_variance_of_a_packaged_model(name):
    """float32 keeps it to 4e-6, which a plain convolution (1.5e-5) does not."""
    model, _ = load_model(RunFolder(MODELS / name))
    images = random_inputs(model)["encode/images"]
    (_, own), (_, precise) = model.encode(images), recast(model, "float64").encode(images)
    assert np.abs(own - precise).max() < 5e-6
