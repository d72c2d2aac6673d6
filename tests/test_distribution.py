"""Training on several devices and in several processes: the weights of one device, and one writer."""

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from cli.main import main
from davegan_tf import finishing
from davegan_tf.building import build_model
from davegan_tf.checkpoints import Checkpoints, load_weights
from davegan_tf.chunk import Chunk
from davegan_tf.cluster import Cluster, read_cluster
from davegan_tf.config import load_config
from davegan_tf.distribution import Distribution, Replica, this_replica
from davegan_tf.errors import InputError
from davegan_tf.run_folder import RunFolder

# Every kind of normalisation, and the sets the other way round than in the paper, which the two processes train.
OTHER_WAY_ROUND = (
    "model.normalization=renorm",
    "model.discriminator_output_normalization=moving",
    "model.discriminator_batches=three",
    "model.generator_batches=one",
    "training.weight_averaging=0.8",
    "training.update_limit=0.5",
)


# --- two devices of one process ----------------------------------------------------------------------------------


def two_devices(folder, *cases):
    """What tests/two_devices.py finds for these lists of overrides."""
    results = folder / "results.pickle"
    command = [sys.executable, str(Path(__file__).parent / "two_devices.py"), str(results)]
    done = subprocess.run([*command, json.dumps(cases)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return pickle.loads(results.read_bytes())


def assert_copies_agree(values):
    """Name → values: the same bits on both replicas."""
    for name, (one, other) in values.items():
        assert one.tobytes() == other.tobytes(), name


def assert_same_training(one, other, start):
    """Name → value: how far they differ, compared with what the training changed."""
    assert one.keys() == other.keys() <= start.keys()
    errors = {}
    for name, expected in one.items():
        moved = np.linalg.norm(np.subtract(expected, start[name], dtype=float))
        error = np.linalg.norm(np.subtract(other[name], expected, dtype=float))
        errors[name] = error / moved if error else 0.0
    # Rounding may bring a feature at a leaky ReLU's kink to its other side, which changes some gradients by some
    # percent; on one device too.
    assert max(errors.values()) < 0.1, errors
    assert np.median(list(errors.values())) < 1e-4, errors


def assert_two_devices_train_as_one(case):
    one, two = case["none"], case["mirrored"]
    assert two["backend"] == "graph"
    for expected, got in zip(one["logs"], two["logs"], strict=True):
        assert got == pytest.approx(expected, rel=2e-5)
    for moment in ("start", "end", "restored"):
        assert_copies_agree(two[moment])
    start, end = ({k: v[0] for k, v in one[moment].items()} for moment in ("start", "end"))
    assert_same_training(end, {name: v[0] for name, v in two["end"].items()}, start)
    assert sum(np.any(start[name] != end[name]) for name in end) > len(end) - 4


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory):
    return two_devices(tmp_path_factory.mktemp("mirrored"), OTHER_WAY_ROUND)


def test_two_devices_train_as_one(mirrored):
    (case,) = mirrored["cases"]
    assert_two_devices_train_as_one(case)
    assert case["none"]["manifest"]["replicas"] == 1
    assert case["mirrored"]["manifest"]["replicas"] == 2
    assert len(case["mirrored"]["logs"]) == 2


def test_their_checkpoint_restores_onto_both(mirrored):
    restored = mirrored["cases"][0]["mirrored"]
    assert (restored["restored_step"], restored["damaged"]) == (4, [])
    # Averaged weights are the finished model's, not the checkpoint's.
    names = [name for name in restored["end"] if name.startswith("discriminator")]
    for name in names:
        for ended, read in zip(restored["end"][name], restored["restored"][name], strict=True):
            np.testing.assert_array_equal(ended, read)
    assert len(names) > 30


def test_a_batch_that_cannot_be_shared_out_is_refused(mirrored):
    code, error, left = mirrored["refused"]
    assert code == 2
    assert error == (
        "Error: training.batch_size must be a multiple of the number of replicas, 2 here, not 5;"
        " choose another batch size or fewer devices.\n"
    )
    assert left == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        (),
        ("model.normalization=renorm", "model.discriminator_normalization=renorm"),
        ("model.discriminator_output_normalization=moving",),
        ("model.discriminator_output_normalization=none", "augmentation.prior=gaussian"),
        ("model.discriminator_batches=three", "model.generator_batches=one"),
        ("training.recalibrate=true", "training.weight_averaging=0.8"),
        ("training.epochs=2", "training.freeze_statistics_after=1", "training.recalibrate=true"),
        (
            "training.match_statistics_after=0",
            "training.decay_after=0",
            "model.lambda_statistics=200",
            "model.statistics_rate=0.1",
            "model.lambda_independence=5e4",
            "model.lambda_normality=2000",
        ),
    ],
)
def test_two_devices_train_as_one_in_every_variant(tmp_path, case):
    (found,) = two_devices(tmp_path, case)["cases"]
    assert_two_devices_train_as_one(found)


