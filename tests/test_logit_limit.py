"""The generator's logits brought within a limit: exactly, and without a pixel of another phase."""

import numpy as np
import pytest
import tensorflow as tf

from davegan_tf import logit_limit
from davegan_tf.dataset import decode_phases
from davegan_tf.davegan import DAVEGAN
from davegan_tf.logit_limit import SAMPLES, limit_logits

LIMIT = 128.0


def overconfident(side, channels, gain=3000.0):
    """An untrained model whose logits run to thousands, with statistics and offsets that are not 0 or 1."""
    model = DAVEGAN(side, channels, latent_dim=5, seed=1)
    rng = np.random.default_rng(0)
    for variable in (*model.encoder.weights, *model.generator.weights):
        if "kernel" not in variable.path:
            variable.assign(rng.uniform(0.3, 1.5, variable.shape))
    # The last layer's own: kernel and bias (Table 3), or gamma and beta (Table 2); with logits about 0.
    factor, offset = model.generator.trainable_variables[-2:]
    logits = model.generator.logits(model.sample_latent(16, seed=0)).numpy()
    offset.assign(offset - np.median(logits, axis=(0, 1, 2)))
    for variable in (factor, offset):
        variable.assign(gain * variable)
    return model


def images_of(model, count=8):
    shape = (count, *model.generator.image_shape)
    return np.random.default_rng(2).integers(0, 2, shape).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [32, 64])
def test_logits_are_divided_exactly_and_phases_stay(side, channels):
    model = overconfident(side, channels)
    images = images_of(model)
    z = np.concatenate([model.sample_latent(64, seed=3), model.encode(images)[0]])
    before = model.generator.logits(z).numpy()
    phases = decode_phases(model.generate(z).numpy())
    assert len(np.unique(phases)) == max(2, channels)
    known = [variable.numpy() for variable in model.variables]

    divisor = limit_logits(model, images, LIMIT, seed=0)

    assert divisor > 1 and divisor & (divisor - 1) == 0
    np.testing.assert_array_equal(model.generator.logits(z).numpy(), before / divisor)
    np.testing.assert_array_equal(decode_phases(model.generate(z).numpy()), phases)
    changed = [
        variable.path
        for variable, value in zip(model.variables, known, strict=True)
        if (variable.numpy() != value).any()
    ]
    last = model.generator.stack.layers[-1]
    assert changed == [f"layers/{last.name}/{name}" for name in last_names(side)]


def last_names(side):
    return ("gamma", "beta") if side == 32 else ("kernel", "bias")


@pytest.mark.parametrize("wide", ["samples", "reconstructions"])
def test_the_largest_is_within_the_limit_and_half_of_it_is_reached(wide):
    model = overconfident(64, 1)
    if wide == "reconstructions":
        # z of the images lie far outside the prior.
        gamma = model.encoder.trainable_variables[-2]
        gamma.assign(5000 * gamma)
    images = images_of(model)
    limit_logits(model, images, LIMIT, seed=4)
    z = {
        "samples": model.sample_latent(SAMPLES, seed=4).numpy(),
        "reconstructions": model.encode(images)[0].numpy(),
    }
    largest = {kind: np.abs(model.generator.logits(each)).max() for kind, each in z.items()}
    assert max(largest, key=largest.get) == wide
    assert LIMIT / 2 < largest[wide] <= LIMIT


def test_logits_within_the_limit_stay():
    model = overconfident(64, 1)
    assert limit_logits(model, images_of(model), LIMIT, seed=0) > 1
    known = [variable.numpy() for variable in model.generator.variables]
    assert limit_logits(model, images_of(model), LIMIT, seed=0) == 1
    for variable, value in zip(model.generator.variables, known, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_a_logit_that_is_not_finite_is_refused():
    model = overconfident(64, 1)
    kernel = model.generator.stack.layers[-1].kernel
    kernel.assign(np.full(kernel.shape, np.inf))
    with pytest.raises(FloatingPointError, match="a logit of the generator"):
        limit_logits(model, images_of(model), LIMIT, seed=0)


def test_a_logit_of_a_later_batch_that_is_not_a_number_is_refused(monkeypatch):
    model = overconfident(64, 1)
    answers = []

    def logits(z):
        answers.append(np.full((len(z), 1), np.nan if answers else 1.0, np.float32))
        return tf.constant(answers[-1])

    monkeypatch.setattr(model.generator, "logits", logits)
    monkeypatch.setattr(logit_limit, "batches", lambda rows: np.array_split(rows, 3))
    with pytest.raises(FloatingPointError, match="a logit of the generator"):
        limit_logits(model, images_of(model), LIMIT, seed=0)
    assert len(answers) == 3
