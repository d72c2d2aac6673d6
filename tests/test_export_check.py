"""The check of an export, with runtimes made up for it: what is found and what passes."""

import numpy as np
import pytest

from davegan_tf.davegan import DAVEGAN
from davegan_tf.export_check import (
    TOLERANCE,
    Checked,
    Difference,
    ExportFailed,
    check_export,
    format_checked,
    random_inputs,
)

# Gives what lies in the export's folder, whatever it is asked. `part` counts its calls of a function.
RUNTIME = """
version, calls = "Runtime 1", {}
own = dict(np.load(f"{path}/own.npz"))

def call(function, **inputs):
    (values,) = inputs.values()
    start = calls.get(function, 0)
    calls[function] = start + len(values)
    return {
        key.split("/")[1]: array[start : start + len(values)]
        for key, array in own.items()
        if key.startswith(function)
    }
"""


@pytest.fixture(scope="module")
def model():
    return DAVEGAN(32, 3, latent_dim=5, seed=1)


@pytest.fixture(scope="module")
def outputs(model):
    """The model's own outputs, one input first and then the others."""
    inputs = random_inputs(model)
    parts = []
    for part in (slice(0, 1), slice(1, None)):
        images, z = inputs["encode/images"][part], inputs["generate/z"][part]
        z_mean, z_log_var = model.encode(images)
        parts.append(
            {
                "encode/z_mean": z_mean,
                "encode/z_log_var": z_log_var,
                "generate/probabilities": model.generate(z),
                "reconstruct/probabilities": model.reconstruct(images),
            }
        )
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


@pytest.fixture
def check(model, outputs, tmp_path):
    """``check(key=array, …)``: the check of an export that gives other arrays than the model's."""

    def run(changes=None, **options):
        np.savez(tmp_path / "own.npz", **outputs | (changes or {}))
        return check_export(tmp_path, model, RUNTIME, **options)

    return run


def test_inputs_are_as_documented(model):
    inputs = random_inputs(model)
    images, z = inputs["encode/images"], inputs["generate/z"]
    assert images.shape == (64, 32, 32, 3) and z.shape == (64, 5)
    assert {array.dtype for array in inputs.values()} == {np.dtype(np.float32)}
    assert images.min() >= 0 and images.max() <= 1
    np.testing.assert_array_equal(images, random_inputs(model)["reconstruct/images"])
    assert len(np.unique(images.reshape(64, -1), axis=0)) == 64


def test_the_same_numbers_pass(check, outputs):
    checked = check()
    assert checked.runtime == "Runtime 1"
    assert [f"{each.function}/{each.output}" for each in checked.differences] == list(outputs)
    for each in checked.differences:
        assert each.largest == each.mean == 0.0
        assert 0 < each.rounding < 1e-5  # float32 rounds, and to no more than that
        assert each.moved == (None if each.function == "encode" else 0.0)


@pytest.mark.parametrize(
    "key",
    ["encode/z_mean", "encode/z_log_var", "generate/probabilities", "reconstruct/probabilities"],
)
@pytest.mark.parametrize("place", [0, -1])
def test_one_wrong_number_is_found(check, outputs, key, place):
    wrong = outputs[key].copy()
    wrong.flat[place] += 1e-3
    function, output = key.split("/")
    with pytest.raises(
        ExportFailed, match=rf"Runtime 1: {output} of {function} .* by 1\.0e-03, and"
    ):
        check({key: wrong})


def test_a_small_difference_passes_and_is_told(check, outputs):
    key = "generate/probabilities"
    near = outputs[key].copy()
    near.flat[7] += 0.5 * TOLERANCE
    difference = check({key: near}).differences[2]
    assert difference.largest == pytest.approx(0.5 * TOLERANCE, rel=0.02)
    assert difference.mean == pytest.approx(difference.largest / near.size)


def test_what_need_not_be_exact_is_measured(check, outputs):
    key = "generate/probabilities"
    moved = outputs[key].copy()
    moved[:16] = np.roll(moved[:16], 1, axis=-1)
    difference = check({key: moved}, exact=False).differences[2]
    assert difference.moved == pytest.approx(0.25)
    assert difference.largest == np.abs(moved - outputs[key]).max()


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("change", ["nan", "other shape", "other type"])
def test_never_passes(check, outputs, exact, change):
    key = "encode/z_mean"
    array = {
        "nan": np.full_like(outputs[key], np.nan),
        "other shape": outputs[key][:, :4],
        "other type": outputs[key].astype(np.float64),
    }[change]
    with pytest.raises(ExportFailed, match="z_mean of encode"):
        check({key: array}, exact=exact)


def test_an_output_that_is_missing(model, tmp_path):
    runtime = "version = 'Runtime 1'\ndef call(function, **inputs): return {'z': next(iter(inputs.values()))}"
    with pytest.raises(ExportFailed, match="Runtime 1: encode gives no z_mean, only z"):
        check_export(tmp_path, model, runtime)


@pytest.mark.parametrize(
    "runtime, reason",
    [
        ("import davegan_tf", "could not be run: ModuleNotFoundError: import of davegan_tf halted"),
        ("raise OSError('no such file')", "could not be run: OSError: no such file"),
        ("import sys; sys.exit(3)", "could not be run: exit code 3"),
    ],
)
def test_a_runtime_that_fails(model, tmp_path, runtime, reason):
    with pytest.raises(ExportFailed, match=reason):
        check_export(tmp_path, model, runtime)


def test_limits():
    exact = Difference("generate", "probabilities", 0.0, 0.0, rounding=1e-7, moved=0.0)
    assert exact.limit == TOLERANCE == 1e-5
    assert exact._replace(rounding=1e-4).limit == pytest.approx(4e-4)


def test_the_table():
    rows = (
        Difference("encode", "z_mean", 1.2e-6, 1e-7, 2e-6, None),
        Difference("generate", "probabilities", 1.0, 1e-3, 2e-4, 0.0125),
    )
    sentence, head, first, second, *_ = format_checked(Checked("Runtime 1", rows)).splitlines()
    assert "by Runtime 1 in a process of its own, on 64 random inputs" in sentence
    assert head.split()[:3] == ["largest", "mean", "float32's"]
    assert first.split() == ["encode", "z_mean", "1.2e-06", "1.0e-07", "2.0e-06"]
    assert second.split()[2:] == ["1.0e+00", "1.0e-03", "2.0e-04", "1.250%"]
    assert len(head) == len(second)
