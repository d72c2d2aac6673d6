"""Training: what it leaves behind, and that interruptions of every kind change nothing."""

import contextlib
import csv
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cli.main import main
from davegan_tf import finishing, training
from davegan_tf.building import build_model, load_model
from davegan_tf.callbacks import History, due
from davegan_tf.chunk import Chunk
from davegan_tf.config import load_config
from davegan_tf.dataset import encode_phases
from davegan_tf.davegan import LOGS
from davegan_tf.errors import InputError
from davegan_tf.manifest import PACKAGES
from davegan_tf.micrographs import load_from_config
from davegan_tf.run_folder import RunFolder
from davegan_tf.training import TrainingDivergedError, train


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    return header, np.array(rows, float)


def everything(run):
    """Every variable of a run's finished model and of its final checkpoint."""
    values = {}
    with h5py.File(run / "model.weights.h5") as file:
        file.visititems(
            lambda name, item: values.update({name: item[()]} if hasattr(item, "dtype") else {})
        )
    newest = max((run / "checkpoints").glob("*.index"), key=lambda p: int(p.stem.split("-")[1]))
    reader = tf.train.load_checkpoint(str(newest.with_suffix("")))
    for name in reader.get_variable_to_dtype_map():
        if not name.startswith("_CHECKPOINTABLE"):
            values[name] = reader.get_tensor(name)
    return values


def assert_identical(one, other):
    assert one.keys() == other.keys()
    differing = [name for name in one if one[name].tobytes() != other[name].tobytes()]
    assert differing == []


def tiny(*overrides):
    """Config and data of a training that compiles quickly (Table 2)."""
    keys = ["data.count=16", "training.batch_size=4", "training.epochs=6", "training.chunk_steps=4"]
    keys += ["training.images_every=null", "training.evaluate_every=null"]
    keys += ["training.recalibrate=false", "training.checkpoint_every=4"]
    keys += ["model.normalization=batch", "training.backend=graph", *overrides]
    config = load_config("paper/ellipses.yaml", keys)
    return config, load_from_config(config)


@pytest.fixture
def models(monkeypatch):
    """The models that ``train`` builds, as soon as it has built them."""
    built = []
    monkeypatch.setattr(
        training, "build_model", lambda *args: built.append(build_model(*args)) or built[-1]
    )
    return built


# What a run leaves behind


def test_history(grains):
    header, table = rows(grains.run / "history.csv")
    assert header == ["step", "epoch", *LOGS]
    np.testing.assert_array_equal(table[:, 0], np.arange(5, 65, 5))
    np.testing.assert_array_equal(table[:, 1], table[:, 0])  # four tiles, batches of four
    assert np.isfinite(table).all()
    probabilities = table[:, [name.startswith("probability") for name in header]]
    assert ((probabilities > 0) & (probabilities < 1)).all()
    columns = dict(zip(header, table.T, strict=True))
    weights = RunFolder(grains.run).read_config().model
    total = weights.lambda_vae * columns["adversarial_vae_loss"]
    total += weights.lambda_noise * columns["adversarial_noise_loss"]
    total += weights.lambda_rec * columns["reconstruction_loss"]
    np.testing.assert_allclose(columns["generator_loss"], total, rtol=1e-4)


def test_tensorboard(grains):
    log = EventAccumulator(
        str(grains.home / "tb_logs" / "grains"), size_guidance={"tensors": 0}
    ).Reload()
    tags = set(log.Tags()["tensors"])
    groups = {
        name: f"{'probabilities' if name.startswith('probability') else 'training_losses'}/{name}"
        for name in LOGS
    }
    sets = ("training_tiles", "reconstructed_images", "generated_images")
    assert tags == {
        *groups.values(),
        *(f"images/{name}" for name in sets),
        *(f"volume_fraction_1/{name}" for name in sets),
        *("measures/E_rec", "measures/E_gen", "measures/volume_fraction_1_error"),
        *("config", "data"),
    }
    header, table = rows(grains.run / "history.csv")
    for name, tag in groups.items():
        events = log.Tensors(tag)
        assert [event.step for event in events] == list(range(5, 65, 5))
        values = [tf.make_ndarray(event.tensor_proto) for event in events]
        np.testing.assert_allclose(values, table[:, header.index(name)], rtol=1e-5)
    for tag in ("images/generated_images", "measures/E_rec", "volume_fraction_1/training_tiles"):
        assert [event.step for event in log.Tensors(tag)] == [20, 40, 60]
    assert [event.step for event in log.Tensors("images/training_tiles")] == [0]

    def numbers(tag):
        return [tf.make_ndarray(event.tensor_proto) for event in log.Tensors(tag)]

    of_tiles, of_samples = (numbers(f"volume_fraction_1/{sets[i]}") for i in (0, 2))
    error = numbers("measures/volume_fraction_1_error")
    np.testing.assert_allclose(error, np.subtract(of_samples, of_tiles), atol=1e-6)
    (text,) = log.Tensors("config")
    assert b"source: grains" in tf.make_ndarray(text.tensor_proto).item()


