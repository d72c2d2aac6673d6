"""LiteRT files in the runtime of their users, beside Keras; exact and quantised."""

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


@pytest.fixture(scope="module", params=["grains", "three_phases"])
def exported(request, tmp_path_factory):
    """Folder and output of `export`, without and with quantisation."""
    home, said = tmp_path_factory.mktemp("litert"), {}
    run = str(request.getfixturevalue(request.param).run)
    for name, options in (("exact", []), ("quantized", ["--quantize"])):
        output = io.StringIO()
        with redirect_stdout(output):
            out = str(home / name)
            assert main(["export", run, "--format", "litert", *options, "--out", out]) == 0
        assert {path.name for path in (home / name).iterdir()} == {"README.md", "model.tflite"}
        said[name] = re.findall(r"^(\w+ \w+) +(\S+) +(\S+) +\S+ *(\S*)$", output.getvalue(), re.M)
    return home, said


def test_export(exported):
    _, said = exported
    assert len(said["exact"]) == 4
    assert all(float(largest) <= 1e-5 for _, largest, *_ in said["exact"])


def test_quantised_is_small_and_says_its_error(exported):
    home, said = exported
    sizes = [(home / name / "model.tflite").stat().st_size for name in ("exact", "quantized")]
    assert sizes[1] < 0.35 * sizes[0]
    errors = {name: (float(largest), float(mean)) for name, largest, mean, _ in said["quantized"]}
    # Weights of eight bits have an error of at most 1/254 of the largest in their channel.
    assert 1e-4 < errors["encode z_mean"][0] < 0.1
    assert errors["generate probabilities"][0] > 1e-5
    assert "weights quantised to eight bits" in (home / "quantized" / "README.md").read_text()
    assert "quantised" not in (home / "exact" / "README.md").read_text().split("## Checked")[0]
