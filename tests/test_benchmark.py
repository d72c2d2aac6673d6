"""`davegan benchmark`: operations counted right, workers that answer and never stay behind, what is reported."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import measure, startup
from benchmarks.ablation import ABLATIONS
from benchmarks.cost import layer_costs, step_gflop
from benchmarks.pool import ROOT, Worker, WorkerError, environment
from cli.benchmark import TABLE_3
from cli.main import main
from davegan_tf import matrix_products
from davegan_tf.backends import BACKENDS
from davegan_tf.building import build_model
from davegan_tf.config import load_config
from davegan_tf.networks import layer_table

# Table 3 and one set of images, as the PyTorch step has it.
OVERRIDES = [*TABLE_3, "data.micrograph_size=128"]
OPTIONS = {"config": "alloy.yaml", "overrides": OVERRIDES}


# Ablations


@pytest.mark.parametrize(
    "name", ["no_barriers", "operands_in_place", "pixels_in_place", "borders_first"]
)
def test_an_ablation_computes_the_same(name, monkeypatch):
    """Another way to the same patches, images and products."""
    for each in ("_block_patches", "_columns", "_few_columns", "_pixel_patches", "_planes"):
        monkeypatch.setattr(matrix_products, each, getattr(matrix_products, each))
    monkeypatch.setattr(matrix_products, "materialize", matrix_products.materialize)
    monkeypatch.setitem(BACKENDS, "xla_matmul", BACKENDS["xla_matmul"])
    rng = np.random.default_rng(0)
    images, kernel = (
        rng.normal(size=shape).astype("float32") for shape in [(6, 3, 8, 12), (4, 4, 5, 6)]
    )

    def results():
        def compute(images, kernel):
            patches = matrix_products._block_patches(images)
            rows = tf.reshape(kernel, [-1, 6])
            few = matrix_products._few_columns(rows, tf.ones([rows.shape[0], 3]))
            unfolded = matrix_products._unfold(images, kernel)
            return patches, unfolded, few, matrix_products._columns(kernel)

        return tf.function(compute, jit_compile=True)(images, kernel)

    expected, before = results(), dict(vars(matrix_products))
    ABLATIONS[name]()
    assert dict(vars(matrix_products)) != before
    for got, its in zip(results(), expected, strict=True):
        np.testing.assert_allclose(got, its, rtol=0, atol=1e-4)


# Operations


def test_costs_of_table_3_by_hand():
    costs = layer_costs(layer_table(64), 64, 1, 32)
    # 2 · 16 · c_in · c_out · positions: first and last row of each network
    assert costs.encoder[0] == 32 * 1 * 16 * 32**2
    assert costs.encoder[-1] == 32 * 64 * 64 * 1
    assert costs.generator[0] == 32 * 32 * 64 * 1
    assert costs.generator[-1] == 32 * 16 * 1 * 32**2
    assert costs.discriminator[0] == 32 * 1 * 4 * 32**2
    assert costs.discriminator[-1] == 32 * 32 * 1 * 1


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("side", [32, 64, 128, 256])
def test_costs_agree_with_the_layers_of_the_model(side, width):
    overrides = [
        "data.source=grains",
        f"data.image_size={side}",
        f"model.discriminator_width={width}",
    ]
    model = build_model(load_config("alloy.yaml", overrides), 2)
    costs = layer_costs(layer_table(side, discriminator_width=width), side, 1, 32)
    for name, counted in costs._asdict().items():
        expected = []
        for layer in getattr(model, name).stack.layers:
            if "Conv2D" in type(layer).__name__:
                transposed = "Transpose" in type(layer).__name__
                pixels = (layer.input if transposed else layer.output).shape[1:3]
                expected.append(2 * int(np.prod(layer.kernel.shape)) * int(np.prod(pixels)))
        assert list(counted) == expected, name


def test_gflop_of_a_step():
    assert step_gflop(64, 1, 32, 4) == pytest.approx(0.319, abs=5e-4)
    assert step_gflop(64, 1, 32, 64) == pytest.approx(16 * step_gflop(64, 1, 32, 4))
    assert step_gflop(64, 3, 32, 4) > step_gflop(64, 1, 32, 4)
    assert step_gflop(64, 1, 32, 4, 2) == pytest.approx(0.428, abs=5e-4)


# Workers


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def gone(pid, seconds=10):
    """Whether a process ends within some seconds."""
    end = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not alive(pid)


def test_a_worker_answers_and_its_crash_is_told():
    wide = OPTIONS | {"overrides": [*OPTIONS["overrides"], "model.discriminator_width=2"]}
    with Worker("matmul", wide) as worker:
        assert worker.about["gflop"] == pytest.approx(step_gflop(64, 1, 32, 4, 2))
        assert worker.about["table"][0][0] == [16, 2, "same", False, "leaky_relu"]
        one, many = worker.go(1, 1024), worker.go(20, 1024)
        assert 0 < one < many
        # TensorFlow's libraries alone need 100 MB; the matrices 20.
        assert 100 < worker.peak_mb < 5000
        with pytest.raises(WorkerError, match=r"(?s)worker matmul ended with code 1.*KeyError: 7"):
            worker.go(1, 7)
        with pytest.raises(WorkerError):
            worker.go(1, 1024)
    assert worker.process.returncode == 1


def test_a_worker_that_cannot_start_says_why():
    with pytest.raises(WorkerError, match="KeyError: 'nonsense'"):
        Worker("nonsense", OPTIONS)


# A contender that is at work as long as it is asked to be, and ready at once: TensorFlow takes seconds to import.
SLEEPER = """
import time