def test_tensorboard_of_three_phases(three_phases):
    log = EventAccumulator(
        str(three_phases.home / "tb_logs" / "stripes"), size_guidance={"tensors": 0}
    )
    tags = set(log.Reload().Tags()["tensors"])
    measured = {f"volume_fraction_{phase}_error" for phase in (1, 2)} | {"E_rec"}
    assert {f"measures/{name}" for name in measured} <= tags
    assert {"training_losses/discriminator_loss", "images/generated_images"} <= tags
    assert {"volume_fraction_1/training_tiles", "volume_fraction_2/training_tiles"} <= tags
    config = RunFolder(three_phases.run).read_config()
    assert config.data.source == "stripes.npy"


def test_manifest(grains, three_phases):
    manifest = json.loads((grains.run / "manifest.json").read_text())
    assert manifest["finished"] is True
    assert manifest["step"] == 60
    assert manifest["seed"] == 0
    assert manifest["wall_seconds"] > 0
    assert manifest["data"] == {
        "name": "grains",
        "origin": "generated: grains, 128 × 128 pixels, seed 0",
        "digest": manifest["data"]["digest"],
        "segmentation": manifest["data"]["segmentation"],
        "n_phases": 2,
        "shape": [1, 128, 128],
        "stands_in_for": None,
    }
    assert re.fullmatch(r"[0-9a-f]{64}", manifest["data"]["digest"])
    assert manifest["versions"]["tensorflow"] == tf.__version__
    assert manifest["versions"].keys() == set(PACKAGES)
    assert manifest["machine"]["cores"] == os.cpu_count()
    assert manifest["machine"]["devices"][0] == "CPU"
    other = RunFolder(three_phases.run).read_manifest()["data"]
    assert other["n_phases"] == 3
    assert other["shape"] == [1, 128, 192]


def test_config_is_the_resolved_one(grains):
    config = RunFolder(grains.run).read_config()
    assert config.training.epochs == 60
    assert config.data.micrograph_size == 128
    assert "adam_beta_2: 0.999" in (grains.run / "config.yaml").read_text(), (
        "defaults must be in it"
    )


# Interrupted and resumed, with real processes


class Process:
    """A training as a process of its own."""

    def __init__(self, home, *arguments):
        self.run = home / "runs" / "grains"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli", *arguments],
            cwd=home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, step):
        """Wait until this step is in history.csv."""
        history = self.run / "history.csv"
        end = time.monotonic() + 120
        while time.monotonic() < end and self.process.poll() is None:
            lines = history.read_text().splitlines() if history.is_file() else []
            if len(lines) > 1 and int(lines[-1].split(",")[0]) >= step:
                return
            time.sleep(0.005)
        self.process.kill()
        raise AssertionError(f"step {step} was not reached: {self.process.communicate()}")

    def end(self, signal_number=None):
        """Send a signal, or just wait; the exit code, stdout and stderr."""
        if signal_number is not None:
            self.process.send_signal(signal_number)
        out, err = self.process.communicate(timeout=200)
        return self.process.returncode, out, err


RESUME = ("train", "--run-dir", "runs/grains", "--resume")


@pytest.fixture(scope="module")
def interrupted(grains, tmp_path_factory):
    """The run of ``grains`` once more, with three processes killed or interrupted on the way."""
    home = tmp_path_factory.mktemp("interrupted")
    record = {"home": home, "run": home / "runs" / "grains"}
    process = Process(home, *grains.arguments)
    process.wait_for(25)
    record["kill"] = process.end(signal.SIGKILL)
    record["manifest_after_kill"] = RunFolder(record["run"]).read_manifest()
    record["history_after_kill"] = rows(record["run"] / "history.csv")[1]

    process = Process(home, *RESUME)
    process.wait_for(30)
    errors = []
    # A second training, at the same time.
    for arguments in ([*RESUME], [*grains.arguments, "--overwrite"]):
        output = home / "stderr.txt"
        with contextlib.chdir(home), output.open("w") as err, contextlib.redirect_stderr(err):
            process.process.send_signal(signal.SIGSTOP)
            try:
                code = main(arguments)
            finally:
                process.process.send_signal(signal.SIGCONT)
        errors.append((code, output.read_text()))
        output.unlink()
    record["second"] = errors
    record["SIGTERM"] = process.end(signal.SIGTERM)
    record["after_SIGTERM"] = checkpoint_steps(record["run"])

    process = Process(home, *RESUME)
    process.wait_for(record["after_SIGTERM"][-1] + 5)
    record["SIGINT"] = process.end(signal.SIGINT)
    record["after_SIGINT"] = checkpoint_steps(record["run"])

    out, err = io.StringIO(), io.StringIO()
    streams = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
    with contextlib.chdir(home), streams[0], streams[1]:
        code = main([*RESUME])
    record["end"] = code, out.getvalue(), err.getvalue()
    return record


