"""Batch renormalisation, normalisation by moving statistics, and re-estimated statistics."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from davegan_tf.networks import Generator
from davegan_tf.normalization import (
    NORMALIZATIONS,
    BatchRenormalization,
    MovingNormalization,
    recalibrate,
)

SHAPE = (3, 4, 5, 2)
AXES = (0, 1, 2)
EPSILON = 1e-3


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def inputs(rng):
    return (rng.normal(size=SHAPE) * (1.5, 0.7) + (0.5, -1)).astype("float32")


def make(kind, mean=(0.2, -0.6), variance=(1.5, 0.8), gamma=(1.3, 0.6), beta=(0.1, -0.2), **kwargs):
    layer = kind(epsilon=EPSILON, **kwargs)
    layer.build((None, *SHAPE[1:]))
    layer.set_weights([np.asarray(value, np.float32) for value in (gamma, beta, mean, variance)])
    return layer


def statistics(layer):
    return layer.moving_mean.numpy(), layer.moving_variance.numpy()


def formula(x, mean, variance, gamma=(1.3, 0.6), beta=(0.1, -0.2)):
    return (x - mean) / np.sqrt(np.asarray(variance) + EPSILON) * np.asarray(gamma) + beta


@pytest.mark.parametrize("kind", NORMALIZATIONS.values())
def test_weights_are_laid_out_as_those_of_keras(kind, rng):
    ours, keras_layer = make(kind), make(keras.layers.BatchNormalization)
    for attribute in ("variables", "trainable_variables", "non_trainable_variables"):
        layout = [
            [(value.name, value.shape, value.dtype) for value in getattr(layer, attribute)]
            for layer in (ours, keras_layer)
        ]
        assert layout[0] == layout[1]
    # So that the weights of one fit the other, and mean the same at inference.
    values = [rng.uniform(0.5, 2, 2) for _ in range(4)]
    keras_layer.set_weights(values)
    ours.set_weights(keras_layer.get_weights())
    images = tf.constant(rng.normal(size=SHAPE).astype("float32"))
    np.testing.assert_array_equal(ours(images, training=False), keras_layer(images, training=False))


@pytest.mark.parametrize("kind", NORMALIZATIONS.values())
def test_config_round_trip(kind):
    options = {"r_max": 2.0, "d_max": 1.0} if kind is BatchRenormalization else {}
    layer = kind(momentum=0.7, epsilon=0.01, name="mine", **options)
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert type(again) is kind
    assert again.get_config() == layer.get_config()
    assert {"momentum": 0.7, **options}.items() <= again.get_config().items()


@pytest.mark.parametrize("kind", NORMALIZATIONS.values())
def test_inference_neither_updates_nor_uses_the_batch(kind, inputs):
    layer = make(kind)
    before = statistics(layer)
    for training in (False, None):
        got = layer(inputs, training=training)
        np.testing.assert_allclose(got, formula(inputs, *before), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(statistics(layer), before)


# --- batch renormalisation --------------------------------------------------------------------------------------------


def test_renormalized_training_output_is_the_inference_output(inputs):
    layer = make(BatchRenormalization)
    expected = layer(inputs, training=False).numpy()
    got = layer(inputs, training=True)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    # Which plain batch normalisation does not have.
    plain = make(keras.layers.BatchNormalization)(inputs, training=True)
    assert np.abs(plain - expected).max() > 0.1


def test_renormalization_equals_keras_where_moving_statistics_are_the_batchs(inputs):
    mean, variance = inputs.mean(axis=AXES), inputs.var(axis=AXES)
    ours = make(BatchRenormalization, mean, variance)(inputs, training=True)
    theirs = make(keras.layers.BatchNormalization, mean, variance)(inputs, training=True)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_renormalization_without_room_to_correct_is_keras(inputs):
    layer = make(BatchRenormalization, r_max=1.0, d_max=0.0)
    theirs = make(keras.layers.BatchNormalization)(inputs, training=True)
    np.testing.assert_allclose(layer(inputs, training=True), theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("mean", "variance"), [((-50, 40), (1e-4, 1e-4)), ((90, -70), (1e4, 1e4))])
def test_corrections_are_clipped(inputs, mean, variance):
    layer = make(BatchRenormalization, mean, variance, r_max=3.0, d_max=5.0)
    got = layer(inputs, training=True)
    batch_mean, batch_var = inputs.mean(axis=AXES), inputs.var(axis=AXES)
    moving_std = np.sqrt(np.asarray(variance) + EPSILON)
    r = np.sqrt(batch_var + EPSILON) / moving_std
    d = (batch_mean - mean) / moving_std
    normalized = (inputs - batch_mean) / np.sqrt(batch_var + EPSILON)
    expected = normalized * np.clip(r, 1 / 3, 3) + np.clip(d, -5, 5)
    assert ((r > 3) | (r < 1 / 3)).all()
    np.testing.assert_allclose(got, expected * (1.3, 0.6) + (0.1, -0.2), rtol=1e-4, atol=1e-4)


def test_renormalization_moves_its_statistics(inputs):
    layer = make(BatchRenormalization, momentum=0.9)
    for _ in range(3):
        mean, variance = statistics(layer)
        layer(inputs, training=True)
        new_mean, new_variance = statistics(layer)
        np.testing.assert_allclose(
            new_mean, 0.9 * mean + 0.1 * inputs.mean(axis=AXES), rtol=1e-4, atol=1e-6
        )
        biased = inputs.var(axis=AXES)
        np.testing.assert_allclose(new_variance, 0.9 * variance + 0.1 * biased, rtol=1e-4)


def test_renormalization_of_single_pixels_stays_finite():
    layer = BatchRenormalization()
    for batch in (1, 2):
        inputs = tf.reshape(tf.range(2.0 * batch), [batch, 1, 1, 2])
        assert np.isfinite(layer(inputs, training=True)).all()
        assert np.isfinite(statistics(layer)).all()


def renormalized_gradients(layer, inputs, upstream):
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = tf.reduce_sum(layer(inputs, training=True) * upstream)
    return tape.gradient(value, [inputs, *layer.trainable_variables])


def test_gradient_flows_through_the_batch_but_not_through_the_corrections(inputs, rng):
    upstream = rng.normal(size=SHAPE).astype("float32")
    layer = make(BatchRenormalization)
    moving_mean, moving_variance = statistics(layer)
    got = renormalized_gradients(layer, tf.constant(inputs), upstream)

    x, gamma, beta = tf.constant(inputs), tf.constant([1.3, 0.6]), tf.constant([0.1, -0.2])
    with tf.GradientTape() as tape:
        tape.watch([x, gamma, beta])
        mean, variance = tf.nn.moments(x, AXES)
        std, moving_std = tf.sqrt(variance + EPSILON), np.sqrt(moving_variance + EPSILON)
        r = tf.stop_gradient(std / moving_std)
        d = tf.stop_gradient((mean - moving_mean) / moving_std)
        value = tf.reduce_sum((((x - mean) / std * r + d) * gamma + beta) * upstream)
    expected = tape.gradient(value, [x, gamma, beta])
    for a, b in zip(got, expected, strict=True):
        assert np.abs(b).max() > 0.1
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    # A shift of all inputs changes nothing, so that the gradient sums to zero.
    np.testing.assert_allclose(tf.reduce_sum(got[0], AXES), 0, atol=1e-3)


# --- moving statistics ------------------------------------------------------------------------------------------------


def test_moving_normalization_updates_and_then_uses_the_moving_statistics(inputs):
    layer = make(MovingNormalization, momentum=0.9)
    mean, variance = statistics(layer)
    got = layer(inputs, training=True)
    new = statistics(layer)
    np.testing.assert_allclose(new[0], 0.9 * mean + 0.1 * inputs.mean(axis=AXES), rtol=1e-5)
    np.testing.assert_allclose(new[1], 0.9 * variance + 0.1 * inputs.var(axis=AXES), rtol=1e-5)
    np.testing.assert_allclose(got, formula(inputs, *new), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(layer(inputs, training=False), got)


@pytest.mark.parametrize("kind", [BatchRenormalization, MovingNormalization])
def test_moving_statistics_have_all_digits_in_mixed_precision(kind, inputs):
    layer = make(kind, momentum=0.0, dtype="mixed_bfloat16")
    half = tf.cast(inputs, tf.bfloat16)
    assert layer(half, training=True).dtype == tf.bfloat16
    seen = tf.cast(half, tf.float32).numpy()
    mean, variance = statistics(layer)
    np.testing.assert_allclose(mean, seen.mean(axis=AXES), rtol=1e-5)
    np.testing.assert_allclose(variance, seen.var(axis=AXES), rtol=1e-5)


def test_no_gradient_flows_through_the_moving_statistics(inputs, rng):
    upstream = rng.normal(size=SHAPE).astype("float32")
    layer = make(MovingNormalization, momentum=0.5)
    got, gamma, beta = renormalized_gradients(layer, tf.constant(inputs), upstream)
    mean, variance = statistics(layer)
    # Every pixel's is its own: that of an affine function.
    scale = np.array([1.3, 0.6]) / np.sqrt(variance + EPSILON)
    np.testing.assert_allclose(got, upstream * scale, rtol=1e-4, atol=1e-6)
    normalized = (inputs - mean) / np.sqrt(variance + EPSILON)
    np.testing.assert_allclose(gamma, (upstream * normalized).sum(axis=AXES), rtol=1e-3)
    np.testing.assert_allclose(beta, upstream.sum(axis=AXES), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", NORMALIZATIONS.values())
def test_graph_mode_equals_eager(kind, inputs):
    eager, graph = make(kind), make(kind)
    traced = tf.function(lambda x: graph(x, training=True))
    for _ in range(2):
        np.testing.assert_allclose(
            traced(inputs), eager(inputs, training=True), rtol=1e-4, atol=1e-5
        )
    np.testing.assert_allclose(statistics(graph), statistics(eager), rtol=1e-5)


# --- recalibration ----------------------------------------------------------------------------------------------------


def small_network(kind, momentum=0.9):
    stack = keras.Sequential(
        [
            keras.Input(SHAPE[1:]),
            NORMALIZATIONS[kind](momentum=momentum, name="first"),
            keras.layers.Conv2D(3, 2, kernel_initializer=keras.initializers.GlorotUniform(seed=0)),
            NORMALIZATIONS[kind](momentum=0.5, name="second"),
        ]
    )
    return SmallNetwork(stack)


class SmallNetwork(keras.Model):
    """A stack of layers, as the three networks have it."""

    def __init__(self, stack):
        super().__init__()
        self.stack, self.built = stack, True

    def call(self, images, training=False):
        return self.stack(images, training=training)


@pytest.mark.parametrize("kind", list(NORMALIZATIONS))
@pytest.mark.parametrize("count", [1, 2, 5])
def test_recalibrated_statistics_are_the_plain_means_over_the_batches(kind, count, rng):
    network = small_network(kind)
    network.stack.get_layer("first").set_weights(
        [np.array(value) for value in ([2, 1], [0, 1], [7, -7], [9, 0.1])]
    )
    batches = [rng.normal(loc=i, scale=i + 1, size=SHAPE).astype("float32") for i in range(count)]
    weights = [value.numpy() for value in network.trainable_variables]
    recalibrate(network, iter(batches))

    mean, variance = statistics(network.stack.get_layer("first"))
    np.testing.assert_allclose(
        mean, np.mean([b.mean(axis=AXES) for b in batches], axis=0), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        variance, np.mean([b.var(axis=AXES) for b in batches], axis=0), rtol=1e-4
    )
    assert network.stack.get_layer("first").momentum == 0.9
    assert network.stack.get_layer("second").momentum == 0.5
    for value, old in zip(network.trainable_variables, weights, strict=True):
        np.testing.assert_array_equal(value, old)


def test_recalibration_reaches_layers_deep_in_a_network(rng):
    generator = Generator(image_size=32, latent_dim=5, batch_norm_momentum=0.97)
    batches = [rng.normal(size=(4, 5)).astype("float32") for _ in range(3)]
    norms = [
        layer
        for layer in generator.stack.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    # In training the outputs do not depend on moving statistics, so that each batch can be looked at alone.
    inside = keras.Model(generator.stack.inputs[0], [norm.input for norm in norms])
    seen = [inside(batch[:, None, None, :], training=True) for batch in batches]
    recalibrate(generator, batches)
    for index, norm in enumerate(norms):
        values = [np.asarray(outputs[index], np.float64) for outputs in seen]
        mean, variance = statistics(norm)
        expected = np.mean([value.mean(axis=AXES) for value in values], axis=0)
        np.testing.assert_allclose(mean, expected, rtol=1e-4, atol=1e-5)
        expected = np.mean([value.var(axis=AXES) for value in values], axis=0)
        np.testing.assert_allclose(variance, expected, rtol=1e-4)
        assert norm.momentum == 0.97


def test_recalibration_on_one_batch_makes_inference_equal_training(rng):
    generator = Generator(image_size=32, latent_dim=5)
    z = rng.normal(size=(8, 5)).astype("float32")
    trained = generator(z, training=True)
    assert np.abs(generator(z) - trained).max() > 0.01
    recalibrate(generator, [z])
    np.testing.assert_allclose(generator(z), trained, atol=1e-4)


def test_a_channel_without_any_variance_is_only_centred(rng):
    network = small_network("batch")
    batches = [rng.normal(size=SHAPE).astype("float32") for _ in range(3)]
    for batch in batches:
        batch[..., 0] = 5.0
    recalibrate(network, batches)
    mean, variance = statistics(network.stack.get_layer("first"))
    assert mean[0] == pytest.approx(5)
    # A variance of 0 would multiply gradients by 1 / √epsilon, about 30.
    assert variance[0] == 1
    assert variance[1] == pytest.approx(np.mean([b[..., 1].var() for b in batches]), rel=1e-4)


def test_recalibration_on_no_batches_changes_nothing():
    network = small_network("batch")
    before = [value.numpy() for value in network.variables]
    recalibrate(network, [])
    for value, old in zip(network.variables, before, strict=True):
        np.testing.assert_array_equal(value, old)