from benchmarks import contenders


class Sleeper:
    about = {}

    def __init__(self, variant, options):
        pass

    def go(self, count):
        time.sleep(count)


contenders.CONTENDERS["sleeper"] = Sleeper
"""


@pytest.fixture
def sleeper(tmp_path, monkeypatch):
    """Every Python process that is started has the contender `sleeper`."""
    (tmp_path / "sitecustomize.py").write_text(SLEEPER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)


def test_leaving_ends_a_worker_at_work(sleeper):
    with pytest.raises(ZeroDivisionError), Worker("sleeper", OPTIONS) as worker:
        print("go 1000", file=worker.process.stdin, flush=True)
        1 / 0  # noqa: B018
    assert worker.process.returncode == -signal.SIGKILL


def test_workers_die_with_their_parent(sleeper):
    code = (
        "import json, sys, time\n"
        "from benchmarks.pool import Worker\n"
        f"worker = Worker('sleeper', json.loads({json.dumps(OPTIONS)!r}))\n"
        "print('go 1000', file=worker.process.stdin, flush=True)\n"
        "print(worker.process.pid, flush=True)\n"
        "time.sleep(100)\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as parent:
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    assert gone(pid)


@pytest.mark.slow
def test_ctrl_c_leaves_nothing_behind(tmp_path):
    command = [sys.executable, "-m", "cli", "benchmark", "--only", "generation"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as parent:
        assert "matmul" in parent.stderr.readline()
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
        while not (pids := children.read_text().split()):
            time.sleep(0.05)
        time.sleep(1)  # until it waits for the worker, which prepares itself for longer
        # As the terminal does: to the whole group.
        os.killpg(parent.pid, signal.SIGINT)
        _, said = parent.communicate(timeout=60)
    assert parent.returncode == 130
    assert "Interrupted." in said
    assert "Traceback" not in said
    assert all(gone(int(pid)) for pid in pids)


# The command


MISTAKES = [
    (["--only", "speed"], '--only: there is no "speed"; choose from step, generation,'),
    (["--contenders", "fit,jax"], '--contenders: there is no "jax"; choose from fit, loop,'),
    (["--set", "training.batch=4"], "batch_size"),
    (["--set", "data.micrograph_size=64"], "data.micrograph_size must be at least"),
    (["--rounds", "0"], "--rounds"),
    (["--out", "."], "is a folder"),
]


@pytest.mark.parametrize(("arguments", "words"), MISTAKES)
def test_mistakes_are_told_before_anything_heavy(arguments, words, tmp_path, monkeypatch, capsys):
    def too_early(*_, **__):
        raise RuntimeError("it would have been measured")

    monkeypatch.setattr(measure, "measure", too_early)
    monkeypatch.chdir(tmp_path)
    assert main(["benchmark", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_mistakes_are_told_without_tensorflow(no_tensorflow, davegan, tmp_path):
    # The last of them to be told.
    arguments, words = MISTAKES[-1]
    environment_ = {**no_tensorflow, "PYTHONPATH": f"{no_tensorflow['PYTHONPATH']}:{ROOT}"}
    done = davegan("benchmark", *arguments, cwd=tmp_path, env=environment_)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_one_round_from_end_to_end(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(measure, "PRODUCTS", {1024: 2})
    values = ["--set", "data.micrograph_size=128", "--set", "training.chunk_steps=2"]
    out = tmp_path / "results.json"
    contenders = ["--contenders", "fit,loop:graph,torch"]
    monkeypatch.setattr(measure.importlib.util, "find_spec", lambda name: None)
    arguments = ["--only", "step", "--rounds", "2", "--steps", "3", *contenders, *values]
    assert main(["benchmark", *arguments, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "pip install 'davegan-tf[benchmark]'" in " ".join(printed.split())
    assert "0.319 GFLOP" in printed
    results = json.loads(out.read_text())
    assert results["machine"]["cores"] == os.cpu_count()
    step = results["step"]
    fit, loop = step["contenders"]["fit"], step["contenders"]["loop:graph"]
    assert step["reference"] == "loop:graph"
    assert len(fit["ms"]) == len(loop["ms"]) == 2
    assert fit["median_ms"] == pytest.approx(sum(fit["ms"]) / 2)
    assert fit["ratios"] == [a / b for a, b in zip(fit["ms"], loop["ms"], strict=True)]
    assert fit["share"] == pytest.approx(fit["gflops"] / max(step["matmul_gflops"].values()))
    assert fit["gflops"] == pytest.approx(step["gflop"] / fit["median_ms"] * 1e3)
    assert step["pytorch"] is None


def test_a_failing_contender_is_told_and_the_rest_measured(monkeypatch):
    # A machine of 100 GFLOP/s that needs no process.
    machine = SimpleNamespace(about={"table": [], "gflop": 0.5})
    machine.go = lambda count, side: count * 2e-9 * side**3 / 100
    monkeypatch.setitem(measure.CONTENDERS, "nonsense", ("nonsense",))
    failures = []
    step = measure.measure_step(OPTIONS, machine, ("nonsense",), 1, 1, lambda text: None, failures)
    assert step["contenders"]["nonsense"]["note"] == "failed, see below"
    assert step["matmul_gflops"] == pytest.approx({"1024": 100, "2048": 100})
    (failure,) = failures
    assert "KeyError: 'nonsense'" in failure


def test_failures_are_printed_and_the_exit_code_is_not_zero(capsys, monkeypatch):
    results = {
        "machine": {"processor": "P", "cores": 2, "devices": ["CPU"], "python": "3"},
        "versions": {"tensorflow": "2", "keras": "3"},
        "cost": [{"side": 256, "batch": 64, "note": "failed, see below"}],
        "failures": ["the worker loop ended with code -9:\nit wrote nothing to stderr"],
    }
    monkeypatch.setattr(measure, "measure", lambda *_, **__: results)
    assert main(["benchmark", "--only", "cost"]) == 2
    captured = capsys.readouterr()
    assert "failed, see below" in captured.out
    assert "the worker loop ended with code -9" in captured.err


def test_an_unexpected_exit_code_of_a_command_is_told(tmp_path):
    with pytest.raises(WorkerError, match=r"(?s)ended with code 2, not 0.*no command"):
        startup._run(["trian"], 0, tmp_path)
    assert startup._run(["--help"], 0, tmp_path) > 0


@pytest.mark.slow
def test_the_cost_table_of_one_size(monkeypatch):
    monkeypatch.setattr(measure, "COST_SECONDS", 0.01)
    options = {**OPTIONS, "overrides": [*OVERRIDES, "training.backend=graph"]}
    failures = []
    (row,) = measure.measure_cost(options, lambda text: None, failures, sides=(32,), batches=(4,))
    assert failures == []
    assert row["gflop"] == pytest.approx(step_gflop(32, 1, 32, 4))
    assert row["gflops"] == pytest.approx(row["gflop"] / row["ms"] * 1e3)
    assert row["backend"] == "graph"
