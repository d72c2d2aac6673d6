"""The training loop's inner part: some steps as one compiled function."""

import functools
import time

import numpy as np
import tensorflow as tf

from davegan_tf import backends
from davegan_tf.davegan import LOGS
from davegan_tf.distribution import Distribution, this_replica
from davegan_tf.flat_weights import FlatWeights
from davegan_tf.heap import release_free_memory


class Chunk:
    """Some training steps as one compiled function, with the data on the device.

    Parameters
    ----------
    model : DAVEGAN, compiled
    images : (n, height, width) uint8, phase labels
    n_phases : int
    backend : str
        How the steps are computed, see :mod:`davegan_tf.backends`; ``auto``: by the devices.
    distribution : davegan_tf.distribution.Distribution or None
        The one that built the model; None: one device.
    matches : bool
        Whether ``matched_statistics`` may become true later: a program that ``switches`` is made for that.

    Attributes
    ----------
    function : tf.function
        What is compiled; takes what :meth:`arguments` returns.
    backend : davegan_tf.backends.Backend
        What was chosen.
    labels : tf.Tensor, or one on each replica
        The images, on the device.

    Raises
    ------
    ValueError
        If the backend can't be had with this distribution or precision.
    """

    def __init__(
        self, model, images, n_phases, backend="auto", distribution=None, *, matches=False
    ):
        self.model, self.n_phases, self.matches = model, n_phases, matches
        self.distribution = distribution or Distribution()
        self.side = model.arguments["image_size"]
        if self.distribution.strategy is not None:
            # An XLA program is one device's: replicas could not tell each other anything.
            if backend not in ("auto", "graph"):
                raise ValueError(
                    f"backend is {backend!r}, expected 'auto' or 'graph' with replicas"
                )
            backend = "graph"
        self.backend = backends.choose(backend, model.arguments["precision"])
        self.labels = self.distribution.copies(images)
        self._flat = FlatWeights(model.updates()) if self.backend.flat else None
        self.function = tf.function(self._steps, jit_compile=self.backend.xla)
        self._length = 0

    def compile(self, n_steps, batch_size):
        """Compile the function for up to ``n_steps`` steps of ``batch_size`` samples each, and run none.

        With a backend that is ``counted``: for exactly as many.

        Returns
        -------
        float
            The time it took in seconds.
        """
        started = time.monotonic()
        self._length = n_steps
        empty = np.zeros((0, batch_size, 3), np.int32)
        release_free_memory()
        self.run(empty, empty)
        release_free_memory()
        return time.monotonic() - started

    def run(self, positions, real_positions=None):
        """Train on the samples at ``positions``, (n_steps, batch, 3) int32 (image, row, column).

        D is shown those at ``real_positions`` as real, by default the same.

        Returns
        -------
        dict of float
            Mean of every log over the steps, and ``finite_steps``, the number of steps before the first loss that
            is not finite (all of them, if none).
        """
        arguments = self.arguments(positions, real_positions)
        with self.distribution.together():
            if self._flat is not None:
                self._flat.read()
            logs = self.function(*arguments)
            if self._flat is not None:
                self._flat.write()
        return {key: value.numpy().item() for key, value in logs.items()}

    def arguments(self, positions, real_positions=None):
        """What :meth:`run` calls the compiled ``function`` with."""
        n_steps = len(positions)
        # XLA compiles for one shape: a shorter chunk is filled up with steps that are not run. Where the number of
        # steps is a constant, they can be run all or not at all, and another number is another program.
        self._length = n_steps if self.backend.counted and n_steps else max(self._length, n_steps)
        both = (positions, positions if real_positions is None else real_positions)
        padding = ((0, self._length - n_steps), (0, 0), (0, 0))
        positions = np.stack([np.pad(part, padding) for part in both], axis=1)
        # As a tensor it is part of the data; as Python's bool it makes tf.function compile for each value.
        batch, matched = not self.model.frozen_statistics, self.model.matched_statistics
        if self.backend.switches:
            batch = tf.constant(batch)
            matched = tf.constant(matched) if self.matches else matched
        return tf.constant(positions), tf.constant(n_steps), batch, matched

    def _cut(self, positions, labels):
        """The samples of one batch: (batch, side, side, channels) float32."""
        _, height, width = labels.shape
        span = tf.range(self.side)
        rows = positions[:, 1, None] + span
        columns = positions[:, 2, None] + span
        pixels = rows[:, :, None] * width + columns[:, None, :]
        pixels += positions[:, 0, None, None] * (height * width)
        labels = tf.gather(tf.reshape(labels, [-1]), pixels)
        if self.n_phases == 2:
            return tf.cast(labels, tf.float32)[..., None]
        return tf.one_hot(tf.cast(labels, tf.int32), self.n_phases)

    def _step(self, positions, labels, batch_statistics, matched_statistics):
        own, backend = this_replica().own, self.backend
        run, updates = backend.run_stack, None
        if self._flat is not None:
            run = functools.partial(run, values_of=self._flat.values_of)
            updates = self._flat.updates
        images, real_images = (self._cut(own(part), labels) for part in tf.unstack(positions))
        return self.model.update(
            images,
            real_images,
            run,
            batch_statistics,
            matched_statistics,
            backend.materialize,
            backend.routed,
            updates,
        )

    def _steps(self, positions, n_steps, *statistics):
        if not self.backend.counted:
            return self._loop(positions, n_steps, *statistics)
        length = positions.shape[0]
        return tf.cond(
            n_steps > 0,
            lambda: self._loop(positions, length, *statistics),
            lambda: self._loop(positions, 0, *statistics),
        )

    def _loop(self, positions, n_steps, *statistics):
        sums = {name: tf.zeros(()) for name in LOGS}
        finite_steps = tf.zeros((), tf.int32)
        index = tf.constant(0)
        while index < n_steps:
            logs = self.distribution.run(self._step, positions[index], self.labels, *statistics)
            sums = {name: sums[name] + logs[name] for name in sums}
            finite = tf.reduce_all(tf.math.is_finite(tf.stack(list(sums.values()))))
            finite_steps += tf.cast(finite, tf.int32)
            index += 1
        means = {name: total / tf.cast(n_steps, tf.float32) for name, total in sums.items()}
        return {**means, "finite_steps": finite_steps}
