"""Adam whose step has a largest size."""

import keras
import numpy as np
import pytest

from davegan_tf.building import build_model
from davegan_tf.chunk import Chunk
from davegan_tf.config import load_config
from davegan_tf.limited_adam import LimitedAdam

RATE, BETA_1, BETA_2 = 1e-2, 0.5, 0.999


def steps(optimizer, gradients):
    """Values of one variable, zero at first, after each step."""
    variable = keras.Variable(np.zeros_like(gradients[0]))
    optimizer.build([variable])
    values = []
    for gradient in gradients:
        optimizer.apply([gradient], [variable])
        values.append(variable.numpy())
    return np.array(values)


@pytest.fixture
def leaping():
    """Gradients that are a thousand times as large from step 40 on, (60, 50) float32."""
    gradients = np.random.default_rng(0).normal(size=(60, 50)).astype("float32")
    gradients[40:] *= 1000
    return gradients


def adam(gradients, limit):
    """Kingma & Ba (2015), Algorithm 1, with each change of a weight clipped: values after each step, float64."""
    m = v = value = np.zeros_like(gradients[0], dtype=float)
    values = []
    for t, gradient in enumerate(gradients.astype(float), start=1):
        m = BETA_1 * m + (1 - BETA_1) * gradient
        v = BETA_2 * v + (1 - BETA_2) * gradient**2
        step = m / (1 - BETA_1**t) / (np.sqrt(v / (1 - BETA_2**t)) + 1e-7)
        value = value - RATE * np.clip(step, -limit, limit)
        values.append(value)
    return np.array(values)


@pytest.mark.parametrize("limit", [0.3, 1.0, 2.0])
def test_each_weight_changes_as_by_adam_but_no_further_than_the_limit(leaping, limit):
    got = steps(LimitedAdam(RATE, beta_1=BETA_1, beta_2=BETA_2, update_limit=limit), leaping)
    np.testing.assert_allclose(got, adam(leaping, limit), atol=1e-5)
    changes = abs(np.diff(got, axis=0, prepend=0)) / RATE
    assert changes.max() == pytest.approx(limit, rel=1e-3)
    # Without it the leap is beyond them all.
    assert abs(np.diff(adam(leaping, np.inf), axis=0)).max() > 3 * RATE


def test_within_the_limit_it_is_adam_to_the_last_bit(leaping):
    others = {"beta_1": BETA_1, "beta_2": BETA_2, "use_ema": True}
    expected = steps(keras.optimizers.Adam(RATE, **others), leaping)
    limited = LimitedAdam(RATE, update_limit=1e3, **others)
    np.testing.assert_array_equal(steps(limited, leaping), expected)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(limited))
    assert type(again) is LimitedAdam
    assert again.get_config() == limited.get_config()


@pytest.mark.parametrize(
    ("config", "kind"),
    [("paper/alloy.yaml", keras.optimizers.Adam), ("one_micrograph.yaml", LimitedAdam)],
)
def test_a_config_chooses_it_for_all_three_networks(config, kind):
    model = build_model(load_config(config, ["data.source=grains"]), 2)
    assert [type(optimizer) for _, optimizer, _ in model.updates()] == [kind] * 3


@pytest.mark.parametrize("backend", ["graph", "xla_matmul"])
def test_no_weight_of_a_training_changes_by_more(backend):
    """In Adam's first step every weight would change by one learning rate."""
    keys = ["data.source=grains", "data.image_size=32", "training.update_limit=0.25"]
    config = load_config("paper/alloy.yaml", keys)
    model = build_model(config, 2)
    before = {name: its for name, _, its in weights(model)}
    images = np.random.default_rng(0).integers(0, 2, (1, 64, 64)).astype(np.uint8)
    chunk = Chunk(model, images, 2, backend)
    chunk.run(np.array([[[0, 0, 0], [0, 0, 32], [0, 32, 0], [0, 32, 32]]], np.int32))
    assert int(model.training_step) == 1
    for name, rate, its in weights(model):
        changes = np.concatenate(
            [abs(b - a).ravel() for a, b in zip(before[name], its, strict=True)]
        )
        assert changes.max() <= 0.25 * rate + 1.5e-7  # float32 near 1
        assert np.mean(changes > 0.24 * rate) > 0.8


def weights(model):
    """(network, learning rate, values of its weights) of each."""
    return [
        (network.name, float(optimizer.learning_rate), [v.numpy() for v in variables])
        for network, optimizer, variables in model.updates()
    ]