def checkpoint_steps(run):
    return sorted(int(path.stem.split("-")[1]) for path in (run / "checkpoints").glob("*.index"))


def test_a_killed_run_resumed_ends_with_the_same_bits(interrupted, grains):
    code, out, err = interrupted["end"]
    assert code == 0, err
    resumed = int(re.search(r"resumed at step (\d+) of 60", out)[1])
    assert f"Trained {60 - resumed} steps (from step {resumed} to 60) in" in out
    assert interrupted["kill"][0] == -signal.SIGKILL
    assert interrupted["history_after_kill"][-1, 0] < 60
    assert interrupted["manifest_after_kill"]["wall_seconds"] > 0
    assert_identical(everything(interrupted["run"]), everything(grains.run))


def test_its_history_is_the_same_too(interrupted, grains):
    history = (interrupted["run"] / "history.csv").read_bytes()
    assert history == (grains.run / "history.csv").read_bytes()


def test_its_manifest_adds_up(interrupted, grains):
    manifest = RunFolder(interrupted["run"]).read_manifest()
    expected = RunFolder(grains.run).read_manifest()
    for key in ("seed", "data", "step", "finished", "versions"):
        assert manifest[key] == expected[key]
    for each in (manifest, expected):
        assert each["seconds"].keys() == {"compilation", "steps", "logs", "checkpoints"}
        assert 0 < each["seconds"]["steps"] <= sum(each["seconds"].values())
        assert sum(each["seconds"].values()) <= each["wall_seconds"] + 0.5


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_ends_in_order(name, code, interrupted):
    found, out, err = interrupted[name]
    assert found == code, err
    assert "Traceback" not in err
    step = interrupted[f"after_{name}"][-1]
    assert f"Interrupted at step {step} of 60; everything is saved. Go on with:" in out
    assert "python -m cli train --run-dir runs/grains --resume" in out
    assert step % 5 == 0
    assert 25 <= step < 60


def test_a_second_training_at_the_same_time_is_refused(interrupted):
    for code, error in interrupted["second"]:
        assert code == 2
        assert error.startswith(
            "Error: runs/grains: another process is training in this run folder"
        )
        assert error.count("\n") == 1


@pytest.mark.slow
def test_killed_again_and_again_at_any_time(grains, tmp_path):
    rng = random.Random(0)
    process = Process(tmp_path, *grains.arguments)
    process.wait_for(0)
    for _ in range(8):
        time.sleep(rng.uniform(0, 3))
        process.end(signal.SIGKILL)
        process = Process(tmp_path, *RESUME)
        time.sleep(rng.uniform(5, 12))
    code, _, err = process.end()
    assert code == 0, err
    assert_identical(everything(tmp_path / "runs" / "grains"), everything(grains.run))
    assert (tmp_path / "runs/grains/history.csv").read_bytes() == (
        grains.run / "history.csv"
    ).read_bytes()


# Resumed in this process


@pytest.fixture
def ellipses_copy(ellipses, tmp_path, monkeypatch):
    shutil.copytree(ellipses.run, tmp_path / "runs" / "ellipses")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(finishing, "RECALIBRATION_BATCHES", 2)
    return tmp_path / "runs" / "ellipses"


def resume(*arguments):
    return main(["train", "--run-dir", "runs/ellipses", "--resume", *arguments])


def test_more_epochs(ellipses_copy, capsys):
    assert RunFolder(ellipses_copy).read_manifest()["step"] == 24
    # As if the finished model were older than the newest checkpoint: the data of step 24 are damaged.
    (damaged,) = (ellipses_copy / "checkpoints").glob("ckpt-24.data*")
    os.truncate(damaged, 1000)
    assert resume("--epochs", "4") == 0
    out = capsys.readouterr().out
    assert "WARNING: checkpoint 24 is damaged; going on from an older one." in out
    assert "resumed at step 20 of 32" in out
    run = RunFolder(ellipses_copy)
    assert run.read_manifest()["step"] == 32
    assert run.read_config().training.epochs == 4
    np.testing.assert_array_equal(rows(run.history)[1][:, 0], [5, 10, 15, 20, 25, 30, 32])
    _, step = load_model(run)
    assert step == 32


def test_fewer_epochs_than_done(ellipses_copy, capsys, tree):
    before = tree(ellipses_copy)
    assert resume("--epochs", "2") == 2
    assert "was trained for 24 steps already, more than the 16 of" in capsys.readouterr().err
    assert tree(ellipses_copy) == before


