"""Train on one and on two CPU devices: a process of its own, for test_distribution.py.

TensorFlow's devices are fixed by its first operation, which in pytest's process has long been computed.

    python tests/two_devices.py RESULTS.pickle '[["training.seed=1", …], …]'

writes, for each list of overrides, the trainings with ``training.distribution`` none and mirrored as dictionaries.
"""

import contextlib
import io
import json
import pickle
import sys
import tempfile
from pathlib import Path

import tensorflow as tf

from cli.main import main as davegan
from davegan_tf import training
from davegan_tf.building import build_model
from davegan_tf.checkpoints import Checkpoints
from davegan_tf.config import load_config
from davegan_tf.distribution import Distribution
from davegan_tf.micrographs import load_from_config
from davegan_tf.run_folder import RunFolder

KEYS = (
    "data.count=16",
    "training.batch_size=4",
    "training.epochs=1",
    "training.chunk_steps=2",
    "training.checkpoint_every=1000",
    "training.images_every=null",
    "training.evaluate_every=null",
    "training.recalibrate=false",
    "model.normalization=batch",
)


def copies(variables):
    """Name → values on every replica."""
    return {
        name: [each.numpy() for each in getattr(variable, "values", [variable])]
        for name, variable in variables.items()
    }


class Watch:
    """An observer that keeps the logs of every chunk."""

    def __init__(self):
        self.logs = []

    def start(self, *_):
        pass

    def compiled(self, backend, seconds):
        self.backend = backend.name

    def chunk(self, previous, step, logs):
        self.logs.append(logs)


def train(kind, overrides):
    """A training; the values of all variables before, at the end, and as another model restores them."""
    keys = [*KEYS, *overrides, f"training.distribution={kind}"]
    # With replicas auto takes this one too.
    keys += ["training.backend=graph"] if kind == "none" else []
    config = load_config("paper/ellipses.yaml", keys)
    data = load_from_config(config)
    watch, built, start = Watch(), [], {}

    def build(*arguments):
        model = build_model(*arguments)
        built.append(Checkpoints("", model).variables)
        start.update(copies(built[0]))
        return model

    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder) / "run")
        training.build_model = build
        try:
            training.train(config, data, run, observers=[watch])
        finally:
            training.build_model = build_model
        restored = Checkpoints(
            run.checkpoints, Distribution(kind).build(build_model, config, data.n_phases)
        )
        step, damaged = restored.restore_newest()
        return {
            "backend": watch.backend,
            "logs": watch.logs,
            "start": start,
            "end": copies(built[0]),
            "restored": copies(restored.variables),
            "restored_step": step,
            "damaged": damaged,
            "manifest": run.read_manifest(),
        }


def refused():
    """The command line with a batch that can't be shared out; exit code, stderr, what is in the run folder."""
    keys = [*KEYS, "training.batch_size=5", "training.distribution=mirrored"]
    options = [part for key in keys for part in ("--set", key)]
    err, out = io.StringIO(), io.StringIO()
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        contextlib.redirect_stderr(err),
        contextlib.redirect_stdout(out),
    ):
        code = davegan(["train", "--config", "paper/ellipses.yaml", *options])
        return code, err.getvalue(), [str(path) for path in Path(folder).rglob("*")]


def main(results, cases):
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    # Optimising the graph takes longer than these few steps.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    found = {
        "cases": [{kind: train(kind, case) for kind in ("none", "mirrored")} for case in cases],
        "refused": refused(),
    }
    Path(results).write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
