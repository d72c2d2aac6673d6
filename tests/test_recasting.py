"""The same weights at another precision."""

import numpy as np
import pytest

from davegan_tf.davegan import DAVEGAN
from davegan_tf.recasting import recast


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_the_same_weights_in_more_digits(precision):
    model = DAVEGAN(32, latent_dim=5, precision=precision, seed=3)
    rng = np.random.default_rng(0)
    for variable in (*model.encoder.variables, *model.generator.variables):
        variable.assign(rng.uniform(0.05, 0.1, variable.shape))
    exact = recast(model, "float64")
    for name in ("encoder", "generator"):
        pairs = zip(getattr(model, name).variables, getattr(exact, name).variables, strict=True)
        for one, other in pairs:
            assert other.dtype == "float64"
            np.testing.assert_array_equal(other.numpy(), one.numpy())
    z = rng.standard_normal((8, 5), dtype=np.float32)
    single = recast(model, "float32").generator.logits(z).numpy()
    differences = [
        np.abs(each.generator.logits(z).numpy() - exact.generator.logits(z).numpy()).max()
        / np.abs(single).max()
        for each in (recast(model, "float32"), model)
    ]
    assert 0 < differences[0] < 1e-6
    assert (differences[1] > 1e-3) == (precision == "mixed_bfloat16")


def test_the_model_itself_where_nothing_changes():
    model = DAVEGAN(32, latent_dim=5)
    assert recast(model, "float32") is model