def test_no_readable_checkpoint(ellipses_copy, capsys, tree):
    for index in (ellipses_copy / "checkpoints").glob("*.index"):
        os.truncate(index, 10)
    before = tree(ellipses_copy)
    assert resume("--epochs", "4") == 2
    error = capsys.readouterr().err
    assert "none of the checkpoints (steps 24, 20) can be read" in error
    assert error.count("\n") == 1
    assert tree(ellipses_copy) == before


@pytest.mark.parametrize("left", ["manifest.json", "model.weights.h5", "weights.npz"])
def test_a_finished_run_without_checkpoints_does_not_start_again(left, ellipses_copy, capsys, tree):
    """Whatever tells that it is finished: nothing of it is lost."""
    run = RunFolder(ellipses_copy)
    shutil.rmtree(run.checkpoints)
    if left == "weights.npz":
        run.compact_weights.touch()
    if left != "model.weights.h5":
        run.weights.unlink()
    if left != "manifest.json":
        manifest = run.read_manifest()
        del manifest["step"]
        run.manifest.write_text(json.dumps(manifest))
    before = tree(ellipses_copy)
    assert resume("--epochs", "4") == 2
    error = capsys.readouterr().err
    assert "is finished, but its checkpoints are gone: it can't go on; train anew with" in error
    assert error.count("\n") == 1
    assert tree(ellipses_copy) == before


def test_other_config(ellipses_copy, capsys, tree):
    before = tree(ellipses_copy)
    assert resume("--set", "model.beta=7.5", "--seed", "3") == 2
    error = capsys.readouterr().err
    assert "belongs to another configuration" in error
    assert re.search(r"model\.beta \(run: [\d.]+, now: 7\.5\)", error)
    assert "seed (run: 0, now: 3)" in error
    assert tree(ellipses_copy) == before


