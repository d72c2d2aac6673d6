"""What tests share: the command line as a process, and tiny runs trained once for all."""

import contextlib
import dataclasses
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

# Enough steps for checkpoints, images and measures; too few to learn anything. What the packaged configs recommend may
# change: what the tests count on is stated here.
STEPS = 60
TINY = {
    "data.sampling": "tiles",
    "model.normalization": "batch",
    "training.batch_size": 4,
    # The one that compiles in two seconds instead of ten.
    "training.backend": "graph",
    # Trainings inside the test process take TensorFlow as an earlier test has set it up.
    "training.threads": "null",
    "training.chunk_steps": 5,
    "training.checkpoint_every": 20,
    "training.images_every": 20,
    "training.evaluate_every": 20,
}


def pytest_configure(config):
    # Keras converts variables in a way that NumPy 2 frowns upon; nothing that this project could change.
    warning = "__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
    config.addinivalue_line("filterwarnings", f"ignore:{warning}")


def settings(**values):
    """``--set`` options from keys with a double underscore for the dot."""
    keys = TINY | {key.replace("__", "."): value for key, value in values.items()}
    return [part for key, value in keys.items() for part in ("--set", f"{key}={value}")]


def gradient(loss, values):
    """Of a loss by its only argument: an array of its shape."""
    import tensorflow as tf

    values = tf.constant(values)
    with tf.GradientTape() as tape:
        tape.watch(values)
        result = loss(values)
    return tape.gradient(result, values).numpy()


@dataclasses.dataclass(frozen=True)
class Trained:
    """A run made by `train`: the working directory, the run folder in it, and what was printed."""

    home: Path
    run: Path
    arguments: list  # of `train`
    output: str


def _train(home, name, *arguments):
    from cli.main import main

    arguments = ["train", *arguments, "--run-dir", f"runs/{name}"]
    output = io.StringIO()
    with contextlib.chdir(home), contextlib.redirect_stdout(output):
        code = main(arguments)
    assert code == 0, output.getvalue()
    return Trained(home, home / "runs" / name, arguments, output.getvalue())


def _once(factory, name, make):
    """What ``make(folder)`` returns, a Trained; of pytest-xdist's workers one makes it for all."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    with FileLock(base / f"{name}.lock"):
        made = base / f"{name}.json"
        if not made.is_file():
            # Of a worker that failed.
            shutil.rmtree(base / name, ignore_errors=True)
            (base / name).mkdir()
            trained = dataclasses.asdict(make(base / name))
            made.write_text(json.dumps(trained, default=str))
    trained = json.loads(made.read_text())
    return Trained(**trained | {key: Path(trained[key]) for key in ("home", "run")})


@pytest.fixture(scope="session")
def grains(tmp_path_factory):
    """Table 3, two phases, four tiles. Nothing may be written to it: copy it."""
    values = settings(data__micrograph_size=128, training__recalibrate="false")
    arguments = ["--config", "quickstart.yaml", "--epochs", str(STEPS), *values]
    return _once(tmp_path_factory, "grains", lambda home: _train(home, "grains", *arguments))


@pytest.fixture(scope="session")
def three_phases(tmp_path_factory):
    """Table 3, three phases, an image of its own that is no square."""

    def make(home):
        rows, columns = np.mgrid[:128, :192]
        labels = ((rows // 16 + columns // 16) % 3).astype(np.uint8)
        np.save(home / "stripes.npy", labels)
        (home / "stripes.yaml").write_text("data: {source: stripes.npy}\n")
        values = settings(
            training__epochs=2,
            training__chunk_steps=1,
            training__recalibrate="false",
            training__images_every=2,
            training__evaluate_every=2,
        )
        return _train(home, "stripes", "--config", "stripes.yaml", *values)

    return _once(tmp_path_factory, "three_phases", make)


@pytest.fixture(scope="session")
def ellipses(tmp_path_factory):
    """Table 2, with batch normalisation re-estimated at the end."""
    from davegan_tf import finishing

    values = settings(data__count=64, training__batch_size=8)
    arguments = ["--config", "paper/ellipses.yaml", "--epochs", "3", *values]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finishing, "RECALIBRATION_BATCHES", 4)
        return _once(
            tmp_path_factory, "ellipses", lambda home: _train(home, "ellipses", *arguments)
        )


@contextlib.contextmanager
def without_curves():
    """Reports without their curves, which take most of the time, where a test is about something else."""
    with pytest.MonkeyPatch.context() as patch:
        name = "davegan_tf.statistic_curves.statistic_panels"
        patch.setattr(name, lambda *arguments, **options: [])
        yield


@pytest.fixture
def no_curves():
    """`without_curves` for a whole test."""
    with without_curves():
        yield


@pytest.fixture(scope="session", autouse=True)
def heeding_ctrl_c():
    """Processes that tests start heed SIGINT.

    One that is ignored stays so in child processes, and a shell without job control has its background jobs, of which
    the tests may be one, ignore it. A handler becomes the default in them.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def no_tensorflow(tmp_path_factory):
    """Environment of a process in which importing TensorFlow or Keras fails loudly."""
    folder = tmp_path_factory.mktemp("no_tensorflow")
    for name in ("tensorflow", "keras"):
        (folder / f"{name}.py").write_text(f"raise RuntimeError('{name} was imported')\n")
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.fixture(scope="session")
def shell():
    """``shell()``: environment variables as a user's shell has them.

    Not so those of the tests: JAX, which TensorFlow imports where it is installed, switches TensorFlow's warnings on.
    """
    return lambda: {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}


@pytest.fixture(scope="session")
def davegan(shell):
    """``davegan(*arguments, cwd=…)`` runs the command line as a process."""

    def run(*arguments, cwd, **options):
        command = [sys.executable, "-m", "cli", *map(str, arguments)]
        options = {"capture_output": True, "text": True, "env": shell()} | options
        return subprocess.run(command, cwd=cwd, **options)

    return run


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Where screenshots are kept, to be looked at: the folder that DAVEGAN_ARTIFACTS names, or a temporary one."""
    folder = os.environ.get("DAVEGAN_ARTIFACTS")
    return Path(folder) if folder else tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def chromium():
    """A running browser."""
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    path = next(filter(None, found), None)
    if path is None:
        pytest.skip("there is no Chromium on this computer")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def tree():
    """``tree(folder)``: every file in it with its content, to compare before and after."""

    def read(folder):
        return {
            path.relative_to(folder): path.read_bytes() if path.is_file() else None
            for path in sorted(Path(folder).rglob("*"))
        }

    return read
