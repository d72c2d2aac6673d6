"""The layers as matrix products against the layers themselves."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from davegan_tf import matrix_products
from davegan_tf.networks import Discriminator, Encoder, Generator, run_stack

NETWORKS = {"encoder": Encoder, "generator": Generator, "discriminator": Discriminator}
BATCH = 12


def make(kind, **options):
    """A network whose offsets, scales and moving statistics are not those it starts with."""
    network = NETWORKS[kind](latent_dim=5, seed=3, **options)
    rng = np.random.default_rng(0)
    for variable in network.variables:
        if len(variable.shape) == 1:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return network


def inputs_of(network, channels):
    shape = network.stack.inputs[0].shape[1:]
    assert shape[-1] in (channels, 5)
    return tf.constant(np.random.default_rng(1).normal(size=(BATCH, *shape)).astype("float32"))


def outcome(network, inputs, run, **how):
    """Outputs, gradients, and the statistics afterwards."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = run(network.stack, inputs, **how)
        # Not a symmetric function: each output's gradient is another.
        weights = tf.cos(tf.cast(tf.range(tf.size(outputs)), tf.float32))
        value = tf.reduce_sum(outputs * tf.reshape(weights, tf.shape(outputs)))
    gradients = tape.gradient(value, [inputs, *network.trainable_variables])
    return outputs, gradients, [tf.identity(v) for v in network.non_trainable_variables]


def compare(layers, products, tolerances=(1e-5, 1e-4, 1e-5)):
    # Gradients of parameters are sums of thousands of terms of either sign, rounded in another order.
    for tolerance, expected, got in zip(tolerances, layers, products, strict=True):
        for a, b in zip(tf.nest.flatten(expected), tf.nest.flatten(got), strict=True):
            assert a.shape == b.shape
            scale = max(1.0, float(tf.reduce_max(tf.abs(a))))
            np.testing.assert_allclose(b / scale, a / scale, rtol=0, atol=tolerance)


CASES = [
    ("encoder", {"image_size": 32}, 1, True),
    ("encoder", {"image_size": 64, "channels": 3}, 1, True),
    ("encoder", {"image_size": 64, "normalization": "renorm"}, 1, True),
    ("encoder", {"image_size": 64}, 1, False),
    ("encoder", {"image_size": 32, "output_activation": "linear"}, 1, True),
    ("generator", {"image_size": 32}, 2, True),
    ("generator", {"image_size": 32, "normalization": "moving", "channels": 3}, 2, True),
    ("generator", {"image_size": 32, "normalization": "renorm"}, 2, True),
    ("generator", {"image_size": 64}, 1, False),
    ("discriminator", {"image_size": 32, "output_normalization": "none"}, 3, True),
    ("discriminator", {"image_size": 64, "output_normalization": "moving"}, 3, True),
    ("discriminator", {"image_size": 64, "output_normalization": "batch"}, 1, True),
    ("discriminator", {"image_size": 32, "output_normalization": "renorm"}, 3, True),
]
# The same in other sizes, where there is time.
SLOW = [
    ("encoder", {"image_size": 128}, 1, True),
    ("generator", {"image_size": 64, "channels": 3}, 2, True),
]


@pytest.mark.parametrize(
    ("kind", "options", "sets", "training"),
    [*CASES, *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW)],
)
def test_products_are_the_layers(kind, options, sets, training):
    channels = options.get("channels", 1)
    how = {"sets": sets, "training": training}
    network = make(kind, **options)
    inputs = inputs_of(network, channels)
    layers = outcome(network, inputs, run_stack, **how)
    network = make(kind, **options)
    compiled = tf.function(outcome, jit_compile=True)
    products = compiled(network, inputs, matrix_products.run_stack, **how)
    compare(layers, products)


