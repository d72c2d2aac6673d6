"""Checkpoints: everything comes back, the newest readable one wins, nothing unusable is written."""

import errno
import os

import numpy as np
import pytest
import tensorflow as tf

from davegan_tf import checkpoints
from davegan_tf.building import build_model
from davegan_tf.checkpoints import (
    Checkpoints,
    load_compact_weights,
    load_weights,
    save_compact_weights,
    save_weights,
)
from davegan_tf.config import load_config
from davegan_tf.errors import InputError


def small_model(seed=0):
    overrides = [f"seed={seed}", "data.count=8"]
    return build_model(load_config("paper/ellipses.yaml", overrides), n_phases=2)


@pytest.fixture(scope="module")
def model():
    return small_model()


def all_variables(model):
    optimizers = (model.encoder_optimizer, model.generator_optimizer, model.discriminator_optimizer)
    return [*model.variables, *(each for one in optimizers for each in one.variables)]


def fill(model, seed):
    """Random values in every variable, so that none is at its initial value by chance."""
    rng = np.random.default_rng(seed)
    for variable in all_variables(model):
        kind = np.dtype(variable.dtype)
        value = (
            rng.integers(1, 1000, variable.shape)
            if kind.kind == "i"
            else rng.random(variable.shape)
        )
        variable.assign(np.asarray(value, kind))
    return values(model)


def values(model):
    return [variable.numpy() for variable in all_variables(model)]


def assert_equal(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture
def saved(tmp_path, model):
    """Three checkpoints and the values in them."""
    checkpoints = Checkpoints(tmp_path / "checkpoints", model, kept=3)
    contents = {}
    for step in (5, 10, 100):
        contents[step] = fill(model, step)
        checkpoints.save(step)
    fill(model, 0)
    return checkpoints, contents


def file(checkpoints, step, kind):
    (found,) = checkpoints.folder.glob(f"ckpt-{step}.{kind}*")
    return found


def test_every_variable_comes_back(saved, model):
    checkpoints, contents = saved
    paths = " ".join(variable.path for variable in all_variables(model))
    for part in ("moving_variance", "training_step", "iteration", "velocity", "momentum", "gamma"):
        assert part in paths
    assert checkpoints.steps() == [5, 10, 100]
    assert checkpoints.restore_newest() == (100, [])
    assert_equal(values(model), contents[100])


def test_another_model_of_this_process_reads_them_too(saved):
    # Keras numbers the layers of all models of a process.
    checkpoints, contents = saved
    other = small_model(seed=1)
    assert Checkpoints(checkpoints.folder, other).restore_newest() == (100, [])
    assert_equal(values(other), contents[100])


@pytest.mark.parametrize(
    ("kind", "length"), [("data", None), ("data", 5000), ("data", 0), ("index", 500), ("index", 0)]
)
def test_a_damaged_one_gives_way_to_the_one_before(kind, length, saved, model):
    checkpoints, contents = saved
    damaged = file(checkpoints, 100, kind)
    if length is None:
        damaged.unlink()
    else:
        os.truncate(damaged, length)
    assert checkpoints.restore_newest() == (10, [100])
    assert_equal(values(model), contents[10])


def test_a_flipped_bit_is_damage(saved, model):
    checkpoints, contents = saved
    data = bytearray(file(checkpoints, 100, "data").read_bytes())
    data[len(data) // 2] ^= 1
    file(checkpoints, 100, "data").write_bytes(data)
    assert checkpoints.restore_newest() == (10, [100])
    assert_equal(values(model), contents[10])


def test_one_of_another_model_is_damage(saved, model):
    checkpoints, contents = saved
    tf.train.Checkpoint(other=tf.Variable(1.0)).write(str(checkpoints.folder / "ckpt-200"))
    assert checkpoints.restore_newest() == (100, [200])
    assert_equal(values(model), contents[100])


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.EIO, "Input/output error"),
        tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"),
        tf.errors.PermissionDeniedError(None, None, "ckpt-100.index; Permission denied"),
    ],
)
def test_want_of_memory_or_permission_is_no_damage(error, saved, tmp_path, model, monkeypatch):
    def fail(*arguments, **options):
        raise error

    checkpoints, _ = saved
    monkeypatch.setattr(tf.train.Checkpoint, "read", fail)
    with pytest.raises(type(error)):
        checkpoints.restore_newest()
    if isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError)):
        monkeypatch.setattr(model, "load_weights", fail)
        with pytest.raises(type(error)):
            load_weights(model, tmp_path / "model.weights.h5")


def test_all_damaged_or_none_there(saved, tmp_path, model):
    checkpoints, _ = saved
    for index in checkpoints.folder.glob("*.index"):
        os.truncate(index, 10)
    assert checkpoints.restore_newest() == (None, [100, 10, 5])
    assert Checkpoints(tmp_path / "none", model).restore_newest() == (None, [])


def test_data_without_an_index_is_no_checkpoint(saved):
    # What is left if a run is killed while it writes one.
    checkpoints, _ = saved
    file(checkpoints, 100, "index").unlink()
    assert checkpoints.restore_newest() == (10, [])