def test_other_data(three_phases, tmp_path, monkeypatch, capsys, tree):
    shutil.copytree(three_phases.home, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    labels = np.load("stripes.npy")
    np.save("stripes.npy", labels[::-1])
    before = tree(tmp_path)
    for more in ((), ("--dry-run",)):
        assert main(["train", "--run-dir", "runs/stripes", "--resume", *more]) == 2
        assert "was trained on other data (stripes, file stripes.npy)" in capsys.readouterr().err
    assert tree(tmp_path) == before


def test_load_model_takes_the_newest(ellipses_copy):
    run = RunFolder(ellipses_copy)
    run.weights.unlink()
    model, step = load_model(run)
    assert step == 24
    assert int(model.training_step) == 24
    shutil.rmtree(run.checkpoints)
    with pytest.raises(InputError, match="holds no finished model and no readable checkpoint"):
        load_model(run)


# A loss that is no longer finite


def test_a_loss_that_turns_nan(tmp_path):
    rate = "training.generator_learning_rate=1e30"
    config, data = tiny(rate, "training.checkpoint_every=1000")
    run = RunFolder(tmp_path / "run")
    with pytest.raises(TrainingDivergedError) as error:
        train(config, data, run)
    message = str(error.value)
    assert re.search(
        r"a loss is no longer finite at step [2-4]; there is no checkpoint yet", message
    )
    assert "Lower the learning rates" in message
    assert run.read_manifest()["finished"] is False
    assert not run.weights.exists()
    assert not run.checkpoints.exists()


class Poison:
    """An observer that spoils a weight after some step."""

    def __init__(self, model, step):
        self.model, self.step = model, step

    def start(self, *_):
        pass

    def compiled(self, *_):
        pass

    def chunk(self, previous, step, logs):
        if step == self.step:
            weight = self.model[0].encoder.trainable_variables[0]
            weight.assign(weight * np.nan)


def test_a_weight_that_turns_nan_names_the_last_good_checkpoint(tmp_path, models, capsys):
    config, data = tiny()
    run = RunFolder(tmp_path / "run")
    with pytest.raises(TrainingDivergedError) as error:
        train(config, data, run, observers=[Poison(models, 8)])
    assert re.search(
        r"\w+/layer_\d/kernel is no longer finite at step 8; the last good checkpoint is that of step 4"
        rf" in {re.escape(str(run.checkpoints))}\. ",
        str(error.value),
    )
    assert checkpoint_steps(run.path) == [4]


class Fake:
    """A model whose losses are 1 until, at some step, they are not finite."""

    def __init__(self, step, value):
        self.arguments = {"image_size": 32, "precision": "float32"}
        self.steps, self.bad, self.value = tf.Variable(0), step, value
        self.frozen_statistics = self.matched_statistics = False

    def updates(self):
        return []

    def update(self, images, real_images, *_):
        self.steps.assign_add(1)
        loss = tf.where(self.steps == self.bad, self.value, 1.0)
        return dict.fromkeys(LOGS, tf.ones(())) | {"kl_loss": loss}


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("step", [1, 4, 7])
def test_the_step_is_counted_within_a_chunk(step, value):
    chunk = Chunk(Fake(step, value), np.zeros((2, 32, 32), np.uint8), n_phases=2)
    logs = chunk.run(np.zeros((7, 4, 3), np.int32))
    assert logs["finite_steps"] == step - 1


def test_means_over_a_chunk():
    chunk = Chunk(Fake(2, 7.0), np.zeros((2, 32, 32), np.uint8), n_phases=2)
    logs = chunk.run(np.zeros((6, 4, 3), np.int32))
    assert logs.keys() == {*LOGS, "finite_steps"}
    assert logs["kl_loss"] == 2.0
    assert logs["finite_steps"] == 6


# Parts


class Watching(Fake):
    """Reports the first pixels of what it is given, as losses."""

    def __init__(self):
        super().__init__(0, 0.0)

    def update(self, images, real_images, *_):
        means = {"kl_loss": tf.reduce_mean(images), "encoder_loss": tf.reduce_mean(real_images)}
        return dict.fromkeys(LOGS, tf.ones(())) | means


def test_the_discriminator_may_be_shown_other_images():
    images = np.zeros((2, 32, 32), np.uint8)
    images[1] = 1
    chunk = Chunk(Watching(), images, n_phases=2)
    first, second = np.zeros((3, 4, 3), np.int32), np.zeros((3, 4, 3), np.int32)
    second[..., 0] = 1
    logs = chunk.run(first, second)
    assert (logs["kl_loss"], logs["encoder_loss"]) == (0, 1)
    logs = chunk.run(second)
    assert (logs["kl_loss"], logs["encoder_loss"]) == (1, 1)


def test_training_gives_the_discriminator_its_own_crops(monkeypatch, tmp_path):
    seen = []

    def run(self, positions, real_positions=None):
        seen.append((positions, real_positions))
        return dict.fromkeys(LOGS, 1.0) | {"finite_steps": len(positions)}

    monkeypatch.setattr(Chunk, "run", run)
    for sampling in ("crops", "tiles", "same"):
        source = ("data.source=grains", "data.micrograph_size=80", "training.batch_size=2")
        config, data = tiny(f"data.real_sampling={sampling}", *source)
        training.train(config, data, RunFolder(tmp_path / sampling))
        # The first call compiles, and runs nothing.
        encoded, real = (np.concatenate(part[1:]) for part in zip(*seen, strict=True))
        assert len(encoded) == len(real) == 12
        seen.clear()
        side = config.data.image_size
        assert (encoded % side == 0)[..., 1:].all()
        assert (real % side == 0)[..., 1:].all() == (sampling != "crops")
        assert (encoded == real).all() == (sampling == "same")


def test_every_second_image_of_the_discriminators_own_is_turned(monkeypatch, tmp_path):
    seen = []

    def run(self, positions, real_positions=None):
        seen.append((self.labels.numpy(), positions, real_positions))
        return dict.fromkeys(LOGS, 1.0) | {"finite_steps": len(positions)}

    monkeypatch.setattr(Chunk, "run", run)
    source = ("data.source=grains", "data.micrograph_size=80", "training.batch_size=2")
    config, data = tiny("data.real_sampling=crops", "data.real_turned=true", *source)
    training.train(config, data, RunFolder(tmp_path / "run"))
    images, encoded, real = zip(*seen[1:], strict=True)
    np.testing.assert_array_equal(images[0], [data.images[0], np.rot90(data.images[0], 2)])
    assert np.unique(np.concatenate(encoded)[..., 0]).tolist() == [0]
    assert np.concatenate(real)[..., 0].mean() == pytest.approx(0.5, abs=0.3)


@pytest.mark.parametrize("n_phases", [2, 3])
def test_a_chunk_cuts_as_the_dataset_does(n_phases):
    from davegan_tf.dataset import crop_positions, cut, encode_phases

    images = np.random.default_rng(0).integers(0, n_phases, (3, 50, 41), dtype=np.uint8)
    positions = crop_positions(images.shape, 32, 9, seed=0)
    chunk = Chunk(Fake(0, 0.0), images, n_phases)
    expected = encode_phases(cut(images, positions, 32), n_phases)
    np.testing.assert_array_equal(chunk._cut(tf.constant(positions), chunk.labels), expected)


def test_recalibrate_forgets_the_moving_statistics_and_nothing_else(monkeypatch):
    monkeypatch.setattr(finishing, "RECALIBRATION_BATCHES", 3)
    config, data = tiny()
    results = []
    for former in (0.5, 3.0):
        model = build_model(config, data.n_phases)
        for network in (model.encoder, model.generator):
            for variable in network.non_trainable_variables:
                variable.assign(tf.fill(variable.shape, former))
        kept = [variable.numpy() for variable in model.trainable_variables]
        kept += [variable.numpy() for variable in model.discriminator.variables]
        finishing.recalibrate_for_use(model, config, data)
        after = [variable.numpy() for variable in model.trainable_variables]
        after += [variable.numpy() for variable in model.discriminator.variables]
        for one, other in zip(kept, after, strict=True):
            np.testing.assert_array_equal(one, other)
        networks = (model.encoder, model.generator)
        results.append([v.numpy() for n in networks for v in n.non_trainable_variables])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
        assert not np.isin(one, (0.5, 3.0)).any()


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["model.normalization=batch"], True),
        (["model.normalization=renorm"], False),
        # The averaged weights are not those that the moving statistics are of.
        (["model.normalization=renorm", "training.weight_averaging=0.9"], True),
        (["model.normalization=batch", "training.freeze_statistics_after=1"], False),
        (["model.normalization=batch", "training.recalibrate=false"], False),
    ],
)
def test_what_is_re_estimated_at_the_end(overrides, expected, tmp_path, monkeypatch):
    finished = []

    def run(self, positions, real_positions=None):
        return dict.fromkeys(LOGS, 1.0) | {"finite_steps": len(positions)}

    monkeypatch.setattr(Chunk, "compile", lambda self, *_: 0.0)
    monkeypatch.setattr(Chunk, "run", run)
    monkeypatch.setattr(training, "recalibrate_for_use", lambda *_: finished.append(True))
    monkeypatch.setattr(training._Session, "_recalibrate", lambda self: None)
    train(
        *tiny("training.epochs=2", "training.recalibrate=true", *overrides),
        RunFolder(tmp_path / "run"),
    )
    assert bool(finished) is expected


