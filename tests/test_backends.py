"""The ways to compute a training step: the same mathematics, and what the compiled program holds."""

import functools
import re
import time

import numpy as np
import pytest
import tensorflow as tf

from davegan_tf import backends
from davegan_tf.backends import BACKENDS, choose
from davegan_tf.building import build_model
from davegan_tf.chunk import Chunk
from davegan_tf.config import load_config
from davegan_tf.dataset import BatchPositions
from davegan_tf.davegan import LOGS

STEPS = 100


def prepare(n_phases, name="paper/alloy.yaml", side=64, overrides=()):
    """Config, images and the positions of the samples of STEPS steps."""
    overrides = [f"data.image_size={side}", "training.batch_size=4", *overrides]
    config = load_config(name, ["data.source=grains", *overrides])
    rows, columns = np.mgrid[: 2 * side, : 2 * side]
    noise = np.random.default_rng(0).integers(0, 5, rows.shape)
    images = ((rows // 7 + columns // 11 + noise // 4) % n_phases).astype(np.uint8)[None]
    positions = BatchPositions(images.shape, side, "crops", 4, seed=0)
    return config, images, positions.positions(0, STEPS)


def start(config, images, n_phases, backend, **options):
    model = build_model(config, n_phases)
    if config.model.lambda_statistics:
        model.material_statistics = np.full((2, 20), 0.1, np.float32)
    chunk = Chunk(model, images, n_phases, backend, **options)
    chunk.compile(STEPS, 4)
    return model, chunk


@functools.cache
def compile_once(backend, n_phases, side):
    """Model and chunk, trained by whichever tests had them before; the positions; the seconds it took."""
    config, images, positions = prepare(n_phases, side=side)
    started = time.monotonic()
    model, chunk = start(config, images, n_phases, backend)
    seconds = time.monotonic() - started
    assert int(model.training_step) == 0
    return model, chunk, positions, seconds


def copy(source, target):
    assert len(source.variables) == len(target.variables)
    for a, b in zip(_all(source), _all(target), strict=True):
        b.assign(a)


def _all(model):
    return [*model.variables, *_of_optimizers(model)]


def _of_optimizers(model):
    optimizers = (model.encoder_optimizer, model.generator_optimizer, model.discriminator_optimizer)
    return [variable for optimizer in optimizers for variable in optimizer.variables]


def _moments(model):
    """Adam's of every weight: linear and quadratic in the gradients.

    Weights and their averages are not: where a gradient is small, Adam's first step takes its rounding for a value.
    """
    names = ("_momentum", "_velocity")
    return [each for each in _of_optimizers(model) if each.name.endswith(names)]


def assert_the_same_steps(plain, plain_chunk, fast, fast_chunk, steps):
    """Each step from the same state; returns the logs of the last.

    Losses are those before the step; its gradients are in Adam's moments. They agree at most steps: now and then an
    activation is so near to LeakyReLU's kink that rounding decides which slope its gradient takes.
    """
    errors = []
    for step in steps:
        copy(plain, fast)
        expected, got = plain_chunk.run(step), fast_chunk.run(step)
        np.testing.assert_allclose(as_rows([got]), as_rows([expected]), rtol=2e-5)
        pairs = zip(_moments(plain), _moments(fast), strict=True)
        errors.append([np.abs(a - b).max() / (np.abs(a).max() or 1.0) for a, b in pairs])
    paths = [moment.path for moment in _moments(plain)]
    errors = dict(zip(paths, np.median(errors, axis=0), strict=True))
    assert len(errors) == len(paths)
    assert {path: error for path, error in errors.items() if not error < 1e-4} == {}
    return got


def as_rows(logs):
    return np.array([[each[name] for name in LOGS] for each in logs])


def tables(*quick):
    """Each table with each number of phases; these at every run of the tests, the others where there is time."""
    return pytest.mark.parametrize(
        ("side", "n_phases"),
        [
            pytest.param(*each, marks=() if each in quick else pytest.mark.slow)
            for each in ((32, 2), (64, 3), (64, 2), (32, 3))
        ],
    )


@tables((32, 2))
def test_the_fast_path_agrees_with_the_plain_one_over_100_steps(side, n_phases):
    """Each alone. Adam blows rounding errors up; by how much a run shows whose weights are changed by rounding."""
    plain, plain_chunk, positions, _ = compile_once("graph", n_phases, side)
    fast, fast_chunk, _, _ = compile_once("xla_matmul", n_phases, side)
    copy(plain, fast)
    steps = positions[:, None]
    start_again = [tf.identity(v) for v in _all(plain)]
    free_plain = as_rows([plain_chunk.run(step) for step in steps])
    free_fast = as_rows([fast_chunk.run(step) for step in steps])
    for variable, value in zip(_all(plain), start_again, strict=True):
        variable.assign(value)
    rng = np.random.default_rng(0)
    for variable in plain.trainable_variables:
        variable.assign(variable * (1 + rng.choice([-1e-6, 1e-6], variable.shape)))
    perturbed = as_rows([plain_chunk.run(step) for step in steps])
    np.testing.assert_allclose(free_fast[0], free_plain[0], rtol=2e-5)
    error, rounding = (
        np.abs(each / free_plain - 1).mean(axis=0) for each in (free_fast, perturbed)
    )
    assert (error <= 3 * rounding + 1e-5).all(), (error, rounding)


# Each side and each number of phases is among them.
@tables((32, 2), (64, 3))
def test_the_fast_path_agrees_with_the_plain_one_from_the_same_state(side, n_phases):
    """At every step: nothing to blow up."""
    plain, plain_chunk, positions, _ = compile_once("graph", n_phases, side)
    fast, fast_chunk, _, _ = compile_once("xla_matmul", n_phases, side)
    steps = positions[::5, None]
    assert_the_same_steps(plain, plain_chunk, fast, fast_chunk, steps)


def test_one_fast_program_serves_before_and_after_statistics_are_matched():
    """It agrees with the plain path in both, and the multipliers move only after."""
    config, images, positions = prepare(2, "alloy.yaml", side=32)
    plain, plain_chunk = start(config, images, 2, "graph")
    fast, fast_chunk = start(config, images, 2, "xla_matmul", matches=True)
    before = None
    for matched in (False, True):
        for model in (plain, fast):
            model.frozen_statistics, model.matched_statistics = True, matched
        steps = positions[:5, None]
        got = assert_the_same_steps(plain, plain_chunk, fast, fast_chunk, steps)
        assert bool(np.any(fast.statistics_multipliers)) == matched
        np.testing.assert_allclose(
            fast.statistics_multipliers, plain.statistics_multipliers, rtol=1e-4, atol=1e-8
        )
        before = before or got
    assert fast_chunk.function.experimental_get_tracing_count() == 1
    # What is added is not lost in the comparison.
    assert abs(got["generator_loss"] / before["generator_loss"] - 1) > 0.1


@pytest.fixture(params=BACKENDS)
def compiled(request):
    return compile_once(request.param, 2, 32)


def test_a_chunk_is_compiled_once(compiled):
    model, chunk, positions, seconds = compiled
    before = int(model.training_step)
    counts = [STEPS, STEPS] if chunk.backend.counted else [STEPS, 7, 1, 2]
    times = []
    for count in counts:
        started = time.monotonic()
        logs = chunk.run(positions[:count])
        times.append(time.monotonic() - started)
        assert logs["finite_steps"] == count
    assert int(model.training_step) == before + sum(counts)
    assert chunk.function.experimental_get_tracing_count() == 1
    # XLA compiles one trace again for every value of what it takes for a constant: the first chunk must not be compiled
    # when it is run, and the number of steps must not be such a constant unless it is meant to be.
    assert times[0] - times[-1] < seconds / 2
    if not chunk.backend.counted:
        assert times[-1] < seconds / 2


FORBIDDEN_OPERATIONS = re.compile(
    r"PyFunc|Summary|Print|HostCompute|Iterator|Dataset|ReadFile|^Recv|^Send|Assert"
)
FORBIDDEN_INSTRUCTIONS = re.compile(
    r" (infeed|outfeed|send|send-done|recv|recv-done|custom-call)\("
)


def test_a_chunk_is_one_program_that_never_asks_the_host(compiled):
    _, chunk, positions, _ = compiled
    arguments = chunk.arguments(positions)
    concrete = chunk.function.get_concrete_function(*arguments)
    graph = concrete.graph.as_graph_def()
    operations = {node.op for node in graph.node}
    operations |= {node.op for function in graph.library.function for node in function.node_def}
    assert {"StatelessWhile", "While"} & operations
    assert "StatelessRandomUniformFullIntV2" in operations  # drawn inside
    assert not [each for each in operations if FORBIDDEN_OPERATIONS.search(each)]
    assert concrete.function_def.attr["_XlaMustCompile"].b is chunk.backend.xla
    if not chunk.backend.xla:
        return
    program = chunk.function.experimental_get_compiler_ir(*arguments)(stage="hlo")
    assert program.startswith("HloModule")
    assert program.count("\nENTRY ") == 1
    assert re.search(r"\bwhile\(", program)
    assert not FORBIDDEN_INSTRUCTIONS.findall(program)
    if not chunk.backend.counted:
        return
    # Else a graphics card would ask the host after every step whether to go on.
    optimized = chunk.function.experimental_get_compiler_ir(*arguments)(stage="optimized_hlo")
    loops = [line for line in optimized.splitlines() if " while(" in line]
    assert len(loops) == 1
    assert f'"known_trip_count":{{"n":"{STEPS}"}}' in loops[0]


@pytest.mark.slow
def test_a_shorter_chunk_of_a_counted_program_trains_as_many_steps():
    config, images, positions = prepare(2, side=32)
    model, chunk = start(config, images, 2, "xla")
    parts = positions[:7], positions[7:10]
    logs = [chunk.run(part) for part in parts]
    assert int(model.training_step) == 10
    assert [each["finite_steps"] for each in logs] == [7, 3]
    _, whole = start(config, images, 2, "xla_matmul")
    expected = [whole.run(part) for part in parts]
    for got, wanted in zip(logs, expected, strict=True):
        assert got["reconstruction_loss"] == pytest.approx(wanted["reconstruction_loss"], rel=1e-4)


def test_what_a_program_must_not_hold_would_be_seen():
    @tf.function
    def asks():
        tf.print("step")
        return tf.numpy_function(lambda: 1.0, [], tf.float64)

    operations = {node.op for node in asks.get_concrete_function().graph.as_graph_def().node}
    assert len([each for each in operations if FORBIDDEN_OPERATIONS.search(each)]) == 2


def test_draws_are_the_same_in_every_mode():
    model = build_model(load_config("paper/alloy.yaml", ["data.source=grains"]), 2)
    step = tf.constant(12345, tf.int64)
    expected = model.draw(step, 4)
    for options in ({}, {"jit_compile": True}):
        got = tf.function(lambda: model.draw(step, 4), **options)()
        np.testing.assert_array_equal(got.shifts, expected.shifts)
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_auto_is_the_fastest_on_each_kind_of_device(monkeypatch):
    gpus = []
    monkeypatch.setattr(backends.tf.config, "list_logical_devices", lambda kind: gpus)
    assert choose().name == "xla_matmul"
    assert choose(precision="mixed_bfloat16").name == "graph"
    gpus.append("a graphics card")
    assert choose().name == "xla"
    assert choose(precision="mixed_bfloat16").name == "xla"
    for name in BACKENDS:
        assert choose(name).name == name
    with pytest.raises(ValueError, match="xla_matmul computes in float32, not in mixed_bfloat16"):
        choose("xla_matmul", "mixed_bfloat16")


@pytest.mark.parametrize("backend", ["graph", pytest.param("xla", marks=pytest.mark.slow)])
def test_mixed_precision_is_close_and_keeps_weights_and_losses_whole(backend):
    config, images, positions = prepare(2, side=32, overrides=["training.precision=mixed_bfloat16"])
    whole, mixed = compile_once(backend, 2, 32), start(config, images, 2, backend)
    copy(whole[0], mixed[0])
    logs = {}
    for precision, (model, chunk) in {"float32": whole[:2], "mixed_bfloat16": mixed}.items():
        assert {v.dtype for v in model.trainable_variables} == {"float32"}
        logs[precision] = chunk.run(positions[:20])
        dtypes = {layer.compute_dtype for layer in model.generator.stack.layers}
        assert dtypes == {precision.removeprefix("mixed_")}
    for name in ("reconstruction_loss", "discriminator_loss", "kl_loss"):
        expected = logs["float32"][name]
        assert logs["mixed_bfloat16"][name] != expected
        assert logs["mixed_bfloat16"][name] == pytest.approx(expected, rel=0.1)
