"""A training in files for a graphics card's machine: what is exported, run by JAX, comes back as a run."""

import contextlib
import csv
import gzip
import importlib.util
import io
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.pool import environment
from benchmarks.program import program
from cli.main import main
from davegan_tf import finishing
from davegan_tf.building import build_model, load_model
from davegan_tf.checkpoints import Checkpoints
from davegan_tf.config import load_config
from davegan_tf.davegan import LOGS
from davegan_tf.micrographs import load_from_config
from davegan_tf.run_folder import RunFolder
from davegan_tf.schedule import Schedule

# Two chunks of ten steps, of two of the four tiles each.
KEYS = [
    "data.source=grains",
    "data.micrograph_size=64",
    "data.image_size=32",
    "training.batch_size=2",
    "training.chunk_steps=10",
    "training.epochs=10",
    "training.threads=null",
    "training.backend=graph",
]
CONFIG = "paper/alloy.yaml"


def run(*arguments):
    """Exit code and stderr of ``python -m benchmarks.program``."""
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        code = main(list(map(str, arguments)), command=program)
    return code, errors.getvalue()


def export(folder, *keys):
    overrides = [part for key in [*KEYS, *keys] for part in ("--set", key)]
    return run("export", folder, "--config", CONFIG, *overrides)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("program") / "exported"
    assert export(folder) == (0, "")
    return folder


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Trainings that go on re-estimate batch normalisation at their end."""
    monkeypatch.setattr(finishing, "RECALIBRATION_BATCHES", 4)


LOGS_THERE = {name: float(index) for index, name in enumerate(sorted(LOGS))}


def as_trained(folder):
    """Write what ``benchmarks.card --train`` writes after one chunk of steps; returns the variables."""
    trained = arrays(folder / "expected.npz")
    np.savez(folder / "trained.npz", **trained)
    told = {
        "machine": {"processor": "a graphics card", "cores": 1, "devices": ["a graphics card"]},
        "versions": {"jax": "0"},
        "seconds": {"compilation": 2.0, "steps": 3.0},
        "logs": [{**LOGS_THERE, "finite_steps": 10}],
    }
    (folder / "trained.json").write_text(json.dumps(told))
    return trained


def arrays(path):
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def test_the_files_hold_the_training(exported):
    config = load_config(str(exported / "config.yaml"))
    assert config == load_config(CONFIG, KEYS)
    schedule = Schedule(config, load_from_config(config))
    positions = arrays(exported / "positions.npz")["arr_0"]
    assert positions.shape == (2, 10, 2, 2, 3)
    for index in (0, 1):  # what is encoded is what D is shown, in the paper
        expected = schedule.positions.positions(10, 10)
        np.testing.assert_array_equal(positions[1, :, index], expected)
    about = json.loads((exported / "program.json").read_text())
    start = dict(zip(about["arguments"], arrays(exported / "start.npz").values(), strict=True))
    np.testing.assert_array_equal(start["images"], schedule.images)
    # Every variable of a training is an argument, in its first state.
    checkpoints = Checkpoints(exported, build_model(config, 2))
    assert set(start) == {*checkpoints.variables, "images"}
    for name, variable in checkpoints.variables.items():
        np.testing.assert_array_equal(start[name], variable.numpy(), err_msg=name)
    after = arrays(exported / "expected.npz")
    assert after["training_step"] == 10
    trained = {name for name in start if name.endswith(("kernel", "gamma", "beta", "bias"))}
    assert trained <= set(after)
    assert about["results"] == [*sorted(about["logs"]), *after]


def test_the_program_is_one_of_stablehlo_alone(exported):
    text = gzip.decompress((exported / "program.mlir.gz").read_bytes()).decode()
    about = json.loads((exported / "program.json").read_text())
    signature = re.search(r"@main\((.*?)\) ->", text, re.DOTALL)[1]
    assert signature.count("%arg") == len(about["arguments"]) + 2
    returned = re.findall(r"^    return (.*?) :", text, re.MULTILINE)[-1]
    assert returned.count("%") == len(about["results"])
    dialects = set(re.findall(r"= \"?([a-z_]+)\.[a-z_]+", text))
    assert dialects == {"stablehlo", "func"}
    assert "stablehlo.while" in text


@pytest.mark.slow
def test_what_was_trained_becomes_a_run_that_train_finishes(exported, tmp_path):
    folder, home = tmp_path / "folder", tmp_path / "run"
    shutil.copytree(exported, folder)
    # As if one of the two chunks were run there.
    trained = as_trained(folder)
    assert run("collect", folder, home) == (0, "")
    code, errors = run("collect", folder, home)
    assert code == 2
    assert "holds a run already" in errors

    resume = ["train", "--config", home / "config.yaml", "--run-dir", home, "--resume"]
    resume += ["--epochs", "5"]
    with contextlib.chdir(tmp_path):
        assert main(list(map(str, resume))) == 0
    manifest = RunFolder(home).read_manifest()
    assert manifest["finished"]
    assert manifest["machine"]["devices"] == ["a graphics card"]
    assert manifest["versions"].keys() > {"jax", "tensorflow"}
    assert manifest["wall_seconds"] >= 5  # those of the card
    model, step = load_model(RunFolder(home))
    assert step == 10
    # The paper has no average of the weights: what was trained is what is used.
    kernel = model.encoder.stack.layers[0].kernel.numpy()
    np.testing.assert_array_equal(kernel, trained["encoder/layer_1/kernel"])


@pytest.mark.slow
def test_training_goes_on_in_the_same_history(exported, tmp_path):
    folder, home = tmp_path / "folder", tmp_path / "run"
    shutil.copytree(exported, folder)
    as_trained(folder)
    assert run("collect", folder, home) == (0, "")
    resume = ["train", "--config", home / "config.yaml", "--run-dir", home, "--resume"]
    with contextlib.chdir(tmp_path):
        assert main(list(map(str, resume))) == 0
    with (home / "history.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert list(first) == ["step", "epoch", *LOGS]
    assert (first["step"], second["step"], second["epoch"]) == ("10", "20", "10")
    for name, value in LOGS_THERE.items():
        assert float(first[name]) == value
    # One image's sum of 1024 cross-entropies, an answer of D.
    assert 100 < float(second["reconstruction_loss"]) < 1000
    assert 0 < float(second["probability_real"]) < 1


def replace(name, **changes):
    """What changes a JSON file of a folder."""

    def change(folder):
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def infinite(folder):
    values = arrays(folder / "trained.npz")
    values["encoder/layer_1/kernel"][0] = np.nan
    np.savez(folder / "trained.npz", **values)


def foreign(folder):
    np.savez(folder / "trained.npz", **arrays(folder / "trained.npz"), other=np.zeros(3))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "trained.json").unlink(), "has no trained.json"),
        (lambda folder: (folder / "trained.json").write_text("{"), "not readable"),
        (lambda folder: (folder / "trained.npz").write_bytes(b"PK"), "not readable"),
        (infinite, "encoder/layer_1/kernel is no longer finite"),
        (foreign, "of another program"),
        (replace("trained.json", logs=[{**LOGS_THERE, "finite_steps": 7}]), "after step 7"),
        (replace("trained.json", logs=[]), "of step 10, trained.json of 0"),
        (replace("program.json", digest="other"), "exported with other data than grains"),
    ],
)
def test_what_is_no_training_is_not_collected(exported, tmp_path, change, said):
    folder, home = tmp_path / "folder", tmp_path / "run"
    shutil.copytree(exported, folder)
    as_trained(folder)
    change(folder)
    code, errors = run("collect", folder, home)
    assert code == 2
    assert said in errors and errors.count("\n") == 1
    assert not home.exists()


def test_mistakes_are_told_before_anything_is_done(exported, tmp_path):
    code, errors = export(exported)
    assert code == 2
    assert "exists already" in errors
    code, errors = export(tmp_path / "new", "training.chunk_steps=50")
    assert code == 2
    assert "training.epochs: leaves 20 steps, less than one chunk" in errors
    keys = ["training.decay_after=0"]
    code, errors = export(tmp_path / "new", *keys)
    assert code == 2
    assert "training.decay_after: leaves 0 steps" in errors
    assert not (tmp_path / "new").exists()


def test_without_its_files_the_card_does_nothing(tmp_path):
    command = [sys.executable, "-m", "benchmarks.card", str(tmp_path)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    assert done.returncode == 2
    assert f"{tmp_path} has no program.json" in done.stderr


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_jax_computes_the_same_losses(exported, tmp_path):
    folder = tmp_path / "folder"
    shutil.copytree(exported, folder)
    command = [sys.executable, "-m", "benchmarks.card", str(folder), "--train"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    pairs = re.findall(r"^(\w+) +(\S+), expected (\S+)$", done.stdout, re.MULTILINE)
    about = json.loads((folder / "program.json").read_text())
    assert [name for name, *_ in pairs] == list(about["logs"])
    for name, found, expected in pairs:
        assert float(found) == pytest.approx(float(expected), rel=1e-4), name
    assert "2 chunks of 10 steps" in done.stdout
    # Its training begins anew after this check.
    assert arrays(folder / "trained.npz")["training_step"] == 20
    told = json.loads((folder / "trained.json").read_text())
    assert told["machine"]["devices"] and told["seconds"]["steps"] > 0
    logs = told["logs"]
    assert len(logs) == 2
    assert logs[0]["reconstruction_loss"] == pytest.approx(
        about["logs"]["reconstruction_loss"], rel=1e-4
    )