def test_recalibrated_weights_are_those_saved(ellipses):
    """The finished model has the weights of its last checkpoint, and statistics of its own."""
    run = RunFolder(ellipses.run)
    finished, _ = load_model(run)
    last = build_model(run.read_config(), 2)
    assert training.Checkpoints(run.checkpoints, last).restore_newest() == (24, [])
    for one, other in zip(finished.trainable_variables, last.trainable_variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    pairs = zip(
        finished.generator.non_trainable_variables,
        last.generator.non_trainable_variables,
        strict=True,
    )
    assert all((one.numpy() != other.numpy()).any() for one, other in pairs)


@pytest.mark.parametrize(
    ("every", "previous", "step", "expected"),
    [
        (10, 5, 9, False),
        (10, 5, 10, True),
        (10, 10, 19, False),
        (10, 5, 35, True),
        (None, 0, 9, False),
    ],
)
def test_due(every, previous, step, expected):
    assert due(every, previous, step) is expected


def test_history_drops_what_lies_beyond_and_what_is_cut_short(tmp_path):
    path = tmp_path / "history.csv"
    history = History(path, 0, 2)
    for step in (5, 10, 15):
        history.chunk(step - 5, step, {"loss": 0.1 * step, "other": 1})
    history.close()
    whole = path.read_bytes()
    path.write_bytes(whole + b"20,10,")  # as a kill in the middle of a row leaves it
    again = History(path, 10, 2)
    # At no time is the file without the rows to be kept.
    assert rows(path)[1].tolist() == [[5, 2.5, 0.5, 1], [10, 5, 1, 1]]
    again.chunk(10, 15, {"other": 1, "loss": 1.5})  # columns go by name
    again.close()
    assert path.read_bytes() == whole
    History(path, 0, 2).close()
    assert path.read_bytes() == b""


# Fixed statistics and averaged weights

FROZEN = ("training.freeze_statistics_after=2", "training.weight_averaging=0.8")


@pytest.fixture
def few_images_for_statistics(monkeypatch):
    """Of batch normalisation and of the material: by default they take longer than all else here."""
    monkeypatch.setattr(finishing, "RECALIBRATION_BATCHES", 3)
    monkeypatch.setattr(training, "STATISTICS_IMAGES", 64)


MATCHED = (
    *FROZEN,
    "model.lambda_statistics=1e4",
    "model.statistics_rate=0.1",
    "training.match_statistics_after=4",
)


def killed_at(run, step, path):
    """A copy of a run as it is when a training that wrote its checkpoint of this step is killed."""
    shutil.copytree(run.path, path)
    (path / "model.weights.h5").unlink()
    for file in (path / "checkpoints").iterdir():
        if int(re.search(r"ckpt-(\d+)", file.name)[1]) > step:
            file.unlink()
    assert checkpoint_steps(path)[-1] == step
    copy = RunFolder(path)
    copy.write_manifest(finished=False)
    return copy


@pytest.mark.usefixtures("few_images_for_statistics")
@pytest.mark.parametrize(
    ("backend", "steps"),
    [
        ("graph", (8, 12, 20)),
        # What is chosen on CPUs: one program for both statistics, of weights that are averaged, too.
        pytest.param("xla_matmul", (12,), marks=pytest.mark.slow),
    ],
)
def test_frozen_and_matched_statistics_and_resuming_changes_nothing(backend, steps, tmp_path):
    # Four steps an epoch: frozen from step 8, matched from 16, ends at 24.
    common = (f"training.backend={backend}", "training.weight_averaging=0.9")
    config, data = tiny(*MATCHED, "training.checkpoints_kept=10", *common)
    whole, without = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "without")
    train(config, data, whole)
    train(tiny(*FROZEN, *common)[0], data, without)
    header, mine = rows(whole.history)
    _, plain = rows(without.history)
    before = mine[:, 0] <= 16
    np.testing.assert_array_equal(mine[before], plain[before])
    column = header.index("generator_loss")
    assert (mine[~before, column] != plain[~before, column]).all()
    for step in steps:
        run = killed_at(whole, step, tmp_path / f"from_{step}")
        train(config, data, run, resume=True)
        assert_identical(everything(run.path), everything(whole.path))
        np.testing.assert_array_equal(rows(run.history)[1], mine)


