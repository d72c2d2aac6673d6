"""What a training shows its models at which step, and when it goes over to something else."""

import math

import numpy as np

from davegan_tf.dataset import BatchPositions
from davegan_tf.errors import InputError

# Pixels are numbered in int32.
MOST_PIXELS = 2**31 - 1


class Schedule:
    """The data of every step, and the steps at which settings change; pure functions of the config.

    Parameters
    ----------
    config : davegan_tf.config.Config
    micrograph : davegan_tf.micrographs.Micrograph

    Attributes
    ----------
    images : (n, height, width) uint8
        Phase labels that all samples are cut from: the micrograph, and where ``data.real_turned`` applies the same
        turned by half a turn.
    positions : davegan_tf.dataset.BatchPositions
        Where what is encoded is cut.
    real_positions : davegan_tf.dataset.BatchPositions
        Where what the discriminator is shown as real is cut (``data.real_sampling``).
    total : int
        Steps of the whole training.
    frozen_from, matched_from, decayed_from : float
        The first step at which statistics are frozen, statistics of samples are matched, learning rates fall: that of
        the first chunk after ``training.*_after``; inf for never, as where nothing is to be matched.

    Raises
    ------
    InputError
        If there are more than MOST_PIXELS pixels.
    """

    def __init__(self, config, micrograph):
        self.images = micrograph.images
        self.positions = positions_of(config, self.images, config.data.sampling)
        self.real_positions = self.positions
        if config.data.real_sampling != "same":
            if config.data.shows_turned:
                self.images = np.concatenate([self.images, self.images[:, ::-1, ::-1]])
            self.real_positions = positions_of(
                config, self.images, config.data.real_sampling, stream=1
            )
        if self.images.size > MOST_PIXELS:
            raise InputError(
                f"data: {self.images.size:,} pixels, turned ones counted, are more than the {MOST_PIXELS:,} that can be"
                " trained on; give fewer or smaller images."
            )
        self._training = training = config.training
        self.total = self.positions.steps(training.epochs)
        self.frozen_from = self._chunk_from(training.freeze_statistics_after)
        matches = config.model.lambda_statistics or config.model.lambda_independence
        self.matched_from = self._chunk_from(training.match_statistics_after if matches else None)
        self.decayed_from = self._chunk_from(training.decay_after)

    @property
    def falls_from(self):
        """The first step with smaller learning rates: the first chunk from ``decayed_from`` on still has them whole."""
        return self.decayed_from + self._training.chunk_steps

    @property
    def matches(self):
        """Whether statistics of samples are matched in some chunk."""
        return self.matched_from < self.total

    @property
    def never_reached(self):
        """The keys ``…_after`` that begin too late for any chunk to be computed otherwise, with their epochs."""
        first_steps = {
            "freeze_statistics_after": self.frozen_from,
            "match_statistics_after": self.matched_from,
            "decay_after": self.falls_from,
        }
        return {
            name: getattr(self._training, name)
            for name, step in first_steps.items()
            if self.total <= step < math.inf
        }

    def learning_rate_share(self, step):
        """What is left of the configured learning rates in the chunk of ``step``, by the chunk's first step: 0 … 1."""
        # A shorter training that goes on may have ended within a chunk.
        step -= step % self._training.chunk_steps
        if step < self.decayed_from:
            return 1.0
        return (self.total - step) / (self.total - self.decayed_from)

    def _chunk_from(self, epoch):
        """The first step of the first chunk that begins after so many epochs; inf for None."""
        if epoch is None:
            return math.inf
        length = self._training.chunk_steps
        return -(-self.positions.steps(epoch) // length) * length


def positions_of(config, images, sampling, stream=0):
    """The positions of a config's batches in ``images``: a :class:`davegan_tf.dataset.BatchPositions`."""
    side, batch = config.data.image_size, config.training.batch_size
    return BatchPositions(images.shape, side, sampling, batch, config.seed, stream)
