"""The SavedModel, in a process that knows TensorFlow and nothing of this package, and in a C program."""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cli.main import main
from davegan_tf.building import load_model
from davegan_tf.dataset import encode_phases
from davegan_tf.export_savedmodel import SIGNATURES
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


def test_the_command_found_no_difference(program):
    home, _, said = program
    for name, lines in said.items():
        rows = re.findall(r"^(?:encode|generate|reconstruct) \w+ +(\S+)", lines, re.M)
        assert rows == 4 * ["0.0e+00"]
        assert f"wrote {home / name / 'model'} (TensorFlow SavedModel, " in lines


def test_it_holds_the_weights_in_use_alone(deployed):
    run, *_, folder = deployed
    model, _ = load_model(run)
    variables = [*model.encoder.variables, *model.generator.variables]
    size = sum(variable.numpy().nbytes for variable in variables)
    saved = sum(path.stat().st_size for path in (folder / "model" / "variables").iterdir())
    assert size <= saved < 1.02 * size


# The C program


@pytest.fixture(scope="module")
def c_program(tmp_path_factory):
    """examples/c/generate.c, compiled as its first comment says."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler (cc)")
    if sys.platform != "linux":
        pytest.skip("the libraries have other names than on Linux")
    source = Path(__file__).parents[1] / "examples" / "c" / "generate.c"
    lines = re.search(r"^ *TF=.*?(?=^ *\./generate)", source.read_text(), re.M | re.S)[0]
    folder = tmp_path_factory.mktemp("c")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = lines.replace("examples/c/generate.c", str(source)).replace("-Wall", "-Wall -Werror")
    subprocess.run(["sh", "-ec", command], cwd=folder, env={**os.environ, "PATH": path}, check=True)
    return folder / "generate"


@pytest.mark.parametrize(
    ("deployed", "seed"), [("grains", 0), ("three_phases", 11)], indirect=["deployed"]
)
def test_the_c_program_makes_what_generate_writes(c_program, deployed, seed, tmp_path):
    run, *_, folder = deployed
    command = [c_program, folder / "model", str(seed)]
    done = subprocess.run(command, capture_output=True, check=True)
    out = tmp_path / "labels.npy"
    command = ["generate", run.path, "--seed", seed, "--count", 1, "--out", out]
    assert main([str(part) for part in command]) == 0
    n_phases = run.read_manifest()["data"]["n_phases"]
    assert done.stdout == f"P5\n64 64\n{n_phases - 1}\n".encode() + np.load(out).tobytes()


def test_the_c_program_says_what_it_needs(c_program, tmp_path):
    for arguments, message in (
        ([], "usage: "),
        (["model", "x"], "usage: "),
        ([tmp_path, "0"], "Could not find SavedModel"),
    ):
        done = subprocess.run([c_program, *arguments], capture_output=True, text=True)
        assert done.returncode != 0 and done.stdout == ""
        assert message in done.stderr
