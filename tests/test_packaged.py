"""A run made into a packaged model, and packaged models used by their names."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import without_curves

from cli.main import main
from davegan_tf import packaged
from davegan_tf.building import load_model
from davegan_tf.checkpoints import load_compact_weights
from davegan_tf.errors import InputError
from davegan_tf.run_folder import RunFolder


@pytest.fixture(scope="module")
def models(grains, tmp_path_factory):
    """A folder of packaged models with one, `steel`, made of the tiny run."""
    home = tmp_path_factory.mktemp("packaged")
    shutil.copytree(grains.run, home / "run")
    with without_curves():
        assert main(["evaluate", str(home / "run"), "--count", "8"]) == 0
    packaged.package(RunFolder(home / "run"), "steel", home / "models")
    return home / "models"


@pytest.fixture
def installed(models, monkeypatch, tmp_path):
    monkeypatch.setattr(packaged, "MODELS", models)
    monkeypatch.chdir(tmp_path)
    return models


def test_it_is_the_model_of_the_run(models, grains):
    model, step = load_model(RunFolder(models / "steel"))
    expected, expected_step = load_model(RunFolder(grains.run))
    assert step == expected_step
    for name in ("encoder", "generator"):
        pairs = zip(getattr(model, name).variables, getattr(expected, name).variables, strict=True)
        for one, other in pairs:
            np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_it_is_small_and_has_a_card(models):
    files = {path.name: path.stat().st_size for path in (models / "steel").iterdir()}
    assert files.keys() == {
        *("config.yaml", "manifest.json", "weights.npz", "evaluation.json", "README.md"),
    }
    assert sum(files.values()) < 1e6
    card = (models / "steel" / "README.md").read_text()
    for phrase in (
        "python -m cli generate steel",
        "python -m cli evaluate steel --count 8`",
        "--seed 0",
        "Licence of the data",
        "60 steps",
        "tensorflow 2.",
        "E_rec",
        "FAIL",
    ):
        assert phrase in card


def test_a_stand_in_is_never_packaged(models, tmp_path):
    shutil.copytree(models.parent / "run", tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    data = run.read_manifest()["data"]
    run.write_manifest(data={**data, "stands_in_for": "alloy"})
    with pytest.raises(InputError, match="was trained on a stand-in, which is no model of alloy"):
        packaged.package(run, "alloy", tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_nothing_tells_where_it_was_made(models, grains):
    for path in (models / "steel").glob("*.*"):
        if path.suffix != ".npz":
            assert str(grains.home) not in path.read_text()


def test_generate_and_evaluate_by_name(installed, grains, no_curves, capsys, tree):
    before = tree(installed)
    assert main(["generate", "steel", "--out", "by_name.npy"]) == 0
    assert main(["generate", str(grains.run), "--out", "by_run.npy"]) == 0
    np.testing.assert_array_equal(np.load("by_name.npy"), np.load("by_run.npy"))
    assert main(["evaluate", "steel", "--count", "8"]) == 0
    assert "wrote evaluations/steel/evaluation.json" in capsys.readouterr().out
    assert json.loads(Path("evaluations/steel/evaluation.json").read_text())["step"] == 60
    assert tree(installed) == before


def test_export_by_name(installed, tree):
    # The format whose check is the quickest.
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package, reason="the extra `export` is not installed")
    before = tree(installed)
    assert main(["export", "steel", "--format", "onnx", "--out", "exported"]) == 0
    assert tree(installed) == before


def test_a_run_folder_of_that_name_goes_first(installed, grains):
    shutil.copytree(grains.run, "steel")
    assert packaged.find_run(Path("steel")).path == Path("steel")
    assert not packaged.is_packaged(packaged.find_run(Path("steel")))


def test_a_folder_that_is_no_run_hides_no_model(installed):
    Path("steel").mkdir()
    Path("steel", "0.png").touch()
    assert packaged.is_packaged(packaged.find_run(Path("steel")))


def test_what_is_neither_is_told_what_there_is(installed):
    with pytest.raises(InputError, match=r"of that name; packaged are steel\.$"):
        packaged.find_run(Path("runs/other"))
    with pytest.raises(InputError, match=r"of that name; did you mean steel\?$"):
        packaged.find_run(Path("stell"))


@pytest.mark.parametrize("damage", ["cut", "other"])
def test_damaged_weights_are_refused(models, grains, tmp_path, damage):
    model, _ = load_model(RunFolder(grains.run))
    path = tmp_path / "weights.npz"
    if damage == "cut":
        path.write_bytes((models / "steel" / "weights.npz").read_bytes()[:1000])
    else:
        np.savez(path, kernel=np.zeros(3))
    with pytest.raises(InputError, match="install anew"):
        load_compact_weights(model, path)
