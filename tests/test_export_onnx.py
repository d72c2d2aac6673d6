"""ONNX files in onnxruntime, beside Keras; what they are called and need."""

import io
import re
from contextlib import redirect_stdout

import numpy as np
import pytest

from cli.main import main
from davegan_tf.davegan import DAVEGAN
from davegan_tf.recasting import recast

onnx = pytest.importorskip("onnx", reason="the extra `export` is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
from davegan_tf import export_onnx  # noqa: E402

OUTPUTS = {
    "encode": ["z_mean", "z_log_var"],
    "generate": ["probabilities"],
    "reconstruct": ["probabilities"],
}


def randomized(model):
    """The model with other biases and batch normalisations than a new one's, which are all alike."""
    rng = np.random.default_rng(0)
    for network in (model.encoder, model.generator):
        for variable in network.variables:
            if "kernel" not in variable.path:
                variable.assign(rng.uniform(0.3, 1.5, variable.shape))
    return model


def run(model, inputs):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, inputs)


@pytest.mark.parametrize(
    "side, channels, latent_dim, normalization",
    [
        (32, 1, 5, "batch"),
        # In use it is batch normalisation with these very weights.
        (32, 1, 5, "renorm"),
        (64, 1, 32, "batch"),
        (64, 3, 32, "batch"),
        (128, 1, 8, "batch"),
        (256, 4, 8, "batch"),
    ],
)
def test_the_same_numbers_as_keras(side, channels, latent_dim, normalization):
    model = DAVEGAN(
        side, channels, latent_dim, normalization=normalization, leaky_relu_slope=0.3, seed=2
    )
    exact = recast(randomized(model), "float64")
    rng = np.random.default_rng(1)
    images = rng.random((3, side, side, channels), dtype=np.float32)
    z = rng.standard_normal((2, latent_dim), dtype=np.float32)
    for function, inputs in (
        ("encode", {"images": images}),
        ("generate", {"z": z}),
        ("reconstruct", {"images": images[:1]}),
    ):
        (values,) = inputs.values()
        expected = getattr(exact, function)(values)
        expected = expected if function == "encode" else [expected]
        found = run(export_onnx.onnx_model(model, function), inputs)
        for name, own, other in zip(OUTPUTS[function], expected, found, strict=True):
            assert other.dtype == np.float32
            assert own.numpy().std() > 1e-3  # not all alike
            scale = max(1.0, np.abs(own).max())
            np.testing.assert_allclose(other, own, rtol=0, atol=1e-5 * scale, err_msg=name)


@pytest.mark.parametrize("function", list(OUTPUTS))
def test_names_shapes_and_opset(function):
    made = export_onnx.onnx_model(DAVEGAN(64, 3, 16), function)
    assert [(each.domain, each.version) for each in made.opset_import] == [("", export_onnx.OPSET)]
    assert made.ir_version == 8
    onnx.checker.check_model(made, full_check=True)
    expected = {
        "images": ["n", 64, 64, 3],
        "probabilities": ["n", 64, 64, 3],
        **{name: ["n", 16] for name in ("z", "z_mean", "z_log_var")},
    }
    assert [each.name for each in made.graph.input] == ["z" if function == "generate" else "images"]
    assert [each.name for each in made.graph.output] == OUTPUTS[function]
    for each in (*made.graph.input, *made.graph.output):
        assert each.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        shape = [d.dim_param or d.dim_value for d in each.type.tensor_type.shape.dim]
        assert shape == expected[each.name]


@pytest.mark.parametrize("name", ["grains", "three_phases"])
def test_export(name, request, tmp_path):
    """A short training has small weights, on whose outputs float32 rounds little."""
    out, said = tmp_path / "model", io.StringIO()
    trained = request.getfixturevalue(name).run
    with redirect_stdout(said):
        assert main(["export", str(trained), "--format", "onnx", "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == {
        "README.md",
        *(f"{function}.onnx" for function in OUTPUTS),
    }
    rows = re.findall(r"^(?:encode|generate|reconstruct) \w+ +(\S+)", said.getvalue(), re.M)
    assert len(rows) == 4
    assert all(float(largest) <= 1e-5 for largest in rows)
    card = (out / "README.md").read_text()
    assert "opset 17 (IR version 8)" in card
    assert f"by onnxruntime {onnxruntime.__version__} in a process of its own" in card