def both_ways(network, inputs, run, sets, read, at_once):
    """Gradients of the inputs by a loss of others, which read some sets, and of the weights by another loss."""
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        own, others = run(network.stack, inputs, training=True, sets=sets, read_by_others=read)
        numbers = tf.reshape(tf.cast(tf.range(tf.size(own)), tf.float32), tf.shape(own))
        is_read = tf.repeat([float(index in read) for index in range(sets)], BATCH // sets)
        its_own = tf.reduce_sum(own * tf.cos(numbers))
        of_others = tf.reduce_sum(others * tf.sin(numbers) * is_read[:, None, None, None])
    if at_once:
        return tape.gradient([its_own, of_others], [inputs, *network.trainable_variables])
    by_weights = tape.gradient(its_own, network.trainable_variables)
    return [tape.gradient(of_others, inputs), *by_weights]


@pytest.mark.parametrize(
    ("kind", "options", "sets", "read"),
    [
        ("generator", {"image_size": 32}, 2, (0,)),
        ("generator", {"image_size": 32, "normalization": "renorm"}, 1, (0,)),
        ("discriminator", {"image_size": 32, "output_normalization": "moving"}, 3, (1, 2)),
        ("discriminator", {"image_size": 32}, 1, (0,)),
    ],
)
def test_a_gradient_goes_to_the_weights_or_to_the_inputs(kind, options, sets, read):
    network = make(kind, **options)
    inputs = inputs_of(network, 1)
    apart = both_ways(network, inputs, run_stack, sets, read, False)
    network = make(kind, **options)
    compiled = tf.function(both_ways, jit_compile=True)
    at_once = compiled(network, inputs, matrix_products.run_stack, sets, read, True)
    compare([apart], [at_once], [1e-4])


@pytest.mark.parametrize("normalization", ["batch", "renorm", "moving"])
def test_one_program_serves_both_kinds_of_statistics(normalization):
    options = {"image_size": 32, "normalization": normalization}
    network = make("generator", **options)
    inputs = inputs_of(network, 1)
    compiled = tf.function(outcome, jit_compile=True)
    for training in (False, True):
        layers = make("generator", **options)
        for variable, value in zip(network.variables, layers.variables, strict=True):
            variable.assign(value)
        expected = outcome(layers, inputs, run_stack, sets=2, training=training)
        flag = tf.constant(training)
        got = compiled(network, inputs, matrix_products.run_stack, sets=2, training=flag)
        compare(expected, got)
    assert compiled.experimental_get_tracing_count() == 1


def test_the_cases_have_all_there_is():
    names = {"batch", "renorm", "moving"}
    kinds = {o.get("normalization", "batch") for _, o, _, _ in CASES}
    assert kinds == names
    assert {o.get("output_normalization", "batch") for _, o, _, _ in CASES} == {*names, "none"}


@pytest.mark.parametrize("rows", [2, 6])
def test_one_convolution_equals_keras_and_its_transposed(rows):
    # ⟨y, conv(x)⟩ = ⟨conv_transposed(y), x⟩ with one and the same kernel.
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(3, 2, 2 * rows, 2 * rows)).astype("float32"))
    y = tf.constant(rng.normal(size=(5, 2, rows, rows)).astype("float32"))
    kernel = tf.constant(rng.normal(size=(4, 4, 3, 5)).astype("float32"))
    product, transposed = tf.function(
        lambda: (
            matrix_products._convolution(x, kernel)[0],
            matrix_products._transposed_convolution(y, kernel)[0],
        ),
        jit_compile=True,
    )()
    layer = keras.layers.Conv2D(5, 4, strides=2, padding="same", use_bias=False)
    layer.build((None, 2 * rows, 2 * rows, 3))
    layer.kernel.assign(kernel)
    expected = tf.transpose(layer(tf.transpose(x, [1, 2, 3, 0])), [3, 0, 1, 2])
    np.testing.assert_allclose(product, expected, rtol=1e-5, atol=1e-5)
    assert np.vdot(y, product) == pytest.approx(np.vdot(transposed, x), rel=1e-5)


BARRIERS = """
from davegan_tf.tensorflow_setup import import_tensorflow, start_tensorflow
{start}()
import tensorflow as tf
from davegan_tf.matrix_products import materialize
function = tf.function(lambda x: materialize(tf.sqrt(x)) + 1.0, jit_compile=True)
program = function.experimental_get_compiler_ir(tf.ones([8, 8]))(stage="optimized_hlo")
print(program.count(" opt-barrier("))
"""


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="for CPUs")
@pytest.mark.parametrize(("start", "count"), [("start_tensorflow", 1), ("import_tensorflow", 0)])
def test_barriers_are_heeded_by_the_compiler_as_the_commands_set_it_up(start, count, shell):
    """A process each, as the compiler reads its flags once."""
    environment = {k: v for k, v in shell().items() if k != "XLA_FLAGS"}
    command = [sys.executable, "-c", BARRIERS.format(start=start)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) == count
