"""The commands end to end on tiny runs, and their refusals through the real command line."""

import ctypes
import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from conftest import settings, without_curves

from cli.main import main
from davegan_tf import registry, tensorflow_setup
from davegan_tf.micrographs import load_from_config
from davegan_tf.postprocessing import majority_filter
from davegan_tf.run_folder import RunFolder

ROOT = Path(__file__).parents[1]


def run(*arguments):
    return main([str(argument) for argument in arguments])


# What `train` says and leaves


def test_train_says_what_it_does_and_what_is_next(grains):
    said = grains.output
    for phrase in (
        "data: grains, one image of 128 × 128 pixels (generated: grains",
        "volume fractions: phase 0 0.1350, phase 1 0.8650",
        "samples: tiles of 64 × 64, 4 an epoch",
        "training: 60 epochs, 60 steps of 4 samples, seed 0",
        "run folder: runs/grains; TensorBoard: tb_logs/grains",
        "100%  epoch 60  step 60/60",
        "Trained 60 steps in",
        "python -m cli evaluate runs/grains",
        "python -m cli generate runs/grains --count 16 --out samples.png",
        "python -m cli export runs/grains --out exported/grains",
        "tensorboard --logdir tb_logs",
    ):
        assert phrase in said
    assert re.search(r"100% .* \d+ steps/s  D [\d.]+  G [\d.]+  E \d+  0:00 left", said)


