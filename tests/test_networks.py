"""The networks against Tables 2 and 3 of the paper, row by row, and against parameter counts done by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from davegan_tf import normalization
from davegan_tf.networks import Discriminator, Encoder, Generator, layer_table

NETWORKS = {"encoder": Encoder, "generator": Generator, "discriminator": Discriminator}

# Filters, strides, padding, batch normalisation, activation, as printed. The last activation is applied outside the
# stack, to keep the logits.
TABLE_2 = {
    "encoder": """
        16 2 same No Leaky
        32 2 same Yes Leaky
        64 2 same Yes Leaky
        10 1 valid Yes Leaky""",
    "generator": """
        64 1 valid Yes Leaky
        32 2 same Yes Leaky
        16 2 same Yes Leaky
        1 2 same Yes Sigmoid""",
    "discriminator": """
        8 2 same No Leaky
        16 2 same Yes Leaky
        32 2 same Yes Leaky
        1 1 valid Yes Sigmoid""",
}
TABLE_3 = {
    "encoder": """
        16 2 same No Leaky
        16 2 same Yes Leaky
        32 2 same Yes Leaky
        64 2 same Yes Leaky
        64 1 valid Yes Leaky""",
    "generator": """
        64 1 valid Yes Leaky
        32 2 same Yes Leaky
        32 2 same Yes Leaky
        16 2 same Yes Leaky
        1 2 same No Sigmoid""",
    "discriminator": """
        4 2 same No Leaky
        8 2 same Yes Leaky
        16 2 same Yes Leaky
        32 2 same Yes Leaky
        1 1 valid Yes Sigmoid""",
}
TABLES = [(32, 5, TABLE_2), (64, 32, TABLE_3)]
KINDS = list(NETWORKS)


def parse(table):
    for line in table.strip().splitlines():
        filters, stride, padding, batch_norm, activation = line.split()
        yield int(filters), int(stride), padding, batch_norm == "Yes", activation


def parameters(rows, channels):
    """Kernels 4 × 4, a bias where there is no batch normalisation, which has 4 numbers for each filter."""
    count = 0
    for filters, _, _, batch_norm, _ in rows:
        count += 16 * channels * filters + (4 if batch_norm else 1) * filters
        channels = filters
    return count


def inputs(kind, image_size, channels, latent_dim, batch=2):
    shape = (latent_dim,) if kind == "generator" else (image_size, image_size, channels)
    return tf.random.stateless_uniform((batch, *shape), (0, 0))


# --- the tables -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("image_size", "latent_dim", "table"), TABLES, ids=["2", "3"])
@pytest.mark.parametrize("kind", KINDS)
def test_layers_are_those_of_the_table(kind, image_size, latent_dim, table):
    network = NETWORKS[kind](image_size=image_size, latent_dim=latent_dim)
    expected = keras.layers.Conv2DTranspose if kind == "generator" else keras.layers.Conv2D
    layers = iter(network.stack.layers)
    for filters, stride, padding, batch_norm, activation in parse(table[kind]):
        layer = next(layers)
        assert isinstance(layer, expected)
        assert layer.filters == filters
        assert layer.kernel_size == (4, 4)
        assert layer.strides == (stride, stride)
        assert layer.padding == padding
        assert layer.dilation_rate == (1, 1)
        assert layer.use_bias is not batch_norm
        assert layer.activation is keras.activations.linear
        if batch_norm:
            layer = next(layers)
            assert type(layer) is keras.layers.BatchNormalization
            assert layer.center and layer.scale
        if activation == "Leaky":
            layer = next(layers)
            assert type(layer) is keras.layers.LeakyReLU
            assert layer.negative_slope == 0.2
    assert next(layers, None) is None


@pytest.mark.parametrize(
    ("image_size", "channels", "latent_dim", "counts"),
    [
        (64, 1, 32, (111_568, 90_945, 11_560)),
        # Three input channels add 2 · 16 · 16 in the encoder, 2 · (16 · 16 + 1) in the generator, 2 · 16 · 4 in D.
        (64, 3, 32, (112_080, 91_459, 11_688)),
        # 272 + 8,320 + 33,024 + 10,280; 5,376 + 32,896 + 8,256 + 260; 136 + 2,112 + 8,320 + 516
        (32, 1, 5, (51_896, 46_788, 11_084)),
        (32, 3, 5, (52_408, 47_308, 11_340)),
        # One or two more layers of 16 → 16 filters (4,160 parameters), 4 → 4 in D (272).
        (128, 1, 32, (115_728, 95_105, 11_832)),
        (256, 1, 32, (119_888, 99_265, 12_104)),
    ],
)
def test_parameter_counts(image_size, channels, latent_dim, counts):
    size = {"image_size": image_size, "channels": channels, "latent_dim": latent_dim}
    assert tuple(network(**size).count_params() for network in NETWORKS.values()) == counts


@pytest.mark.parametrize(("image_size", "latent_dim", "table"), TABLES, ids=["2", "3"])
@pytest.mark.parametrize("kind", KINDS)
def test_parameter_count_is_the_sum_over_the_table(kind, image_size, latent_dim, table):
    network = NETWORKS[kind](image_size=image_size, latent_dim=latent_dim)
    channels = latent_dim if kind == "generator" else 1
    assert network.count_params() == parameters(parse(table[kind]), channels)


@pytest.mark.parametrize("image_size", [128, 256])
def test_larger_sides_extend_table_3_at_full_resolution(image_size):
    table, larger = layer_table(64), layer_table(image_size)
    more = {128: 1, 256: 2}[image_size]
    # The rows next to the latent vector, or to D's answer, are those of Table 3.
    assert larger.encoder[1 + more :] == table.encoder[1:]
    assert larger.generator[:4] == table.generator[:4]
    assert larger.discriminator[1 + more :] == table.discriminator[1:]
    for rows in larger:
        assert len(rows) == 5 + more
        assert all(row.stride == 2 and row.padding == "same" for row in rows[1:-1])
    assert larger.generator[-1] == table.generator[-1]


@pytest.mark.parametrize("image_size", [0, 16, 48, 63, 512])
@pytest.mark.parametrize("kind", KINDS)
def test_another_side_is_refused(kind, image_size):
    with pytest.raises(ValueError, match=f"image_size is {image_size}, expected one of"):
        NETWORKS[kind](image_size=image_size)


# --- outputs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image_size", "channels"), [(32, 1), (32, 3), (64, 1), (64, 3), (128, 1), (256, 1)]
)
def test_shapes(image_size, channels):
    size = {"image_size": image_size, "channels": channels, "latent_dim": 7}
    images = inputs("encoder", **size)
    z_mean, z_log_var = Encoder(**size)(images)
    assert z_mean.shape == z_log_var.shape == (2, 7)
    decoded = Generator(**size)(z_mean)
    assert decoded.shape == images.shape
    assert Discriminator(**size)(decoded).shape == (2,)
    for output in (z_mean, z_log_var, decoded):
        assert output.dtype == tf.float32


def test_encoder_splits_its_features_into_mean_and_log_variance():
    encoder = Encoder(image_size=32, latent_dim=5)
    images = inputs("encoder", 32, 1, 5, batch=3)
    features = tf.reshape(encoder.stack(images), [3, 10])
    z_mean, z_log_var = encoder(images)
    np.testing.assert_array_equal(z_mean, features[:, :5])
    np.testing.assert_array_equal(z_log_var, features[:, 5:])


def test_a_linear_encoder_is_the_same_without_its_last_activation():
    plain, linear = (
        Encoder(image_size=32, latent_dim=5, output_activation=activation)
        for activation in ("leaky_relu", "linear")
    )
    images = inputs("encoder", 32, 1, 5, batch=3)
    # Far from their initial values, or no feature is below zero.
    for encoder in (plain, linear):
        encoder.stack.layers[-1 if encoder is linear else -2].beta.assign([-2, 2] * 5)
    for squeezed, free in zip(plain(images), linear(images), strict=True):
        assert np.min(free) < 0 < np.max(free)
        np.testing.assert_allclose(squeezed, np.where(free < 0, 0.2 * free, free), rtol=1e-6)
    assert linear.get_config()["output_activation"] == "linear"
    assert Encoder.from_config(linear.get_config()).output_activation == "linear"


def test_two_phases_end_in_a_sigmoid():
    generator = Generator(image_size=32, latent_dim=5)
    z = 3 * tf.random.stateless_normal((4, 5), (0, 1))
    probabilities, logits = generator(z), generator.logits(z)
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-logits)), rtol=1e-5)
    np.testing.assert_array_equal(generator.activate(logits), probabilities)
    assert 0 < np.min(probabilities) < 0.5 < np.max(probabilities) < 1


@pytest.mark.parametrize("image_size", [32, 64])
def test_k_phases_end_in_a_softmax(image_size):
    generator = Generator(image_size=image_size, channels=3, latent_dim=5)
    z = tf.random.stateless_normal((4, 5), (0, 1))
    probabilities = generator(z).numpy()
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-6)
    assert probabilities.min() > 0
    assert probabilities.std(axis=-1).max() > 0
    logits = generator.logits(z)
    np.testing.assert_allclose(probabilities, keras.ops.softmax(logits, axis=-1), rtol=1e-6)
    table = layer_table(image_size, channels=3)
    assert table.generator[-1].filters == 3
    assert table.generator[-1].activation == "softmax"


def test_discriminator_answers_a_probability():
    discriminator = Discriminator(image_size=32)
    images = inputs("discriminator", 32, 1, 5, batch=3)
    logits = discriminator.logits(images)
    assert logits.shape == (3,)
    np.testing.assert_allclose(discriminator(images), 1 / (1 + np.exp(-logits)), rtol=1e-5)


def test_training_uses_the_batch_and_inference_the_moving_statistics():
    images = inputs("encoder", 32, 1, 5, batch=4)
    for training in (False, True):
        encoder = Encoder(image_size=32, latent_dim=5)
        before = [value.numpy() for value in encoder.non_trainable_variables]
        alone = encoder(images[:1], training=training)[0]
        together = encoder(images, training=training)[0][:1]
        same = np.allclose(alone, together, atol=1e-6)
        moved = any(
            (value.numpy() != old).any()
            for value, old in zip(encoder.non_trainable_variables, before, strict=True)
        )
        assert (same, moved) == (not training, training)


# --- options ----------------------------------------------------------------------------------------------------------


def norms(network):
    kinds = keras.layers.BatchNormalization
    return [layer for layer in network.stack.layers if isinstance(layer, kinds)]


@pytest.mark.parametrize("name", list(normalization.NORMALIZATIONS))
@pytest.mark.parametrize("kind", KINDS)
def test_normalization_slope_and_momentum_reach_every_layer(kind, name):
    options = {"output_normalization": name} if kind == "discriminator" else {}
    network = NETWORKS[kind](
        image_size=32,
        latent_dim=5,
        leaky_relu_slope=0.1,
        normalization=name,
        batch_norm_momentum=0.9,
        **options,
    )
    assert len(norms(network)) == (4 if kind == "generator" else 3)
    for layer in norms(network):
        assert type(layer) is normalization.NORMALIZATIONS[name]
        assert layer.momentum == 0.9
    slopes = [
        layer.negative_slope
        for layer in network.stack.layers
        if isinstance(layer, keras.layers.LeakyReLU)
    ]
    assert slopes == [pytest.approx(0.1)] * (4 if kind == "encoder" else 3)


@pytest.mark.parametrize("name", ["batch", "renorm", "moving", "none"])
def test_output_normalization_is_that_of_the_discriminators_last_layer(name):
    discriminator = Discriminator(image_size=64, output_normalization=name)
    plain = keras.layers.BatchNormalization
    kinds = [type(layer) for layer in norms(discriminator)]
    if name == "none":
        assert kinds == [plain] * 3
        last = discriminator.stack.layers[-1]
        assert isinstance(last, keras.layers.Conv2D)
        assert last.use_bias
        assert discriminator.count_params() == 11_560 - 3
    else:
        assert kinds == [plain] * 3 + [normalization.NORMALIZATIONS[name]]
        assert discriminator.count_params() == 11_560


# --- seeds and files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_equal_seeds_give_equal_weights_and_others_do_not(kind):
    def kernels(seed):
        network = NETWORKS[kind](image_size=32, latent_dim=5, seed=seed)
        return [value.numpy() for value in network.trainable_variables if value.name == "kernel"]

    first, second, other = kernels(3), kernels(3), kernels(4)
    assert len(first) == 4
    for a, b, c in zip(first, second, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.isclose(a, c).mean() > 0.01


def test_layers_of_equal_shape_have_their_own_weights():
    kernels = [
        value.numpy()
        for network in NETWORKS.values()
        for value in network(image_size=256).trainable_variables
        if value.name == "kernel"
    ]
    pairs = 0
    for index, a in enumerate(kernels):
        for b in kernels[:index]:
            if a.shape == b.shape:
                pairs += 1
                assert not np.isclose(a, b).mean() > 0.1
    assert pairs > 5


@pytest.mark.parametrize("kind", KINDS)
def test_weights_begin_as_glorots(kind):
    for layer in NETWORKS[kind]().stack.layers:
        if hasattr(layer, "kernel"):
            kernel = layer.kernel.numpy()
            limit = np.sqrt(6 / (16 * sum(kernel.shape[2:])))
            assert 0.9 * limit < np.abs(kernel).max() <= limit


OPTIONS = {
    "image_size": 32,
    "channels": 3,
    "latent_dim": 6,
    "leaky_relu_slope": 0.3,
    "normalization": "renorm",
    "batch_norm_momentum": 0.8,
    "seed": 7,
}


@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_wider_discriminator_has_more_filters_in_all_layers_but_the_last(width):
    discriminator = Discriminator(image_size=64, width=width)
    convolutions = [x for x in discriminator.stack.layers if isinstance(x, keras.layers.Conv2D)]
    assert [layer.filters for layer in convolutions] == [
        4 * width,
        8 * width,
        16 * width,
        32 * width,
        1,
    ]
    assert discriminator.logits(inputs("discriminator", 64, 1, 32, batch=2)).shape == (2,)


@pytest.mark.parametrize("kind", KINDS)
def test_config_round_trip_and_clone(kind):
    own = {"output_normalization": "none", "width": 2}
    options = OPTIONS | (own if kind == "discriminator" else {})
    network = NETWORKS[kind](name="mine", **options)
    config = network.get_config()
    assert options.items() <= config.items()
    again = NETWORKS[kind].from_config(config)
    assert again.name == "mine"
    assert again.get_config() == config
    clone = keras.models.clone_model(network)
    assert type(clone) is NETWORKS[kind]
    assert clone.get_config() == config
    for copy in (again, clone):
        for a, b in zip(network.variables, copy.variables, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_network_comes_back_whole(kind, tmp_path):
    network = NETWORKS[kind](**OPTIONS)
    # The moving statistics too must be worth restoring.
    for _ in range(2):
        network(inputs(kind, 32, 3, 6, batch=3), training=True)
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    assert type(loaded) is NETWORKS[kind]
    for a, b in zip(network.variables, loaded.variables, strict=True):
        assert a.name == b.name
        np.testing.assert_array_equal(a, b)
    images = inputs(kind, 32, 3, 6, batch=3)
    np.testing.assert_array_equal(network(images), loaded(images))


@pytest.mark.parametrize("kind", KINDS)
def test_graph_mode_with_any_batch_equals_eager(kind):
    network = NETWORKS[kind](image_size=32, latent_dim=5)
    spec = tf.TensorSpec([None, *inputs(kind, 32, 1, 5).shape[1:]])
    traced = tf.function(network, input_signature=[spec])
    for batch in (1, 3):
        data = inputs(kind, 32, 1, 5, batch)
        for got, expected in zip(
            tf.nest.flatten(traced(data)), tf.nest.flatten(network(data)), strict=True
        ):
            np.testing.assert_allclose(got, expected, atol=1e-6)
