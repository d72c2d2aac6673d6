"""LiteRT files in the runtime of their users, beside Keras; exact and quantised."""

import functools
import io
import re
from contextlib import redirect_stdout

import numpy as np
import pytest

from cli.main import main
from davegan_tf.davegan import DAVEGAN
from davegan_tf.export_litert import convert
from davegan_tf.recasting import recast

litert = pytest.importorskip(
    "ai_edge_litert.interpreter", reason="the extra `export` is not installed"
)

SIGNATURES = {
    "encode": {"inputs": ["images"], "outputs": ["z_log_var", "z_mean"]},
    "generate": {"inputs": ["z"], "outputs": ["probabilities"]},
    "reconstruct": {"inputs": ["images"], "outputs": ["probabilities"]},
}


def test_the_same_numbers_as_keras():
    model = DAVEGAN(32, 3, latent_dim=5, leaky_relu_slope=0.3, seed=2)
    rng = np.random.default_rng(1)
    for network in (model.encoder, model.generator):
        for variable in network.variables:
            if "kernel" not in variable.path:
                variable.assign(rng.uniform(0.3, 1.5, variable.shape))
    exact = recast(model, "float64")
    interpreter = litert.Interpreter(model_content=convert(model))
    assert interpreter.get_signature_list() == SIGNATURES
    for count in (1, 3, 2):
        images = rng.random((count, 32, 32, 3), dtype=np.float32)
        z = rng.standard_normal((count, 5), dtype=np.float32)
        z_mean, z_log_var = exact.encode(images)
        for function, inputs, expected in (
            ("encode", {"images": images}, {"z_mean": z_mean, "z_log_var": z_log_var}),
            ("generate", {"z": z}, {"probabilities": exact.generate(z)}),
            ("reconstruct", {"images": images}, {"probabilities": exact.reconstruct(images)}),
        ):
            found = interpreter.get_signature_runner(function)(**inputs)
            assert found.keys() == expected.keys()
            for name, own in expected.items():
                assert own.numpy().std() > 1e-3  # not all alike
                np.testing.assert_allclose(found[name], own, rtol=0, atol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """``export(run, *options)``: the folder of a run's export and the lines that `export` printed; made once."""

    @functools.cache
    def make(run, *options):
        out, output = tmp_path_factory.mktemp("litert") / "exported", io.StringIO()
        with redirect_stdout(output):
            arguments = ["export", str(run), "--format", "litert", *options, "--out", str(out)]
            assert main(arguments) == 0
        assert {path.name for path in out.iterdir()} == {"README.md", "model.tflite"}
        said = output.getvalue()
        return out, re.findall(r"^(\w+ \w+) +(\S+) +(\S+) +\S+ *(\S*)$", said, re.M)

    return make


@pytest.mark.parametrize("name", ["grains", "three_phases"])
def test_export(name, export, request):
    _, said = export(request.getfixturevalue(name).run)
    assert len(said) == 4
    assert all(float(largest) <= 1e-5 for _, largest, *_ in said)


@pytest.mark.parametrize("name", ["grains", pytest.param("three_phases", marks=pytest.mark.slow)])
def test_quantised_is_small_and_says_its_error(name, export, request):
    run = request.getfixturevalue(name).run
    (exact, _), (quantised, said) = export(run), export(run, "--quantize")
    sizes = [(folder / "model.tflite").stat().st_size for folder in (exact, quantised)]
    assert sizes[1] < 0.35 * sizes[0]
    errors = {name: (float(largest), float(mean)) for name, largest, mean, _ in said}
    # Weights of eight bits have an error of at most 1/254 of the largest in their channel.
    assert 1e-4 < errors["encode z_mean"][0] < 0.1
    assert errors["generate probabilities"][0] > 1e-5
    assert "weights quantised to eight bits" in (quantised / "README.md").read_text()
    assert "quantised" not in (exact / "README.md").read_text().split("## Checked")[0]