# --- two processes -----------------------------------------------------------------------------------------------

KEYS = {
    "data.count": 16,
    "training.batch_size": 4,
    "training.epochs": 3,
    "training.chunk_steps": 1,
    "training.checkpoint_every": 100,
    "training.images_every": "null",
    "training.evaluate_every": "null",
    "training.weight_averaging": 0.8,
    "training.recalibrate": "true",
    "training.threads": "null",
    "training.backend": "auto",
    "model.normalization": "batch",
}
TRAIN = ["train", "--config", "paper/ellipses.yaml", "--run-dir", "runs/pair"]
TRAIN += [part for key, value in KEYS.items() for part in ("--set", f"{key}={value}")]
MULTI_WORKER = ["--set", "training.distribution=multi_worker"]
RESUME = ["train", "--run-dir", "runs/pair", "--resume"]
STEPS = 12

# The command line, and then the variables that this process ends with.
KEEPING_WEIGHTS = """
import os, pickle, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
from cli.main import main
from davegan_tf import finishing, training
from davegan_tf.building import build_model
from davegan_tf.checkpoints import Checkpoints

built = []
finishing.RECALIBRATION_BATCHES = 4
training.build_model = lambda *arguments: built.append(build_model(*arguments)) or built[-1]
code = main(sys.argv[2:])
variables = Checkpoints("", built[0]).variables
with open(sys.argv[1], "wb") as file:
    pickle.dump({name: variable.numpy() for name, variable in variables.items()}, file)
sys.exit(code)
"""


