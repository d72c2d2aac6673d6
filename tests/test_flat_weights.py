"""All weights of a network as one vector: the optimizers do to it what they do to the weights one by one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from davegan_tf.davegan import DAVEGAN
from davegan_tf.flat_weights import FlatWeights
from davegan_tf.limited_adam import LimitedAdam


@pytest.fixture
def model():
    model = DAVEGAN(32, seed=3)
    averaging = {"use_ema": True, "ema_momentum": 0.9}
    model.compile(
        encoder_optimizer=keras.optimizers.Adam(2e-3, beta_1=0.5, **averaging),
        generator_optimizer=keras.optimizers.Adam(1e-3, **averaging),
        discriminator_optimizer=LimitedAdam(4e-3, update_limit=0.5),
    )
    return model


def everything(model):
    """Every variable of the networks and their optimizers, by a name of its own."""
    variables = {}
    for network, optimizer, _ in model.updates():
        its = [*network.variables, *optimizer.variables]
        named = {f"{network.name}/{variable.path}": variable for variable in its}
        assert len(named) == len(its)
        variables |= named
    return variables


def values(model):
    return {path: variable.numpy() for path, variable in everything(model).items()}


def test_what_is_read_is_what_is_written(model):
    """Every variable its own values, whichever are of the same shape."""
    rng = np.random.default_rng(0)
    for variable in everything(model).values():
        value = rng.normal(size=variable.shape) * 100
        variable.assign(value.astype(variable.dtype))
    before = values(model)
    flat = FlatWeights(model.updates())
    flat.read()
    trained = 0
    for _, optimizer, variables in model.updates():
        for variable in [*variables, *optimizer.variables]:
            variable.assign(tf.zeros_like(variable.value))
            trained += 1
    assert trained > 100
    flat.write()
    after = values(model)
    for path, value in before.items():
        np.testing.assert_array_equal(after[path], value, err_msg=path)


def test_steps_of_the_vector_are_steps_of_the_weights(model):
    """With moments, averages and a learning rate that was changed, from a state that is not the first."""
    other = DAVEGAN.from_config(model.get_config())
    other.compile_from_config(model.get_compile_config())
    rng = np.random.default_rng(1)

    def gradients():
        return [[rng.normal(size=v.shape).astype("float32") for v in its] for *_, its in each]

    each = model.updates()
    for (_, optimizer, variables), its in zip(each, gradients(), strict=True):
        optimizer.apply(its, variables)
        optimizer.learning_rate = float(optimizer.learning_rate) / 3
    for a, b in zip(everything(model).values(), everything(other).values(), strict=True):
        b.assign(a)
    flat = FlatWeights(other.updates())
    flat.read()
    for _ in range(3):
        chosen = gradients()
        for (_, optimizer, variables), its in zip(model.updates(), chosen, strict=True):
            optimizer.apply(its, variables)
        for (_, optimizer, variables), its in zip(flat.updates, chosen, strict=True):
            flattened = np.concatenate([part.ravel() for part in its])
            optimizer.apply(
                [np.pad(flattened, [0, variables[0].shape[0] - len(flattened)])], variables
            )
    flat.write()
    pairs = zip(values(model).items(), values(other).values(), strict=True)
    for (path, expected), got in pairs:
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7, err_msg=path)


def test_parts_have_the_gradients_of_the_weights(model):
    flat = FlatWeights(model.updates())
    flat.read()
    network, _, (vector,) = flat.updates[1]
    assert network is model.generator
    variables = network.trainable_variables
    with tf.GradientTape() as tape:
        parts = flat.values_of(variables)
        loss = sum(tf.reduce_sum((i + 1.0) * part**2) for i, part in enumerate(parts))
    for variable, part in zip(variables, parts, strict=True):
        np.testing.assert_array_equal(part, variable)
    expected = [2.0 * (i + 1) * v.numpy().ravel() for i, v in enumerate(variables)]
    expected = np.concatenate(expected)
    gradient = tape.gradient(loss, vector.value)
    np.testing.assert_allclose(gradient[: len(expected)], expected)
    np.testing.assert_array_equal(gradient[len(expected) :], 0.0)


def test_threads_share_a_vector_evenly(model):
    """Its length: that of the weights, and zeros up to what 2, 3, 4, 6, 8, 12 or 16 threads share."""
    flat = FlatWeights(model.updates())
    flat.read()
    ends = 0
    for network, _, (vector,) in flat.updates:
        size = sum(v.numpy().size for v in network.trainable_variables)
        assert vector.shape[0] % 48 == 0
        assert 0 <= vector.shape[0] - size < 48
        np.testing.assert_array_equal(vector.numpy()[size:], 0.0)
        ends += vector.shape[0] > size
    assert ends, "nothing was filled up: choose other networks"


def test_another_network_is_refused(model):
    flat = FlatWeights(model.updates())
    with pytest.raises(ValueError, match="not the variables"):
        flat.values_of(model.generator.trainable_variables[1:])