@pytest.mark.parametrize("kept", [1, 2])
def test_only_the_newest_are_kept(kept, tmp_path, model):
    checkpoints = Checkpoints(tmp_path, model, kept=kept)
    for step in (9, 10, 100, 1000):
        checkpoints.save(step)
    assert checkpoints.steps() == [100, 1000][-kept:]
    assert len(list(tmp_path.iterdir())) == 2 * kept


def test_the_newest_is_on_the_disk_before_an_older_one_goes(tmp_path, model, monkeypatch):
    kept = Checkpoints(tmp_path, model, kept=1)
    kept.save(1)
    synced = {}
    monkeypatch.setattr(
        checkpoints, "sync", lambda path: synced.setdefault(path.name, kept.steps())
    )
    kept.save(2)
    names = {path.name for path in tmp_path.glob("ckpt-2.*")} | {tmp_path.name}
    assert len(names) == 3
    assert synced == {name: [1, 2] for name in names}
    assert kept.steps() == [2]


def test_damaged_ones_beyond_do_not_crowd_out_the_good(saved, model):
    checkpoints, _ = saved
    for step in (10, 100):
        os.truncate(file(checkpoints, step, "data"), 10)
    assert checkpoints.restore_newest() == (5, [100, 10])
    again = Checkpoints(checkpoints.folder, model, kept=1)
    again.save(7)
    assert again.steps() == [7]
    assert again.restore_newest() == (7, [])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_weight_that_is_not_finite_is_not_saved(value, saved, model, tree):
    checkpoints, _ = saved
    weight = model.generator.trainable_variables[0]
    before, files = weight.numpy(), tree(checkpoints.folder)
    poisoned = before.copy()
    poisoned.flat[3] = value
    weight.assign(poisoned)
    with pytest.raises(FloatingPointError, match=r"\w+/layer_\d/kernel"):
        checkpoints.save(200)
    weight.assign(before)
    assert tree(checkpoints.folder) == files


def test_a_failure_to_write_leaves_the_older_ones_alone(saved, model, monkeypatch, tree):
    checkpoints, _ = saved
    files = tree(checkpoints.folder)

    def fail(prefix):
        for suffix in (".data-00000-of-00001", ".index"):
            with open(prefix + suffix, "w") as half:
                half.write("half")
        os.mkdir(prefix + "_temp")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints._checkpoint, "write", fail)
    with pytest.raises(OSError, match="No space"):
        checkpoints.save(200)
    assert tree(checkpoints.folder) == files


# Weights of a finished model


def test_weights_come_back(tmp_path, model):
    fill(model, 1)
    expected = [variable.numpy() for variable in model.variables]
    save_weights(model, tmp_path / "model.weights.h5")
    other = small_model(seed=1)
    load_weights(other, tmp_path / "model.weights.h5")
    assert_equal([variable.numpy() for variable in other.variables], expected)
    assert [path.name for path in tmp_path.iterdir()] == ["model.weights.h5"]


def test_damaged_weights_are_named(tmp_path, model):
    path = tmp_path / "model.weights.h5"
    save_weights(model, path)
    whole = path.stat().st_size
    for length in (0, 100, whole // 2):
        os.truncate(path, length)
        with pytest.raises(InputError, match=r"model\.weights\.h5: not the weights of this run"):
            load_weights(model, path)


@pytest.mark.parametrize("error", [RuntimeError("one\ntwo"), TypeError(), KeyError("")])
def test_damage_of_any_kind_is_told_in_one_sentence(error, tmp_path, model, monkeypatch):
    def fail(path):
        raise error

    monkeypatch.setattr(model, "load_weights", fail)
    with pytest.raises(InputError, match=r"model \((one|TypeError|'')\); continue") as raised:
        load_weights(model, tmp_path / "model.weights.h5")
    assert "\n" not in str(raised.value)


def flip_a_byte(path):
    """In the compressed data of an NPZ file's first array."""
    content = bytearray(path.read_bytes())
    names, extra = (int.from_bytes(content[at : at + 2], "little") for at in (26, 28))
    content[30 + names + extra] ^= 0xFF
    path.write_bytes(content)


def array_in_place_of_archive(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


DAMAGES = [
    flip_a_byte,
    array_in_place_of_archive,
    lambda path: os.truncate(path, 100),
    lambda path: path.write_bytes(b""),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_compact_weights_are_named(damage, tmp_path, model):
    path = tmp_path / "weights.npz"
    save_compact_weights(model, path)
    load_compact_weights(model, path)
    damage(path)
    with pytest.raises(InputError, match=r"weights\.npz: not readable as weights \(.+\); install"):
        load_compact_weights(model, path)


def test_weights_of_another_model_are_refused(tmp_path, model):
    other = build_model(load_config("quickstart.yaml"), n_phases=3)
    save_weights(other, tmp_path / "model.weights.h5")
    with pytest.raises(InputError, match="not the weights of this run's model"):
        load_weights(model, tmp_path / "model.weights.h5")


def test_every_variable_has_a_name_of_its_own_whatever_the_process_did_before(tmp_path):
    first, second = small_model(), small_model()
    names = [list(Checkpoints(tmp_path, model).variables) for model in (first, second)]
    assert names[0] == names[1]
    assert len(set(names[0])) == len(names[0]) == len(all_variables(first))
    assert "encoder/layer_1/kernel" in names[0]