@pytest.mark.parametrize("backend", ["graph", "xla_matmul"])
@pytest.mark.parametrize(
    ("statistics", "independence"),
    [(0, 0), (0, 5), (5, 0), (5, 5)],
)
def test_only_what_acts_is_measured_and_compiled(
    backend, statistics, independence, monkeypatch, tmp_path, models
):
    compiled, calls, matched, switches = [], [], [], []
    acts = bool(statistics or independence)

    class Watch:
        def start(self, *_):
            pass

        def compiled(self, *_):
            compiled.append(models[-1].matched_statistics)

        def chunk(self, previous, step, logs):
            matched.append(models[-1].matched_statistics)

    def run(self, positions, real_positions=None):
        *_, switch = self.arguments(positions, real_positions)
        switches.append(switch if isinstance(switch, bool) else bool(switch.numpy()))
        return dict.fromkeys(LOGS, 1.0) | {"finite_steps": len(positions)}

    def statistics_of_material(*arguments):
        calls.append(arguments)
        return np.full((2, 20), 0.1, np.float32)

    monkeypatch.setattr(Chunk, "run", run)
    monkeypatch.setattr(training, "material_statistics", statistics_of_material)
    weights = (f"model.lambda_statistics={statistics}", f"model.lambda_independence={independence}")
    backend = f"training.backend={backend}"
    config, data = tiny(*weights, "training.match_statistics_after=3", backend)
    train(config, data, RunFolder(tmp_path / "run"), observers=[Watch()])
    programs = 2 if acts and backend.endswith("graph") else 1
    assert len(calls) == bool(statistics)
    assert compiled == [False, True][:programs]
    # Chunks of an epoch each.
    assert matched == [False] * 3 + [acts] * 3
    # What compiles runs nothing.
    assert [
        each for index, each in enumerate(switches) if index not in (0, 4)[:programs]
    ] == matched


@pytest.mark.slow
def test_learning_rates_fall_to_the_end_and_resuming_changes_nothing(tmp_path, models):
    config, data = tiny("training.decay_after=3")  # from step 12 on, ends at 24
    whole, stopped = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "stopped")

    class Watch:
        """The rates of every chunk as shares of the configured ones; may interrupt at step 20, not yet saved."""

        def __init__(self, interrupts):
            self.shares, self.interrupts = [], interrupts

        def start(self, *_):
            pass

        def compiled(self, *_):
            pass

        def chunk(self, previous, step, logs):
            for name in ("encoder", "generator", "discriminator"):
                rate = float(getattr(models[-1], f"{name}_optimizer").learning_rate)
                configured = getattr(config.training, f"{name}_learning_rate")
                self.shares.append(pytest.approx(rate / configured, abs=1e-6))
            if self.interrupts and step == 20:
                raise RuntimeError("interrupted")

    watch = Watch(False)
    train(config, data, whole, observers=[watch])
    assert watch.shares == [share for share in (1, 1, 1, 1, 2 / 3, 1 / 3) for _ in range(3)]
    # A longer run would have had other rates before.
    longer, _ = tiny("training.decay_after=3", "training.epochs=8")
    with pytest.raises(InputError, match="rates have been falling since step 16"):
        train(longer, data, whole, resume=True)
    with pytest.raises(RuntimeError, match="interrupted"):
        train(config, data, stopped, observers=[Watch(True)])
    assert checkpoint_steps(stopped.path)[-1] == 16
    train(config, data, stopped, resume=True)
    assert_identical(everything(stopped.path), everything(whole.path))