def test_train_says_what_belongs_to_no_tile(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("odd.npy", np.indices((100, 140)).sum(axis=0) // 9 % 2)
    arguments = ("--config", "one_micrograph.yaml", "--set", "data.source=odd.npy", "--dry-run")
    assert run("train", *arguments) == 0
    assert "; the last 36 rows and 12 columns belong to no tile" in capsys.readouterr().out


def test_train_says_what_it_is_trained_on(three_phases, ellipses):
    assert "one image of 128 × 192 pixels (file stripes.npy)" in three_phases.output
    assert "belong to no tile" not in three_phases.output
    assert "phase 2 0.3" in three_phases.output
    assert "64 images of 32 × 32 pixels" in ellipses.output


def test_a_run_folder(grains):
    names = {path.name for path in grains.run.iterdir()} - {".lock", "evaluation.json"}
    assert names == {
        *("config.yaml", "manifest.json", "history.csv"),
        *("model.weights.h5", "checkpoints", "figures"),
    }
    assert {path.name for path in (grains.run / "figures").iterdir()} == {
        "overview.png",
        "losses.png",
    }
    assert {path.name for path in grains.home.iterdir()} == {"runs", "tb_logs"}


# generate


@pytest.mark.parametrize("name", ["grains", "three_phases", "ellipses"])
def test_generate(name, request, tmp_path, capsys):
    trained = request.getfixturevalue(name)
    side = 32 if name == "ellipses" else 64
    n_phases = 3 if name == "three_phases" else 2
    assert run("generate", trained.run, "--count", 5, "--seed", 3, "--out", tmp_path / "a.npy") == 0
    said = capsys.readouterr().out
    labels = np.load(tmp_path / "a.npy")
    assert labels.shape == (5, side, side)
    assert labels.max() < n_phases
    fractions = ", ".join(f"{(labels == phase).mean():.3f}" for phase in range(1, n_phases))
    assert f"volume fraction of phase 1 …: {fractions}" in said
    assert f"wrote {tmp_path / 'a.npy'} (5 images of {side} × {side}" in said


def test_the_same_seed_in_another_process_gives_the_same(grains, tmp_path, davegan):
    assert run("generate", grains.run, "--count", 3, "--seed", 5, "--out", tmp_path / "a.npy") == 0
    out = tmp_path / "new" / "b.npy"
    done = davegan("generate", grains.run, "--seed", "5", "--out", out, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    first, second = np.load(tmp_path / "a.npy"), np.load(out)
    assert len(second) == 16
    np.testing.assert_array_equal(first, second[:3])
    assert run("generate", grains.run, "--count", 3, "--seed", 6, "--out", tmp_path / "c.npy") == 0
    assert (np.load(tmp_path / "c.npy") != first).any()


def test_every_output_shows_the_same_samples(grains, tmp_path):
    for name in ("a.npy", "a.tif", "a.png", "folder"):
        assert run("generate", grains.run, "--count", 3, "--out", tmp_path / name) == 0
    labels = np.load(tmp_path / "a.npy")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), labels * 255)
    files = sorted((tmp_path / "folder").iterdir())
    np.testing.assert_array_equal([iio.imread(file) for file in files], labels * 255)
    assert iio.imread(tmp_path / "a.png").shape[-1] == 3


# reconstruct


def test_reconstruct_an_image_larger_than_the_model_s(grains, tmp_path, capsys):
    image = np.random.default_rng(0).integers(0, 2, (64, 150), dtype=np.uint8)
    np.save(tmp_path / "image.npy", image)
    assert run("reconstruct", grains.run, tmp_path / "image.npy", "--out", tmp_path / "a.npy") == 0
    said = capsys.readouterr().out
    whole = np.load(tmp_path / "a.npy")
    assert whole.shape == (1, 64, 150)
    assert f"pixels as in the original: {(whole[0] == image).mean():.2%}" in said
    np.save(tmp_path / "tile.npy", image[:, :64])
    assert run("reconstruct", grains.run, tmp_path / "tile.npy", "--out", tmp_path / "b.npy") == 0
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy")[0], whole[0, :, :64])


def test_reconstruct_by_name_and_by_threshold(grains, three_phases, ellipses, tmp_path, capsys):
    assert run("reconstruct", grains.run, "grains", "--out", tmp_path / "a.png") == 0
    assert iio.imread(tmp_path / "a.png").shape == (128, 128)
    grey = np.random.default_rng(0).integers(0, 256, (70, 80), dtype=np.uint8)
    iio.imwrite(tmp_path / "grey.png", grey)
    arguments = (tmp_path / "grey.png", "--threshold", "99.5", "--out", tmp_path / "b.npy")
    assert run("reconstruct", grains.run, *arguments) == 0
    assert "the stated threshold 99.5" in capsys.readouterr().out
    arguments = (tmp_path / "grey.png", "--phases", "3", "--out", tmp_path / "c.npy")
    assert run("reconstruct", three_phases.run, *arguments) == 0
    assert np.load(tmp_path / "c.npy").max() <= 2
    assert run("reconstruct", ellipses.run, "ellipses", "--out", tmp_path / "d.tif") == 0
    assert tifffile.imread(tmp_path / "d.tif").shape == (16, 32, 32)


# evaluate


@pytest.mark.parametrize("name", ["grains", "three_phases", "ellipses"])
def test_evaluate(name, request, tmp_path, capsys, monkeypatch):
    trained = request.getfixturevalue(name)
    shutil.copytree(trained.home, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    folder = trained.run.relative_to(trained.home)
    assert run("evaluate", folder, "--count", 8) == 0
    said = capsys.readouterr().out
    for phrase in ("E_rec", "E_gen", "φ, mean", "memorised share", "floor", "noise", "FAIL: "):
        assert phrase in said
    assert f"wrote {folder / 'evaluation.json'}" in said
    result = json.loads((folder / "evaluation.json").read_text())
    assert result["step"] == RunFolder(folder).read_manifest()["step"]
    assert result["data"] == RunFolder(folder).read_manifest()["data"]["name"]
    if name == "grains":
        again = (folder / "evaluation.json").read_bytes()
        with without_curves():
            assert run("evaluate", folder, "--count", 8) == 0
        assert (folder / "evaluation.json").read_bytes() == again


def test_evaluate_on_what_was_held_out(tmp_path, capsys, monkeypatch, no_curves):
    monkeypatch.chdir(tmp_path)
    values = settings(data__micrograph_size=128, data__image_size=32, data__holdout=0.25)
    values += settings(training__epochs=1)[-2:]
    values += settings(training__chunk_steps=1, training__recalibrate="false")
    assert run("train", "--config", "quickstart.yaml", *values, "--run-dir", "runs/part") == 0
    assert "96 × 128 pixels" in capsys.readouterr().out
    assert run("evaluate", "runs/part", "--count", 8, "--holdout") == 0
    assert "Reconstructions of 4 held-out tiles" in capsys.readouterr().out
    result = json.loads(Path("runs/part/evaluation_holdout.json").read_text())
    assert result["holdout"] and result["counts"]["tiles"] == 4
    assert not Path("runs/part/evaluation.json").exists()
    assert run("evaluate", "runs/part", "--count", 8) == 0
    assert json.loads(Path("runs/part/evaluation.json").read_text())["counts"]["tiles"] == 12
    # The digest is that of all the data.
    manifest = RunFolder("runs/part").read_manifest()
    assert manifest["data"]["shape"] == [1, 96, 128]


def test_evaluate_says_that_nothing_was_held_out(grains, davegan, no_tensorflow):
    done = davegan("evaluate", grains.run, "--holdout", cwd=grains.home, env=no_tensorflow)
    assert_refused(done, "train with --set data.holdout=0.25")


def test_filtered_samples_have_fewer_stray_pixels(grains, tmp_path, capsys, no_curves):
    for size, name in ((1, "as_they_are"), (3, "filtered")):
        out = tmp_path / f"{name}.npy"
        assert run("generate", grains.run, "--out", out, "--filter", size) == 0
    plain, filtered = (np.load(tmp_path / f"{name}.npy") for name in ("as_they_are", "filtered"))
    np.testing.assert_array_equal(majority_filter(plain, 2), filtered)
    assert (plain != filtered).any()
    assert run("evaluate", grains.run, "--count", 8, "--filter", 3, "--out", tmp_path) == 0
    assert json.loads((tmp_path / "evaluation.json").read_text())["filter"] == 3
    capsys.readouterr()
    assert run("generate", grains.run, "--out", tmp_path / "x.npy", "--filter", 2) == 2
    assert "expected an odd number of pixels" in capsys.readouterr().err
    assert not (tmp_path / "x.npy").exists()


def test_evaluate_refuses_other_data(three_phases, tmp_path, davegan, no_tensorflow, tree):
    shutil.copytree(three_phases.home, tmp_path / "copy")
    np.save(tmp_path / "copy" / "stripes.npy", np.load(three_phases.home / "stripes.npy")[::-1])
    before = tree(tmp_path)
    done = davegan("evaluate", "runs/stripes", cwd=tmp_path / "copy", env=no_tensorflow)
    assert_refused(done, "was trained on other data")
    assert tree(tmp_path) == before


# Refusals: one sentence, exit code 2, nothing written, TensorFlow not even imported


def assert_refused(done, *phrases):
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    *usage, last = done.stderr.splitlines()
    assert last.startswith("Error: "), done.stderr
    assert not usage or usage[0].startswith("Usage: "), done.stderr
    for phrase in phrases:
        assert phrase in last


@pytest.fixture
def desk(grains, tmp_path):
    """A working directory with a run, and with what is none."""
    shutil.copytree(grains.run, tmp_path / "runs" / "grains")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("precious")
    np.save(tmp_path / "three.npy", np.arange(3, dtype=np.uint8).repeat(64 * 64).reshape(192, 64))
    np.save(tmp_path / "small.npy", np.eye(40, dtype=np.uint8))
    iio.imwrite(tmp_path / "grey.png", np.arange(64 * 64).reshape(64, 64).astype(np.uint8))
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "half.yaml").write_text("data: {source: missing.png}\n")
    (tmp_path / "tb_logs" / "gone").mkdir(parents=True)
    (tmp_path / "tb_logs" / "gone" / "events.out.tfevents.1").write_text("precious")
    for folder, damaged in (("broken", "manifest"), ("hollow", "manifest"), ("bad", "evaluation")):
        (tmp_path / folder).mkdir()
        for name in ("config.yaml", "manifest.json"):
            shutil.copy(grains.run / name, tmp_path / folder / name)
        text = "{" if folder == "broken" else "{}"
        (tmp_path / folder / f"{damaged}.json").write_text(text)
    return tmp_path


MISSING, NO_RUN = "there is no such run folder", "not a run folder, it has no config.yaml"
NEITHER = "nor a packaged model of that name; packaged are alloy, "
REFUSALS = [
    # run folders
    ("generate runs/grain --out a.npy", NEITHER),
    ("reconstruct nowhere grains --out a.npy", NEITHER),
    ("evaluate nowhere", NEITHER),
    ("export nowhere --out model", NEITHER),
    ("train --run-dir nowhere --resume", MISSING),
    ("train --config quickstart.yaml --run-dir nowhere --resume", MISSING),
    ("generate notes --out a.npy", NO_RUN),
    ("evaluate notes", NO_RUN),
    ("export notes/a.txt --out model", NO_RUN),
    ("train --run-dir notes --resume", NO_RUN),
    ("generate broken --out a.npy", "broken/manifest.json: not readable as JSON"),
    ("export broken --out model", "broken/manifest.json: not readable as JSON"),
    ("generate hollow --out a.npy", "hollow/manifest.json: data.name, data.digest"),
    ("export bad --out model", "bad/evaluation.json: step, seed, filter"),
    ("train --config quickstart.yaml --run-dir runs/grains", "holds a run already; continue it"),
    ("train --config quickstart.yaml --run-dir runs/gone", "tb_logs/gone: is the log of another"),
    ("train --config quickstart.yaml --run-dir notes", "holds something that is no run"),
    ("train --config quickstart.yaml --run-dir notes --overwrite", "something that is no run"),
    ("train --config quickstart.yaml --run-dir notes/a.txt", "is a file, expected a folder"),
    ("train --config ellipses.yaml --run-dir runs/grains --resume", "belongs to another config"),
    ("train --run-dir runs/grains --resume --seed 1", "it differs in seed (run: 0, now: 1)"),
    # arguments
    ("train", "give --config FILE"),
    ("train --config quickstart.yaml --resume --overwrite", "contradict each other"),
    ("train --config quickstart.yaml --epochs 0", "0 is not in the range"),
    ("train --config half.yaml", 'there is no file "missing.png"'),
    ("train --config missing.yaml", 'There is no config "missing.yaml"'),
    ("generate runs/grains", "Missing option '--out'"),
    ("generate runs/grains --count 0 --out a.npy", "0 is not in the range"),
    ("generate runs/grains --seed -1 --out a.npy", "-1 is not in the range"),
    (f"generate runs/grains --seed {2**70} --out a.npy", "is not in the range"),
    ("evaluate runs/grains --count 1", "1 is not in the range"),
    # outputs
    ("generate runs/grains --out a.jpg", ".jpg can't be written; end the name in .npy"),
    ("generate runs/grains --out notes", "exists already; give a new or an empty folder"),
    ("generate runs/grains --out notes/a.txt/b.npy", "can't be written to; choose another"),
    ("reconstruct runs/grains grains --out a.gif", ".gif can't be written"),
    ("reconstruct runs/grains grains --out notes/a.txt/b", "can't be written to"),
    ("reconstruct runs/grains ./three.npy --out three.npy", "would replace ./three.npy, which is"),
    ("export runs/grains --out notes", "exists already; give a new or an empty folder"),
    ("export runs/grains --out three.npy", "exists already"),
    ("export runs/grains --out three.npy/model", "can't be written to"),
    ("train --config quickstart.yaml --run-dir three.npy/run", "--run-dir three.npy/run"),
    # images
    ("reconstruct runs/grains grain --out a.npy", 'did you mean "grains"?'),
    ("reconstruct runs/grains three.npy --out a.npy", "has 3 phases, but the model"),
    ("reconstruct runs/grains small.npy --out a.npy", "too small: 40 × 40 pixels"),
    ("reconstruct runs/grains ellipses --out a.npy", "ellipses: is too small, 32 × 32 pixels"),
    ("reconstruct runs/grains text.png --out a.npy", "text.png"),
    ("reconstruct runs/grains grey.png --out a.npy", "grey.png"),
    ("reconstruct runs/grains grey.png --threshold x --out a.npy", "expected otsu or a number"),
    ("reconstruct runs/grains grey.png --threshold nan --out a.npy", "threshold"),
    (
        "reconstruct runs/grains grey.png --threshold 3 --phases 2 --out a.npy",
        "contradict each other",
    ),
]


@pytest.mark.parametrize(("command", "words"), REFUSALS, ids=[command for command, _ in REFUSALS])
def test_refused(command, words, desk, capsys, monkeypatch, tree):
    def too_early(*_):
        raise RuntimeError("TensorFlow would have been imported")

    monkeypatch.setattr(tensorflow_setup, "start_tensorflow", too_early)
    monkeypatch.chdir(desk)
    before = tree(desk)
    code = run(*command.split())
    said = capsys.readouterr()
    assert_refused(subprocess.CompletedProcess(command, code, said.out, said.err), words)
    assert said.out == ""
    assert tree(desk) == before


# The same with processes, for some of every kind.
@pytest.mark.parametrize("index", range(0, len(REFUSALS), 12), ids=lambda index: REFUSALS[index][0])
def test_refused_by_the_process(index, desk, davegan, no_tensorflow, tree):
    command, words = REFUSALS[index]
    before = tree(desk)
    done = davegan(*command.split(), cwd=desk, env=no_tensorflow)
    assert_refused(done, words)
    assert done.stdout == ""
    assert tree(desk) == before


def test_the_fake_tensorflow_does_fail(desk, davegan, no_tensorflow):
    done = davegan("export", "runs/grains", "--out", "model", cwd=desk, env=no_tensorflow)
    assert "tensorflow was imported" in done.stderr


def test_a_damaged_model_is_refused(desk, monkeypatch, capsys, tree):
    os.truncate(desk / "runs" / "grains" / "model.weights.h5", 1000)
    monkeypatch.chdir(desk)
    before = tree(desk)
    assert run("generate", "runs/grains", "--out", "a.npy") == 2
    error = capsys.readouterr().err
    assert error.startswith("Error: runs/grains/model.weights.h5: not the weights of this run")
    assert error.count("\n") == 1
    assert tree(desk) == before


def bound_by_permissions():
    """In a child: root too is bound by permissions (capability CAP_DAC_OVERRIDE dropped)."""
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="root is bound by permissions on Linux only")
@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("generate ../runs/grains --out a.npy", "--out a.npy"),
        ("export ../runs/grains --out new/model", "--out new/model"),
        ("train --config quickstart.yaml", "--run-dir runs/quickstart"),
        ("train --config quickstart.yaml --run-dir ../run", "TensorBoard's log tb_logs/run"),
    ],
)
def test_a_folder_that_may_not_be_written(command, words, desk, davegan, no_tensorflow, tree):
    closed = desk / "closed"
    closed.mkdir(mode=0o555)
    before = tree(desk)
    done = davegan(*command.split(), cwd=closed, env=no_tensorflow, preexec_fn=bound_by_permissions)
    assert_refused(done, words, "can't be written to; choose another place")
    assert tree(desk) == before