class Pair:
    """Two processes that train together; each has a working directory with the same run folder."""

    def __init__(self, home, arguments, before=lambda index: ["-m", "cli"]):
        self.home, self.processes = home, []
        addresses = [f"localhost:{port}" for port in free_ports(2)]
        for index in range(2):
            task = {"type": "worker", "index": index}
            config = json.dumps({"cluster": {"worker": addresses}, "task": task})
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, *before(index), *arguments],
                    cwd=home,
                    env={**os.environ, "TF_CONFIG": config},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )

    def wait_for(self, step):
        """Wait until this step is in history.csv."""
        history = self.home / "runs" / "pair" / "history.csv"
        end = time.monotonic() + 120
        while time.monotonic() < end and all(each.poll() is None for each in self.processes):
            lines = history.read_text().splitlines() if history.is_file() else []
            if len(lines) > 1 and int(lines[-1].split(",")[0]) >= step:
                return
            time.sleep(0.005)
        raise AssertionError(f"step {step} was not reached: {self.end()}")

    def end(self, timeout=120):
        """Exit code, stdout and stderr of each; they are killed if they have not ended by then."""
        try:
            written = [each.communicate(timeout=timeout) for each in self.processes]
            codes = [each.returncode for each in self.processes]
            return [(code, *streams) for code, streams in zip(codes, written, strict=True)]
        finally:
            for each in self.processes:
                each.kill()
                each.communicate()


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("localhost", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A training by two processes, interrupted and resumed, and the same by one process."""
    home = tmp_path_factory.mktemp("pair")
    record = {"home": home, "run": home / "runs" / "pair"}
    processes = Pair(home, [*TRAIN, *MULTI_WORKER])
    processes.wait_for(2)
    processes.processes[1].send_signal(signal.SIGTERM)
    record["interrupted"] = processes.end()
    record["after_interruption"] = checkpoint_steps(record["run"])
    record["history"] = (record["run"] / "history.csv").read_text().splitlines()
    kept = [home / f"weights-{index}.pickle" for index in range(2)]
    resumed = Pair(home, RESUME, lambda index: ["-c", KEEPING_WEIGHTS, str(kept[index])])
    record["resumed"] = resumed.end()
    record["weights"] = [pickle.loads(path.read_bytes()) for path in kept if path.is_file()]
    return record


def checkpoint_steps(run):
    return sorted(int(path.stem.split("-")[1]) for path in (run / "checkpoints").glob("*.index"))


@pytest.mark.slow
def test_a_signal_to_one_process_stops_both(pair):
    (chief_code, chief_out, chief_err), (code, out, err) = pair["interrupted"]
    assert (chief_code, code) == (143, 143), chief_err + err
    (step,) = pair["after_interruption"]
    assert 2 <= step < STEPS
    assert int(pair["history"][-1].split(",")[0]) == step
    assert f"Interrupted at step {step} of {STEPS}; everything is saved." in chief_out
    assert out == "worker 1 of 2; worker 0 writes runs/pair\n"
    assert chief_err + err == ""


@pytest.mark.slow
def test_the_resumed_pair_ends_with_the_weights_of_one_process(pair, tmp_path, monkeypatch):
    (chief_code, chief_out, chief_err), (code, out, err) = pair["resumed"]
    assert (chief_code, code) == (0, 0), chief_err + err
    assert f"resumed at step {pair['after_interruption'][0]} of {STEPS}" in chief_out
    assert out == "worker 1 of 2; worker 0 writes runs/pair\n"

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(finishing, "RECALIBRATION_BATCHES", 4)
    assert main([*TRAIN, "--set", "training.backend=graph"]) == 0
    start = values_of(build_model(load_config("runs/pair/config.yaml"), 2))
    last, finished = last_and_finished(pair["run"])
    expected_last, expected_finished = last_and_finished(Path("runs/pair"))
    assert_same_training(expected_last, last, start)
    assert_same_training(expected_finished, finished, start)
    averaged, re_estimated = "encoder/layer_1/kernel", "generator/layer_1_batch_norm/moving_mean"
    for name in (averaged, re_estimated):
        assert np.any(finished[name] != last[name])
    # Worker 1 has no files, and leaves the last touch to worker 0.
    assert_copies_agree({name: (last[name], pair["weights"][1][name]) for name in last})
    expected, got = (
        np.loadtxt(run / "history.csv", delimiter=",", skiprows=1)
        for run in (Path("runs/pair"), pair["run"])
    )
    np.testing.assert_allclose(got[:4], expected[:4], rtol=1e-4)
    np.testing.assert_allclose(got, expected, rtol=2e-2)


def last_and_finished(run):
    """Variables of a run's last checkpoint, and the weights of its finished model."""
    folder = RunFolder(run)
    model = build_model(folder.read_config(), 2)
    assert Checkpoints(folder.checkpoints, model).restore_newest() == (STEPS, [])
    last = values_of(model)
    load_weights(model, folder.weights)
    finished = values_of(model)
    return last, {name: value for name, value in finished.items() if "optimizer" not in name}


def values_of(model):
    variables = Checkpoints("", model).variables
    return {name: variable.numpy() for name, variable in variables.items()}


def test_only_worker_0_writes(pair):
    assert sorted(path.name for path in pair["run"].iterdir()) == [
        ".lock",
        "checkpoints",
        "config.yaml",
        "figures",
        "history.csv",
        "manifest.json",
        "model.weights.h5",
    ]
    # One line a step: no process has written those of another.
    steps = [line.split(",")[0] for line in (pair["run"] / "history.csv").read_text().splitlines()]
    assert steps == ["step", *map(str, range(1, STEPS + 1))]
    assert checkpoint_steps(pair["run"]) == [pair["after_interruption"][0], STEPS]
    # One log for the training and one for its resumption.
    assert len(list((pair["home"] / "tb_logs" / "pair").iterdir())) == 2
    manifest = json.loads((pair["run"] / "manifest.json").read_text())
    assert (manifest["replicas"], manifest["finished"], manifest["step"]) == (2, True, STEPS)


@pytest.mark.slow
def test_an_error_of_worker_0_ends_both(tmp_path):
    (tmp_path / "runs" / "pair").mkdir(parents=True)
    (tmp_path / "runs" / "pair" / "notes.txt").touch()
    (chief_code, _, chief_err), (code, _, err) = Pair(tmp_path, [*TRAIN, *MULTI_WORKER]).end()
    assert (chief_code, code) == (2, 2)
    assert chief_err.startswith("Error: runs/pair: the folder holds something that is no run;")
    assert err == (
        "Error: Worker 0, the one that writes, has stopped with an error; see its own message.\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_process_ends_the_other(tmp_path, killed):
    long = ["--set", "training.epochs=10000"]
    processes = Pair(tmp_path, [*TRAIN, *MULTI_WORKER, *long])
    processes.wait_for(2)
    processes.processes[killed].kill()
    ended = processes.end()
    assert ended[killed][0] == -signal.SIGKILL
    code, _, error = ended[1 - killed]
    assert code == 2
    assert error.splitlines()[-1].startswith("Error: Another process of this training is lost")


@pytest.mark.slow
def test_ctrl_c_ends_a_process_that_waits_for_the_other(tmp_path):
    pair = Pair(tmp_path, [*TRAIN, *MULTI_WORKER])
    other, waiting = pair.processes
    other.kill()
    try:
        assert waiting.stdout.readline().startswith("worker 1 of 2")
        time.sleep(10)  # TensorFlow is imported by then, and waits for many minutes
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(timeout=20) == -signal.SIGINT
    finally:
        waiting.kill()
        pair.end()


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("fails", [False, True])
def test_on_chief(index, fails):
    """Of two processes; what the other one says is made up."""

    class OneOfTwo(Distribution):
        def agree(self, number):
            self.said = number
            return max(number, int(fails))

    distribution, done = OneOfTwo(), []
    distribution.cluster = Cluster(2, index)

    def action():
        done.append(index)
        if fails:
            raise OSError("the disk is full")
        return "a result"

    if not fails:
        assert distribution.on_chief(action) == ("a result" if index == 0 else None)
    elif index == 0:
        with pytest.raises(OSError, match="the disk is full"):
            distribution.on_chief(action)
    else:
        with pytest.raises(InputError, match="Worker 0, the one that writes, has stopped"):
            distribution.on_chief(action)
    assert done == [0] * (index == 0)
    assert distribution.said == int(fails and index == 0)


# --- what is refused ---------------------------------------------------------------------------------------------

WORKERS = {"worker": ["a:1", "b:2"]}
FIRST = {"type": "worker", "index": 0}


@pytest.mark.parametrize(
    ("config", "what"),
    [
        (None, "is not set"),
        ("  ", "is not set"),
        ("{'cluster': 1}", "is not JSON (Expecting property name"),
        ([1], "must have an object {…} as the whole, not [1]"),
        ({"task": FIRST}, "must have an object {…} as cluster, not null"),
        ({"cluster": {}, "task": FIRST}, "must have worker as the only key of cluster, not none"),
        (
            {"cluster": {**WORKERS, "ps": ["c:3"]}, "task": FIRST},
            "must have worker as the only key of cluster, not worker, ps",
        ),
        (
            {"cluster": {"worker": []}, "task": FIRST},
            "must have a list of host:port as cluster.wor",
        ),
        (
            {"cluster": {"worker": "a:1"}, "task": FIRST},
            "must have a list of host:port as cluster.wor",
        ),
        (
            {"cluster": {"worker": ["a"]}, "task": FIRST},
            'of host:port as cluster.worker, not ["a"]',
        ),
        (
            {"cluster": {"worker": ["a:0"]}, "task": FIRST},
            "must have a list of host:port as cluster.wo",
        ),
        (
            {"cluster": {"worker": [7]}, "task": FIRST},
            "must have a list of host:port as cluster.worker",
        ),
        ({"cluster": {"worker": ["a:1", "a:1"]}, "task": FIRST}, "names an address twice"),
        ({"cluster": WORKERS}, "must have an object {…} as task, not null"),
        ({"cluster": WORKERS, "task": {"index": 0}}, 'must have "worker" as task.type, not null'),
        (
            {"cluster": WORKERS, "task": {"type": "worker", "index": 2}},
            "must have a whole number from 0 to 1 (an entry of cluster.worker) as task.index, not 2",
        ),
        ({"cluster": WORKERS, "task": {"type": "worker", "index": "0"}}, 'as task.index, not "0"'),
        (
            {"cluster": WORKERS, "task": {"type": "worker", "index": True}},
            "as task.index, not true",
        ),
        ({"cluster": WORKERS, "task": {"type": "worker"}}, "as task.index, not null"),
    ],
)
def test_a_wrong_TF_CONFIG(config, what):
    text = config if isinstance(config, str) else json.dumps(config)
    environment = {} if config is None else {"TF_CONFIG": text}
    with pytest.raises(InputError) as error:
        read_cluster("multi_worker", environment)
    assert str(error.value).startswith("TF_CONFIG ")
    assert what in str(error.value)
    assert "\n" not in str(error.value)
    # The example that it gives is a right one.
    example = str(error.value).split("TF_CONFIG='")[1].removesuffix("'.")
    assert read_cluster("multi_worker", {"TF_CONFIG": example}) == (2, 0)


def test_a_right_TF_CONFIG_and_none_needed():
    task = {"type": "worker", "index": 1}
    right = {"TF_CONFIG": json.dumps({"cluster": WORKERS, "task": task})}
    assert read_cluster("multi_worker", right) == Cluster(2, 1)
    assert not read_cluster("multi_worker", right).chief
    for kind in ("none", "mirrored"):
        for environment in ({}, right, {"TF_CONFIG": "nonsense"}):
            assert read_cluster(kind, environment) == Cluster(1, 0)
            assert read_cluster(kind, environment).chief


def test_it_is_refused_before_tensorflow_is_imported(davegan, no_tensorflow, tmp_path):
    environment = {k: v for k, v in no_tensorflow.items() if k != "TF_CONFIG"}
    for more in ((), ("--dry-run",)):
        done = davegan(*TRAIN, *MULTI_WORKER, *more, cwd=tmp_path, env=environment)
        assert done.returncode == 2
        assert done.stderr.startswith("Error: TF_CONFIG is not set; training.distribution multi_w")
        assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["mirrored", "multi_worker"])
def test_backends_of_one_device_are_refused(kind):
    for backend in ("xla", "xla_matmul"):
        keys = [f"training.distribution={kind}", f"training.backend={backend}"]
        with pytest.raises(InputError) as error:
            load_config("paper/ellipses.yaml", keys)
        assert (
            f"training.backend must be auto or graph with training.distribution {kind}, not {backend}"
        ) in str(error.value)
        assert load_config("paper/ellipses.yaml", [keys[0]]).training.distribution == kind
        distribution = Distribution()
        distribution.strategy = "some strategy"
        model = SimpleNamespace(arguments={"image_size": 32, "precision": "float32"})
        with pytest.raises(ValueError, match=f"backend is '{backend}', expected 'auto' or 'graph'"):
            Chunk(model, np.zeros((1, 32, 32), np.uint8), 2, backend, distribution)


# --- a single device ---------------------------------------------------------------------------------------------


def test_a_single_replica_adds_no_operation():
    with tf.Graph().as_default() as graph:
        replica = this_replica()
        values = tf.zeros((3, 4, 2))
        logs = {"loss": values[0, 0, 0]}
        before = len(graph.get_operations())
        assert replica == Replica(0, 1)
        assert replica.whole(values) is values
        assert replica.own(values, axis=1) is values
        assert replica.together(values) is values
        assert replica.gradient_weight is None
        assert replica.mean(logs) is logs
        assert len(graph.get_operations()) == before


@pytest.mark.parametrize("count", [2, 3])
def test_the_parts_of_the_replicas_are_the_whole(count):
    values = tf.reshape(tf.range(2 * 6 * 2), (2, 6, 2))
    replicas = [Replica(index, count) for index in range(count)]
    parts = [replica.own(values, axis=1) for replica in replicas]
    assert {
        int(replica.whole(part.shape[1])) for replica, part in zip(replicas, parts, strict=True)
    } == {6}
    np.testing.assert_array_equal(tf.concat(parts, axis=1), values)