@pytest.mark.usefixtures("few_images_for_statistics")
def test_statistics_move_until_they_are_frozen_and_never_again(tmp_path, models):
    config, data = tiny(*FROZEN)
    seen = {}

    class Watch:
        def start(self, *_):
            pass

        def compiled(self, *_):
            pass

        def chunk(self, previous, step, logs):
            (model,) = models
            networks = (model.encoder, model.generator)
            seen[step] = [v.numpy() for n in networks for v in n.non_trainable_variables]

    train(config, data, RunFolder(tmp_path / "run"), observers=[Watch()])
    moved = {
        step: any(np.any(a != b) for a, b in zip(seen[step], seen[step - 4], strict=True))
        for step in (8, 12, 16, 24 - 4, 24)
    }
    # Between 8 and 12 they are re-estimated, once.
    assert moved == {8: True, 12: True, 16: False, 20: False, 24: False}


def test_finished_model_has_the_average_of_the_weights(tmp_path, models):
    momentum = 0.8
    config, data = tiny("training.chunk_steps=1", f"training.weight_averaging={momentum}")
    averages = {}

    class Average:
        def start(self, *_):
            pass

        def compiled(self, *_):
            pass

        def chunk(self, previous, step, logs):
            for network in (models[0].encoder, models[0].generator):
                for index, variable in enumerate(network.trainable_variables):
                    key, value = (network.name, index), variable.numpy().astype(float)
                    known = averages.get(key, value)
                    averages[key] = momentum * known + (1 - momentum) * value

    run = RunFolder(tmp_path / "run")
    train(config, data, run, observers=[Average()])
    finished, _ = load_model(run)
    for (name, index), average in averages.items():
        weight = getattr(finished, name).trainable_variables[index].numpy()
        np.testing.assert_allclose(weight, average, rtol=1e-4, atol=1e-6)


# Logits within a limit

# With weight averaging, whose values the last layer must have before it is divided. Hardly trained, logits are small.
LIMIT = 2**-8
LIMITED = ("training.weight_averaging=0.8", f"training.logit_limit={LIMIT}")


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """A run with ``LIMITED``. Nothing may be written to it."""
    run = RunFolder(tmp_path_factory.mktemp("limited") / "run")
    train(*tiny(*LIMITED), run)
    return run


def test_finished_model_has_logits_within_the_limit(limited, tmp_path):
    config, data = tiny(*LIMITED)
    plain = RunFolder(tmp_path / "plain")
    train(tiny(LIMITED[0])[0], data, plain)
    divisor = limited.read_manifest()["logit_divisor"]
    assert divisor > 1 and plain.read_manifest()["logit_divisor"] == 1
    mine, other = load_model(limited)[0], load_model(plain)[0]
    last = {variable.path for variable in mine.generator.stack.layers[-1].trainable_variables}
    for one, before in zip(mine.generator.variables, other.generator.variables, strict=True):
        factor = divisor if one.path in last else 1
        np.testing.assert_array_equal(one.numpy(), before.numpy() / factor)
    images = encode_phases(data.images, 2)
    z = (mine.sample_latent(512, config.seed), mine.encode(images)[0])
    assert LIMIT / 2 < max(np.abs(mine.generator.logits(each)).max() for each in z) <= LIMIT


def test_a_finished_run_goes_on_from_what_was_not_divided(limited, tmp_path):
    config, data = tiny(*LIMITED)
    run = RunFolder(tmp_path / "stopped")
    train(tiny(*LIMITED, "training.epochs=3")[0], data, run)
    assert run.read_manifest()["logit_divisor"] > 1

    class Watch:
        """What the manifest says while the newest checkpoint is the model."""

        def start(self, *_):
            assert run.read_manifest()["logit_divisor"] is None

        def compiled(self, *_):
            pass

        chunk = compiled

    train(config, data, run, resume=True, observers=[Watch()])
    assert_identical(everything(run.path), everything(limited.path))
    assert run.read_manifest()["logit_divisor"] == limited.read_manifest()["logit_divisor"]
    # Nothing is left to train: what is finished anew is the same.
    train(config, data, run, resume=True)
    assert_identical(everything(run.path), everything(limited.path))


def test_logits_of_many_tiles_are_looked_at_evenly(monkeypatch):
    seen = []
    monkeypatch.setattr(finishing, "LOGIT_TILES", 3)
    monkeypatch.setattr(finishing, "limit_logits", lambda model, images, *_: seen.append(images))
    config, data = tiny(*LIMITED)
    finishing.limit_logits_for_use(None, config, data)
    np.testing.assert_array_equal(seen[0], encode_phases(data.images[[0, 8, 15]], 2))
