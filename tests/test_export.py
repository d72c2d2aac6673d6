"""The SavedModel, in a process that knows TensorFlow and nothing of this package."""

import contextlib
import io
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from cli.main import main
from davegan_tf.building import load_model
from davegan_tf.dataset import encode_phases
from davegan_tf.errors import InputError
from davegan_tf.export import SIGNATURES, export_saved_model
from davegan_tf.run_folder import RunFolder

# The user's program: it only gets paths, and finds neither this package nor the command line.
PROGRAM = """
import sys
for name in ("davegan_tf", "cli"):
    sys.modules[name] = None  # importing it is an error
import numpy as np
import tensorflow as tf

COUNTS = (1, 3)

def use(folder):
    signatures = tf.saved_model.load(f"{folder}/model").signatures
    given = dict(np.load(f"{folder}/inputs.npz"))
    results = {"signatures": sorted(signatures)}

    def call(key, name, **tensors):
        for output, value in signatures[name](**tensors).items():
            results[f"{key}/{output}"] = value.numpy()

    def refused(key, name, **tensors):
        try:
            signatures[name](**tensors)
            results[f"refused/{key}"] = "accepted"
        except tf.errors.InvalidArgumentError as error:
            results[f"refused/{key}"] = str(error)

    for count in COUNTS:
        images, z = tf.constant(given["images"][:count]), tf.constant(given["z"][:count])
        call(f"encode{count}", "encode", images=images)
        call(f"reconstruct{count}", "reconstruct", images=images)
        call(f"generate{count}", "generate", z=z)
        numbers = {"seed": tf.constant(11, tf.int64), "count": tf.constant(count, tf.int64)}
        call(f"sample{count}", "sample", **numbers)
    for value in (-0.1, 1.1, 255.0, np.nan):
        images = given["images"].copy()
        images.flat[5] = value
        for name in ("encode", "reconstruct"):
            refused(f"{name} {value}", name, images=tf.constant(images))
    for value in (np.nan, np.inf):
        refused(f"generate {value}", "generate", z=tf.constant(np.full_like(given["z"], value)))
    for count in (0, -1):
        numbers = {"seed": tf.constant(0, tf.int64), "count": tf.constant(count, tf.int64)}
        refused(f"sample {count}", "sample", **numbers)
    np.savez(f"{folder}/outputs.npz", **results)

for folder in sys.argv[1:]:
    use(folder)
print([name for name in sys.modules if name.startswith(("davegan_tf.", "cli."))])
"""


NAMES = ("grains", "three_phases")


@pytest.fixture(scope="module")
def program(request, tmp_path_factory):
    """Folders with an export, inputs and what the user's program got; its output and that of `export`."""
    home, said = tmp_path_factory.mktemp("program"), {}
    for name in NAMES:
        run = request.getfixturevalue(name).run
        n_phases = RunFolder(run).read_manifest()["data"]["n_phases"]
        rng = np.random.default_rng(0)
        labels = rng.integers(0, n_phases, (3, 64, 64), dtype=np.uint8)
        (home / name).mkdir()
        np.savez(
            home / name / "inputs.npz",
            images=encode_phases(labels, n_phases),
            z=rng.standard_normal((3, 32), dtype=np.float32),
        )
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            assert main(["export", str(run), "--out", str(home / name / "model")]) == 0
        said[name] = output.getvalue()
    command = [sys.executable, "-c", PROGRAM, *NAMES]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return home, done.stdout, said


@pytest.fixture(params=NAMES)
def deployed(request, program):
    """Run folder, inputs, outputs and folder of one model."""
    run = RunFolder(request.getfixturevalue(request.param).run)
    folder = program[0] / request.param
    return run, dict(np.load(folder / "inputs.npz")), dict(np.load(folder / "outputs.npz")), folder


def test_the_program_never_saw_this_package(program):
    assert program[1] == "[]\n"


def test_signatures(deployed):
    assert deployed[2]["signatures"].tolist() == sorted(SIGNATURES)


@pytest.mark.parametrize("count", [1, 3])
def test_the_same_numbers_as_the_run(count, deployed):
    run, inputs, outputs, _ = deployed
    model, _ = load_model(run)
    images, z = inputs["images"][:count], inputs["z"][:count]
    z_mean, z_log_var = model.encode(images)
    for key, own in {
        f"encode{count}/z_mean": z_mean,
        f"encode{count}/z_log_var": z_log_var,
        f"generate{count}/probabilities": model.generate(z),
        f"reconstruct{count}/probabilities": model.reconstruct(images),
    }.items():
        assert outputs[key].dtype == np.float32
        # 1e-6 is float32's last digit: another graph may sum in another order.
        np.testing.assert_allclose(outputs[key], own, rtol=0, atol=1e-6, err_msg=key)


@pytest.mark.parametrize("count", [1, 3])
def test_sample_is_what_generate_writes(count, deployed):
    run, _, outputs, home = deployed
    out = home / f"{count}.npy"
    command = ["generate", run.path, "--seed", 11, "--count", count, "--out", out]
    assert main([str(part) for part in command]) == 0
    labels = outputs[f"sample{count}/labels"]
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, np.load(out))


def test_inputs_out_of_range_are_refused(deployed):
    _, _, outputs, _ = deployed
    refused = {key.split("/")[1]: str(value) for key, value in outputs.items() if "refused" in key}
    assert len(refused) == 12
    for key, message in refused.items():
        name = key.split()[0]
        expected = {"generate": "z must be finite", "sample": "count must be at least 1"}
        assert expected.get(name, "images must be numbers from 0 to 1") in message, key


def test_what_the_command_says(program):
    home, _, said = program
    for name, lines in said.items():
        difference = float(lines.split("largest difference to the model ")[1].split()[0])
        assert difference <= 1e-6
        assert f"wrote {home / name / 'model'} (SavedModel" in lines
        assert {path.name for path in (home / name).iterdir()} >= {"inputs.npz", "model"}
        assert not any(path.name.startswith(".") for path in (home / name).iterdir())
        assert (home / name / "model").stat().st_mode & 0o777 == 0o755


class Unsaveable:
    """Stands in for a model; TensorFlow can't be asked to fail half-way."""

    arguments = property(lambda self: {"image_size": 64, "channels": 1})
    latent_dim = 32


def test_nothing_is_left_of_a_failed_export(tmp_path, monkeypatch):
    def fail(_, folder, **__):
        tf.io.gfile.makedirs(f"{folder}/variables")
        raise OSError("no more")

    monkeypatch.setattr(tf.saved_model, "save", fail)
    with pytest.raises(OSError, match="no more"):
        export_saved_model(Unsaveable(), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "precious").write_text("x")
    with pytest.raises(InputError, match="exists already; give a new or an empty folder"):
        export_saved_model(Unsaveable(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]
