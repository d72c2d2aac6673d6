"""The training loop's inner part: some steps as one compiled function."""

import tensorflow as tf

from davegan_tf.davegan import LOGS


class Chunk:
    """Some training steps as one compiled function, with the data on the device.

    Parameters
    ----------
    model : DAVEGAN, compiled
    images : (n, height, width) uint8, phase labels
    n_phases : int
    """

    def __init__(self, model, images, n_phases):
        self.model, self.n_phases = model, n_phases
        self.side = model.arguments["image_size"]
        self.labels = tf.constant(images)
        self.function = tf.function(self._steps, reduce_retracing=True)

    def run(self, positions):
        """Train on the samples at ``positions``, (n_steps, batch, 3) int32 (image, row, column).

        Returns
        -------
        dict of float
            Mean of every log over the steps, and ``finite_steps``, the number of steps before the first loss that
            is not finite (all of them, if none).
        """
        logs = self.function(tf.constant(positions))
        return {key: value.numpy().item() for key, value in logs.items()}

    def _cut(self, positions):
        """The samples of one batch: (batch, side, side, channels) float32."""
        _, height, width = self.labels.shape
        span = tf.range(self.side)
        rows = positions[:, 1, None] + span
        columns = positions[:, 2, None] + span
        pixels = rows[:, :, None] * width + columns[:, None, :]
        pixels += positions[:, 0, None, None] * (height * width)
        labels = tf.gather(tf.reshape(self.labels, [-1]), pixels)
        if self.n_phases == 2:
            return tf.cast(labels, tf.float32)[..., None]
        return tf.one_hot(tf.cast(labels, tf.int32), self.n_phases)

    def _steps(self, positions):
        n_steps = tf.shape(positions)[0]
        sums = {name: tf.zeros(()) for name in LOGS}
        finite_steps = tf.zeros((), tf.int32)
        for index in tf.range(n_steps):
            logs = self.model.train_step(self._cut(positions[index]))
            sums = {name: sums[name] + logs[name] for name in sums}
            finite = tf.reduce_all(tf.math.is_finite(tf.stack(list(sums.values()))))
            finite_steps += tf.cast(finite, tf.int32)
        means = {name: total / tf.cast(n_steps, tf.float32) for name, total in sums.items()}
        return {**means, "finite_steps": finite_steps}
