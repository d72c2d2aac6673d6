"""One training on several devices or machines, with the mathematics of a single one.

The batch is shared out evenly among replicas of the model. Every replica draws the random numbers of the whole batch
and takes those of its samples, batch normalisation sees the whole batch (``synchronized``), gradients and logs are
means over all replicas. So the replicas' weights are the same at all times, and those of a training on one device but
for rounding.

:class:`Distribution` is the view from outside, of a process; :class:`Replica` that from within a training step.
"""

import contextlib
import signal
import threading
from typing import NamedTuple

import keras
import tensorflow as tf

from davegan_tf.cluster import read_cluster
from davegan_tf.errors import InputError


class Replica(NamedTuple):
    """The replica that a training step is computed for; of a single one, every method adds no operation."""

    index: tf.Tensor | int
    count: int

    def whole(self, size):
        """The size of the whole batch, from that of this replica's part: () int32 tensor each."""
        return size if self.count == 1 else size * self.count

    def own(self, values, axis=0):
        """This replica's part of ``values`` of the whole batch, whose samples lie along ``axis``."""
        if self.count == 1:
            return values
        size = tf.shape(values)[axis] // self.count
        return tf.gather(values, self.index * size + tf.range(size), axis=axis)

    def together(self, values):
        """``values`` of the whole batch, from those of this replica's samples, (n, …) each; with gradient."""
        if self.count == 1:
            return values
        whole = tf.distribute.get_replica_context().all_gather(values, axis=0)
        return tf.ensure_shape(whole, [None, *values.shape[1:]])

    @property
    def gradient_weight(self):
        """What a loss's gradient is multiplied by: Keras' optimizers add up the replicas' gradients."""
        return None if self.count == 1 else tf.constant(1.0 / self.count)

    def mean(self, logs):
        """The mean of every log over the replicas; dict of () float32 tensors each."""
        if self.count == 1:
            return logs
        context = tf.distribute.get_replica_context()
        values = context.all_reduce(tf.distribute.ReduceOp.MEAN, tf.stack(list(logs.values())))
        return dict(zip(logs, tf.unstack(values, num=len(logs)), strict=True))


def this_replica():
    """The Replica that this part of the program is computed for."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return Replica(0, 1)
    return Replica(context.replica_id_in_sync_group, context.num_replicas_in_sync)


class Distribution:
    """The replicas of a training, those in other processes included.

    Parameters
    ----------
    kind : str
        ``none``: one replica, on TensorFlow's default device. ``mirrored``: one on each graphics card of this machine,
        or, without any, on each of TensorFlow's CPU devices. ``multi_worker``: the same in several processes
        (MultiWorkerMirroredStrategy); must be made before TensorFlow computes anything, and waits for all of them
        (Ctrl-C ends it; SIGTERM, which TensorFlow keeps to itself meanwhile, does not). On CPUs each process has one
        replica.

    Raises
    ------
    InputError
        If TF_CONFIG does not describe the processes.
    """

    def __init__(self, kind="none"):
        self.cluster = read_cluster(kind)
        self.strategy = None
        if kind == "mirrored":
            self.strategy = tf.distribute.MirroredStrategy(_devices())
        elif kind == "multi_worker":
            with _default_interrupt():
                self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
            self._largest = tf.function(self._gather_largest, autograph=False)

    @property
    def replicas(self):
        """How many replicas share a batch."""
        return 1 if self.strategy is None else self.strategy.num_replicas_in_sync

    @property
    def chief(self):
        """Whether this process is the one that writes."""
        return self.cluster.chief

    def check_batch_size(self, batch_size):
        """Raise InputError if batches of this size can't be shared out evenly."""
        if batch_size % self.replicas:
            raise InputError(
                f"training.batch_size must be a multiple of the number of replicas, {self.replicas} here, not"
                f" {batch_size}; choose another batch size or fewer devices."
            )

    # --- what the replicas compute ---------------------------------------------------------------------------------

    def build(self, make, *arguments):
        """The model that ``make(*arguments)`` makes, with a copy of its variables on every replica."""
        if self.strategy is None:
            return make(*arguments)
        with self.together(), self.strategy.scope():
            model = make(*arguments)
        for network in (model.encoder, model.generator, model.discriminator):
            for layer in network.stack.layers:
                if isinstance(layer, keras.layers.BatchNormalization):
                    layer.synchronized = True
        return model

    def copies(self, array):
        """A constant on every local replica's device, for :meth:`run`."""
        if self.strategy is None:
            return tf.constant(array)
        devices = iter(self.strategy.extended.worker_devices)

        def copy(_):
            with tf.device(next(devices)):
                return tf.constant(array)

        return self.strategy.experimental_distribute_values_from_function(copy)

    def run(self, step, *arguments):
        """Compute ``step(*arguments)`` on every replica; what the first local one returns."""
        if self.strategy is None:
            return step(*arguments)
        results = self.strategy.run(step, arguments)
        return tf.nest.map_structure(
            lambda result: self.strategy.experimental_local_results(result)[0], results
        )

    # --- what the processes do together ----------------------------------------------------------------------------

    @contextlib.contextmanager
    def together(self):
        """A context for what all processes compute together: InputError if one of them is lost."""
        try:
            yield
        except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError):
            if self.cluster.workers == 1:
                raise
            raise InputError(
                "Another process of this training is lost (its own message may say why); start all of them again,"
                " with --resume if there is a checkpoint."
            ) from None

    def agree(self, number):
        """The largest of the numbers (int ≥ 0) that the processes come here with; all of them must come."""
        if self.cluster.workers == 1:
            return number
        with self.together():
            return int(self._largest(tf.constant([number])))

    def _gather_largest(self, number):
        def gather(number):
            context = tf.distribute.get_replica_context()
            # The copy is for the device: what has none can't be gathered.
            return tf.reduce_max(context.all_gather(tf.identity(number), axis=0))

        return self.run(gather, number)

    def on_chief(self, action):
        """Let the process that writes do ``action()``; all processes must come here, and wait for it.

        Returns
        -------
        What ``action`` returns; None in the other processes.

        Raises
        ------
        Exception
            Whatever ``action`` raises; InputError in the other processes, so that none waits for ever.
        """
        result, error = None, None
        if self.chief:
            try:
                result = action()
            except Exception as caught:
                error = caught
        if self.agree(int(error is not None)):
            raise error or InputError(
                "Worker 0, the one that writes, has stopped with an error; see its own message."
            )
        return result

    def spread(self, variables):
        """Give every process the values that the chief's variables have."""
        if self.cluster.workers == 1:
            return

        def chiefs():
            context = tf.distribute.get_replica_context()
            here = context.replica_id_in_sync_group == 0
            # One by one: together they would have to be of one type.
            return [
                context.all_reduce(
                    tf.distribute.ReduceOp.SUM, tf.where(here, variable, tf.zeros_like(variable))
                )
                for variable in variables
            ]

        with self.together():
            values = tf.function(lambda: self.run(chiefs), autograph=False)()
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


def _devices():
    return [device.name for device in tf.config.list_logical_devices("GPU")] or [
        device.name for device in tf.config.list_logical_devices("CPU")
    ]


@contextlib.contextmanager
def _default_interrupt():
    """Let Ctrl-C end the process at once, which Python can't while TensorFlow waits for the other processes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