# --dry-run


def test_dry_run_writes_nothing(desk, davegan, no_tensorflow, tree):
    before = tree(desk)
    for arguments in (
        ("--config", "quickstart.yaml", "--set", "data.micrograph_size=128"),
        ("--config", "quickstart.yaml", "--run-dir", "new/run", "--epochs", "3"),
        ("--run-dir", "runs/grains", "--resume", "--epochs", "99"),
    ):
        done = davegan("train", *arguments, "--dry-run", cwd=desk, env=no_tensorflow)
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith("Dry run: nothing was written.\n")
        assert "volume fractions" in done.stdout
        assert tree(desk) == before
    assert "training: 99 epochs, 99 steps" in done.stdout


@pytest.mark.parametrize(("epochs", "named"), [(99, True), (7100, False)])
def test_settings_that_a_short_training_does_not_reach_are_named(
    epochs, named, desk, davegan, no_tensorflow
):
    late = ("--set", "training.decay_after=7000", "--set", "training.freeze_statistics_after=49")
    arguments = ("train", "--config", "quickstart.yaml", *late, "--epochs", epochs, "--dry-run")
    done = davegan(*arguments, cwd=desk, env=no_tensorflow)
    assert done.returncode == 0, done.stderr
    note = f"note: not reached within {epochs} epochs, so without effect: "
    assert (note in done.stdout) == named
    assert ("training.decay_after 7000" in done.stdout) == named
    assert "freeze_statistics_after" not in done.stdout


