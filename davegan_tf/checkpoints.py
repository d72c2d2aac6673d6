"""Checkpoints that survive being killed, and weights of a finished model."""

import re
import shutil
from pathlib import Path

import numpy as np
import tensorflow as tf

from davegan_tf.errors import InputError
from davegan_tf.files import atomic_path, sync

# What a file that is whole may end in, where memory or file handles are short.
NOT_DAMAGE = (MemoryError, tf.errors.ResourceExhaustedError)


class Checkpoints:
    """Everything a training needs to go on: weights, statistics, three optimizers, the step.

    Random numbers and the order of the data are pure functions of (seed, step), so the step is all their state.

    Parameters
    ----------
    folder : Path
    model : DAVEGAN, compiled
    kept : int ≥ 1
        How many of the newest are kept on disk.
    """

    def __init__(self, folder, model, kept=2):
        self.folder, self.kept = Path(folder), kept
        # By name, not by object graph: a variable that a graph misses would be lost without a word.
        self.variables = dict(_named_variables(model))
        self._checkpoint = tf.train.Checkpoint(variables=self.variables)

    def steps(self):
        """Steps of the checkpoints on disk, oldest first."""
        found = (re.fullmatch(r"ckpt-(\d+)\.index", p.name) for p in self.folder.glob("*.index"))
        return sorted(int(match[1]) for match in found if match)

    def save(self, step):
        """Write a checkpoint, then remove those no longer wanted.

        Raises
        ------
        FloatingPointError
            If a weight is not finite; nothing is written.
        OSError, tensorflow.errors.OpError
            If it can't be written; the older ones are kept, nothing of this one is left.
        """
        for name, variable in self.variables.items():
            if not np.all(np.isfinite(variable.numpy())):
                raise FloatingPointError(name)
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._checkpoint.write(str(self.folder / f"ckpt-{step}"))
            # TensorFlow leaves it to the system when its files reach the disk; the older ones are removed here.
            for file in self.folder.glob(f"ckpt-{step}.*"):
                sync(file)
            sync(self.folder)
        except BaseException:
            self._remove(step)
            raise
        # A run goes on from its newest readable checkpoint: those beyond this one are damaged.
        older, beyond = [], []
        for each in self.steps():
            (older if each <= step else beyond).append(each)
        for unwanted in [*older[: -self.kept], *beyond]:
            self._remove(unwanted)

    def _remove(self, step):
        # The index goes first: data without it is no checkpoint, an index without data is a damaged one.
        (self.folder / f"ckpt-{step}.index").unlink(missing_ok=True)
        for shard in self.folder.glob(f"ckpt-{step}.data-*"):
            shard.unlink()
        shutil.rmtree(self.folder / f"ckpt-{step}_temp", ignore_errors=True)

    def restore_newest(self):
        """Restore the newest readable checkpoint.

        Returns
        -------
        step : int or None
            None if there is no readable one; the variables' values are then undefined if there are damaged ones.
        damaged : list of int
            Steps of newer checkpoints that could not be read.

        Raises
        ------
        MemoryError, OSError, tensorflow.errors.ResourceExhaustedError, tensorflow.errors.PermissionDeniedError
            If that is no fault of a checkpoint's.
        """
        damaged = []
        for step in reversed(self.steps()):
            status = None
            try:
                status = self._checkpoint.read(str(self.folder / f"ckpt-{step}"))
                status.assert_consumed()
            except (*NOT_DAMAGE, OSError, tf.errors.PermissionDeniedError):
                raise
            except Exception:  # another one for every kind of damage, IndexError among them
                if status is not None:
                    status.expect_partial()  # or TensorFlow lists at exit what it didn't find
                damaged.append(step)
                continue
            return step, damaged
        return None, damaged


def _named_variables(model):
    """Every variable under a name of its own, the same in every process: encoder/layer_1/kernel."""
    yield "training_step", model.training_step.value
    if model.statistics_multipliers is not None:
        yield "statistics_multipliers", model.statistics_multipliers.value
    for name in ("encoder", "generator", "discriminator"):
        for layer in getattr(model, name).stack.layers:
            for variable in layer.variables:
                yield f"{name}/{layer.name}/{variable.name}", variable.value
        for variable in getattr(model, f"{name}_optimizer").variables:
            yield f"{name}_optimizer/{variable.name}", variable.value


def save_weights(model, path):
    """Write the model's weights and its optimizers' state at once or not at all."""
    with atomic_path(path) as temporary:
        model.save_weights(temporary, overwrite=True)


def load_weights(model, path):
    """Read what :func:`save_weights` wrote.

    Raises
    ------
    InputError
        If the file is damaged or holds another model.
    """
    try:
        model.load_weights(path)
    except NOT_DAMAGE:
        raise
    except Exception as error:  # another one for every kind of damage
        raise InputError(
            f"{path}: not the weights of this run's model ({_reason(error)}); continue the run with"
            " `train --resume` to write them anew."
        ) from None


def save_compact_weights(model, path):
    """Write what use needs, the weights of encoder and generator, as a compressed NPZ file."""
    weights = {name: variable.numpy() for name, variable in _weights_of_use(model).items()}
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **weights)


def load_compact_weights(model, path):
    """Read what :func:`save_compact_weights` wrote; the discriminator stays as it is.

    Raises
    ------
    InputError
        If the file is damaged or holds another model.
    """
    variables = _weights_of_use(model)
    try:
        # Opened here, since NumPy leaves a damaged file open.
        with path.open("rb") as stream, np.load(stream) as file:
            values = {name: file[name] for name in file.files}
    except NOT_DAMAGE:
        raise
    except Exception as error:  # another one for every kind of damage
        raise InputError(
            f"{path}: not readable as weights ({_reason(error)}); install anew."
        ) from None
    shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
    if {name: value.shape for name, value in values.items()} != shapes:
        raise InputError(f"{path}: not the weights of this configuration's model; install anew.")
    for name, value in values.items():
        variables[name].assign(value)


def _reason(error):
    """The first line of what an error says; its name, where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _weights_of_use(model):
    used = ("encoder/", "generator/")
    return {name: v for name, v in _named_variables(model) if name.startswith(used)}
