"""The PyTorch step of `davegan benchmark` computes what our training step computes."""

import numpy as np
import pytest
import tensorflow as tf

from cli.benchmark import TABLE_3
from davegan_tf.building import build_model, image_channels
from davegan_tf.config import load_config
from davegan_tf.dataset import encode_phases
from davegan_tf.errors import InputError
from davegan_tf.micrographs import load_from_config
from davegan_tf.networks import layer_table

torch = pytest.importorskip("torch")
from benchmarks.pytorch_step import Draws, PyTorchStep  # noqa: E402

OVERRIDES = [*TABLE_3, "data.micrograph_size=128"]


def transfer(network, module):
    """A Keras network's weights → the PyTorch module of the same table."""

    def copy(parameter, values):
        assert tuple(parameter.shape) == values.shape
        parameter.copy_(torch.from_numpy(np.ascontiguousarray(values)))

    kinds = ("conv", "norm")
    ours = [each for each in network.stack.layers if "ReLU" not in type(each).__name__]
    theirs = [each for each in module if any(k in type(each).__name__.lower() for k in kinds)]
    with torch.no_grad():
        for layer, other in zip(ours, theirs, strict=True):
            if "Conv" in type(layer).__name__:
                # (kh, kw, in, out) → (out, in, kh, kw); transposed (kh, kw, out, in) → (in, out, kh, kw)
                copy(other.weight, layer.kernel.numpy().transpose(3, 2, 0, 1))
                if layer.use_bias:
                    copy(other.bias, layer.bias.numpy())
            else:
                copy(other.weight, layer.gamma.numpy())
                copy(other.bias, layer.beta.numpy())
                copy(other.running_mean, layer.moving_mean.numpy())
                copy(other.running_var, layer.moving_variance.numpy())


@pytest.mark.parametrize(
    "case",
    [
        ("alloy.yaml",),
        ("paper/alloy.yaml", "model.generator_batches=one"),
        ("alloy.yaml", "data.image_size=32", "augmentation.prior=gaussian"),
        ("alloy.yaml", "three phases", "model.discriminator_output_normalization=none"),
    ],
    ids=lambda case: " ".join(case),
)
def test_the_pytorch_step_is_ours(case):
    name, *overrides = case
    three = "three phases" in overrides
    config = load_config(name, [*OVERRIDES, *(o for o in overrides if "=" in o)])
    micrograph = load_from_config(config)
    if three:
        rows, columns = np.mgrid[:128, :128]
        labels = ((rows // 16 + columns // 8) % 3).astype(np.uint8)[None]
        micrograph = type(micrograph)(**{**vars(micrograph), "images": labels, "n_phases": 3})
    model = build_model(config, micrograph.n_phases)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:  # biases, offsets and scales that are not 0 or 1
        noise = 0.05 * rng.standard_normal(variable.shape)
        variable.assign_add(noise.astype(np.float32))
    side, channels = config.data.image_size, image_channels(micrograph.n_phases)
    table = layer_table(side, channels, config.model.latent_dim)
    step = PyTorchStep(config, table, micrograph)
    networks = ("encoder", "generator", "discriminator")
    for network in networks:
        transfer(getattr(model, network), getattr(step, network))

    positions = torch.from_numpy(step.positions.positions(0, 1)[0]).long()
    images = step.windows[positions[:, 0], :, positions[:, 1], positions[:, 2]]
    row, column = positions[1, 1:].tolist()
    cut = micrograph.images[0, row : row + side, column : column + side]
    channels_last = images.numpy().transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(channels_last[1], encode_phases(cut, micrograph.n_phases))

    draws = model.draw(tf.constant(7, tf.int64), 4)
    numbers = Draws(*(torch.from_numpy(np.array(draw)) for draw in draws))
    with tf.GradientTape(persistent=True) as tape:
        ours = model.compute_losses(tf.constant(channels_last), tf.constant(channels_last), draws)
    theirs = step.compute_losses(images, numbers)
    for key, value in theirs.items():
        assert value.item() == pytest.approx(float(ours[key]), rel=1e-4), key
    for network in networks:
        variables = getattr(model, network).trainable_variables
        gradients = tape.gradient(ours[f"{network}_loss"], variables)
        others = torch.autograd.grad(
            theirs[f"{network}_loss"], step.parameters[network], retain_graph=True
        )
        norms = [float(tf.norm(gradient)) for gradient in gradients]
        other_norms = [gradient.norm().item() for gradient in others]
        # An offset before a batch normalisation has a gradient of zero but for rounding.
        np.testing.assert_allclose(
            other_norms, norms, rtol=2e-3, atol=1e-4 * max(norms), err_msg=network
        )


@pytest.mark.parametrize(
    "override",
    [
        "model.lambda_normality=2000",
        "model.encoder_output_activation=linear",
        "model.discriminator_width=2",
        "augmentation.translate_encoded=true",
        "training.update_limit=1",
    ],
)
def test_a_step_that_it_does_not_have_is_refused(override):
    config = load_config("paper/alloy.yaml", ["data.source=grains", override])
    with pytest.raises(
        InputError, match=f"leave --contenders torch out, or.*{override.partition('=')[0]}"
    ):
        PyTorchStep(config, layer_table(64), load_from_config(config))


def test_the_pytorch_step_trains():
    config = load_config("alloy.yaml", OVERRIDES)
    step = PyTorchStep(config, layer_table(64), load_from_config(config))
    before = [p.detach().clone() for p in step.averaged]
    step.run(2)
    for old, now, average in zip(before, step.averaged, step.averages, strict=True):
        assert torch.isfinite(now).all()
        assert not torch.equal(old, now)
        # Two steps of an average with a momentum of 0.999: nearly the first weights.
        assert 0 < (average - old).abs().max() < 0.01 * (now - old).abs().max()