def test_overwrite(desk, davegan, no_tensorflow, tree):
    """--overwrite is only done when the training starts: not by a dry run, not before an error."""
    before = tree(desk)
    arguments = ("train", "--config", "quickstart.yaml", "--run-dir", "runs/grains", "--overwrite")
    done = davegan(*arguments, "--dry-run", cwd=desk, env=no_tensorflow)
    assert done.returncode == 0, done.stderr
    done = davegan(*arguments, "--set", "data.source=missing.png", cwd=desk, env=no_tensorflow)
    assert_refused(done, "missing.png")
    assert tree(desk) == before


# The micrograph can't be had


@pytest.fixture
def stranded(tmp_path, no_tensorflow):
    """A copy of the project where no micrograph can be found or downloaded: folder, environment."""
    copy = tmp_path / "somewhere" / "project"
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("cli", "davegan_tf", "configs"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    closed = "http://127.0.0.1:9"  # nobody listens there
    environment = no_tensorflow | {
        "HOME": str(tmp_path / "home"),
        "XDG_CACHE_HOME": str(tmp_path / "home"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment |= {
        name: closed for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
    }
    environment |= {"NO_PROXY": "", "no_proxy": ""}
    environment.pop("DAVEGAN_DATA", None)
    return copy, environment


def test_without_a_fallback_the_ways_out_are_named(stranded, davegan, tree):
    copy, environment = stranded
    before = tree(copy)
    arguments = ("--config", "alloy.yaml", "--set", "data.offline_fallback=null")
    done = davegan("train", *arguments, cwd=copy, env=environment)
    assert_refused(
        done,
        'The micrograph "alloy" (alloy_resized.npy) is not on this computer',
        "(no connection)",
        "DAVEGAN_DATA",
        registry.UPSTREAM,
        '"grains", which is generated',
    )
    assert tree(copy) == before


WARNING = (
    "WARNING: the model is trained on the built-in generator grains INSTEAD of the micrograph alloy, which was"
    " neither on this machine nor could be downloaded (data.offline_fallback).\n"
)


def test_with_a_fallback_it_is_announced(stranded, davegan, tree):
    copy, environment = stranded
    before = tree(copy)
    done = davegan("train", "--config", "alloy.yaml", "--dry-run", cwd=copy, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == WARNING
    assert "data: grains (built-in generator, in place of alloy)" in done.stdout
    assert tree(copy) == before


def test_training_on_the_fallback_never_hides_it(tmp_path, monkeypatch, capsys):
    from davegan_tf import figures

    def unobtainable(name):
        raise registry.NotObtainable(name)

    titles = []
    overview = figures.overview
    monkeypatch.setattr(
        figures, "overview", lambda *args: titles.append(args[-1]) or overview(*args)
    )
    monkeypatch.setattr(registry, "search_folders", lambda: [])
    monkeypatch.setattr(registry, "download", unobtainable)
    monkeypatch.chdir(tmp_path)
    values = (
        "data.micrograph_size=64",
        "training.batch_size=4",
        "training.chunk_steps=1",
        "training.recalibrate=false",
        "training.backend=graph",
    )
    values = [part for value in values for part in ("--set", value)]
    assert run("train", "--config", "alloy.yaml", "--epochs", 2, *values) == 0
    said = capsys.readouterr()
    assert said.err == 2 * WARNING, "once at the start, once at the end"
    assert RunFolder("runs/alloy").read_manifest()["data"]["stands_in_for"] == "alloy"
    assert titles == ["grains (built-in generator, in place of alloy), seed 0, 1 steps"]
    assert run("generate", "runs/alloy", "--out", "a.png") == 0
    assert "runs/alloy (grains in place of alloy), step 1" in capsys.readouterr().out
    # The micrograph is there again: the run goes on with what it began with, and says so.
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert run("train", "--run-dir", "runs/alloy", "--resume", "--epochs", 3) == 0
    assert capsys.readouterr().err == 2 * WARNING


def test_what_has_no_report_counts_as_not_measured(grains, tmp_path, monkeypatch, capsys):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("davegan_tf.report.write_report", full)
    assert run("evaluate", grains.run, "--count", 4, "--out", tmp_path) == 2
    assert "The disk is full" in capsys.readouterr().err
    assert not (tmp_path / "evaluation.json").exists()


# The disk is full

FULL = """
import os, sys
from cli.main import main
disk, runs = sys.argv[1:]
def report(name, *arguments):
    before = sorted(os.listdir(disk))
    print("BEGIN", name, file=sys.stderr)
    code = main([*arguments])
    print(name, code, sorted(set(os.listdir(disk)) - set(before)), flush=True)
report("npy", "generate", runs, "--count", "200", "--out", disk + "/a.npy")
report("folder", "generate", runs, "--count", "400", "--out", disk + "/folder")
report("export", "export", runs, "--out", disk + "/model")
epochs = ("--epochs", "2", "--set", "training.chunk_steps=1", "--set", "training.checkpoint_every=1",
          "--set", "training.backend=graph")
report("train", "train", "--config", "ellipses.yaml", "--set", "data.count=64", *epochs,
       "--run-dir", disk + "/run")
print("checkpoints", os.listdir(disk + "/run/checkpoints"))
"""


def test_a_full_disk(grains, tmp_path, shell):
    """A real disk of 400 KB, mounted for one process alone."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = 'mount -t tmpfs -o size=400k none "$0" && exec "$@"'
    private = ["unshare", "-mr", "sh", "-c", mount, str(disk)]
    if shutil.which("unshare") is None or subprocess.run([*private, "true"]).returncode:
        pytest.skip("no small disk can be mounted here (needs unshare and user namespaces)")
    done = subprocess.run(
        [*private, sys.executable, "-c", FULL, str(disk), str(grains.run)],
        cwd=tmp_path,
        env=shell(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    ends = [line for line in done.stdout.splitlines() if re.match(r"\w+ 2? ?\[", line)]
    assert ends == ["npy 2 []", "folder 2 []", "export 2 []", "train 2 ['run']", "checkpoints []"]
    blocks = done.stderr.split("BEGIN ")[1:]
    for block in blocks:
        name, *lines = block.splitlines()
        assert len(lines) == 1, block
        assert lines[0].startswith("Error: The disk is full"), name


def test_data_of_the_tiny_runs_is_what_their_config_says(grains, ellipses):
    for trained in (grains, ellipses):
        folder = RunFolder(trained.run)
        folder.check_data(load_from_config(folder.read_config()))
