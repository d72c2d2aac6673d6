"""From a config to a trained model in a run folder, interrupted and resumed at will."""

import contextlib
import dataclasses
import functools
import math
import time

import numpy as np

from davegan_tf.building import build_model
from davegan_tf.callbacks import History, TensorBoardLog, due
from davegan_tf.checkpoints import Checkpoints, save_weights
from davegan_tf.chunk import Chunk
from davegan_tf.config import dump_config
from davegan_tf.dataset import cut, encode_phases
from davegan_tf.distribution import Distribution
from davegan_tf.errors import InputError
from davegan_tf.files import write_text
from davegan_tf.finishing import limit_logits_for_use, recalibrate_for_use
from davegan_tf.manifest import describe_run
from davegan_tf.schedule import Schedule
from davegan_tf.set_losses import short_range_statistics
from davegan_tf.stop_signal import StopSignal

STATISTICS_IMAGES = 2048  # crops enough to know a micrograph
STATISTICS_PARTS = 256  # TensorFlow keeps the memory that one of them needs


class TrainingDivergedError(InputError):
    """A loss or weight is no longer finite."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a training ended."""

    step: int
    total_steps: int
    signal: int | None  # the signal that stopped it early, in this or another of its processes
    seconds: float  # wall time of this process's part
    began_at: int  # the step that this process's part began at


def train(config, micrograph, run, *, resume=False, overwrite=False, log_folder=None, observers=()):
    """Train the model of a config, from the start or from the newest checkpoint.

    Parameters
    ----------
    config : davegan_tf.config.Config
    micrograph : davegan_tf.micrographs.Micrograph
    run : davegan_tf.run_folder.RunFolder
    resume : bool
        Go on with the run in the folder; else the folder must be new (or ``overwrite`` set).
    log_folder : Path or None
        Where TensorBoard's events go.
    observers : sequence
        Objects with ``start(step, total_steps, steps_per_epoch, damaged_checkpoints)``,
        ``compiled(backend, seconds)`` and ``chunk(previous, step, logs)``. With ``training.distribution:
        multi_worker`` they are told of nothing, and nothing is written, but in the process of worker 0.

    Returns
    -------
    Outcome

    Raises
    ------
    InputError
        If the folder, its configuration, its data or the number of replicas do not fit, or another process of this
        training is lost.
    TrainingDivergedError
        If a loss or weight is no longer finite; names the step and the last good checkpoint.
    """
    distribution = Distribution(config.training.distribution)
    distribution.check_batch_size(config.training.batch_size)
    with contextlib.ExitStack() as held:
        stop = held.enter_context(StopSignal())

        def take_folder():
            held.enter_context(run.lock())
            if resume:
                run.check_same(config)
                run.check_data(micrograph)
            else:
                manifest = describe_run(config, micrograph)
                run.create(config, manifest, overwrite=overwrite, log=log_folder)

        distribution.on_chief(take_folder)
        session = _Session(config, micrograph, run, log_folder, observers, distribution)
        return session.run(stop)


def material_statistics(config, schedule, n_phases):
    """Mean and variance of the short-range statistics of what D is shown as real: (2, k) float32."""
    steps = math.ceil(STATISTICS_IMAGES / config.training.batch_size)
    positions = schedule.real_positions.positions(0, steps).reshape(-1, 3)
    found = []
    for part in np.array_split(positions, STATISTICS_PARTS):
        labels = cut(schedule.images, part, config.data.image_size)
        found.extend(short_range_statistics(encode_phases(labels, n_phases)).numpy())
    return np.stack([np.mean(found, axis=0), np.var(found, axis=0)])


class _Session:
    """One process's part of a training."""

    def __init__(self, config, micrograph, run, log_folder, observers, distribution):
        self.config, self.run_folder = config, run
        self.micrograph, self.distribution = micrograph, distribution
        self.model = distribution.build(build_model, config, micrograph.n_phases)
        self.schedule = Schedule(config, micrograph)
        self.checkpoints = Checkpoints(
            run.checkpoints, self.model, config.training.checkpoints_kept
        )
        self.log_folder = log_folder
        self.observers = list(observers) if distribution.chief else []
        # What this process's wall time goes into, beside the start.
        self.seconds = dict.fromkeys(("compilation", "steps", "logs", "checkpoints"), 0.0)
        # Set by `run`: when this process's part began, and the manifest then.
        self.started, self.before = None, {}

    def run(self, stop):
        self.started = time.monotonic()
        on_chief = self.distribution.on_chief
        step, damaged = on_chief(self._restore) or (0, [])
        step = began_at = self.distribution.agree(step)
        self.distribution.spread(self.checkpoints.variables.values())
        with contextlib.ExitStack() as opened:
            observers = on_chief(lambda: self._open(step, damaged, opened)) or []
            step, signal = self._loop(step, stop, observers)
        if step == self.schedule.total:
            on_chief(lambda: self._finish(step))
        seconds = time.monotonic() - self.started
        return Outcome(step, self.schedule.total, signal or None, seconds, began_at)

    def _open(self, step, damaged, opened):
        """Open what is written during the loop, and have it closed with ``opened``; all observers."""
        write_text(self.run_folder.config, dump_config(self.config))
        self.run_folder.write_manifest(
            finished=False, logit_divisor=None, replicas=self.distribution.replicas
        )
        self.before = self.run_folder.read_manifest()
        epoch = self.schedule.positions.samples_per_epoch / self.config.training.batch_size
        history = History(self.run_folder.history, step, epoch)
        log = TensorBoardLog(self.log_folder, self.config, self.micrograph, self.model, step)
        for observer in self.observers:
            observer.start(step, self.schedule.total, epoch, damaged)
        for close in (self._write_time, log.close, history.close):
            opened.callback(close)
        return [history, log, *self.observers]

    def _write_time(self):
        """Add this process's wall time to the run's."""
        total = self.before.get("wall_seconds", 0.0) + time.monotonic() - self.started
        parts = self.before.get("seconds", {})
        self.run_folder.write_manifest(
            wall_seconds=round(total, 1),
            seconds={part: round(parts.get(part, 0.0) + s, 1) for part, s in self.seconds.items()},
        )

    def _restore(self):
        step, damaged = self.checkpoints.restore_newest()
        if step is None and damaged:
            raise InputError(
                f"{self.checkpoints.folder}: none of the checkpoints (steps {', '.join(map(str, damaged))}) can be"
                " read; restore them, or start anew with --overwrite."
            )
        if step is None and self._was_finished():
            raise InputError(
                f"{self.run_folder.path}: is finished, but its checkpoints are gone: it can't go on; train anew with"
                " --overwrite, or in another --run-dir."
            )
        step = step or 0
        if step > self.schedule.total:
            raise InputError(
                f"{self.run_folder.path}: was trained for {step} steps already, more than the {self.schedule.total} of"
                f" training.epochs {self.config.training.epochs}; give more epochs."
            )
        epochs = self.run_folder.read_config().training.epochs
        if step > self.schedule.falls_from and epochs != self.config.training.epochs:
            raise InputError(
                f"{self.run_folder.path}: its learning rates have been falling since step {self.schedule.falls_from}"
                f" (training.decay_after), to 0 at the end of training.epochs {epochs}; go on with these, or train anew"
                f" with {self.config.training.epochs}."
            )
        return step, damaged

    def _was_finished(self):
        run = self.run_folder
        # The step stays in the manifest when a finished run goes on.
        known = run.read_manifest().get("step", 0) > 0
        return known or run.weights.is_file() or run.compact_weights.is_file()

    def _loop(self, step, stop, observers):
        training, schedule, distribution = self.config.training, self.schedule, self.distribution
        chunk = None
        signal = distribution.agree(stop.received or 0)
        while step < schedule.total and not signal:
            chunk = self._switch(step, chunk)
            # Chunks end at multiples of their length, wherever a run was interrupted.
            count = min(training.chunk_steps - step % training.chunk_steps, schedule.total - step)
            if chunk is None:
                chunk = self._compile(count)
            if step >= schedule.decayed_from:
                self._set_learning_rates(schedule.learning_rate_share(step))
            previous = step
            with self._timed("steps"):
                logs = chunk.run(
                    schedule.positions.positions(step, count),
                    schedule.real_positions.positions(step, count),
                )
            finite_steps = logs.pop("finite_steps")
            if finite_steps < count:
                self._diverged(f"a loss is no longer finite at step {step + finite_steps + 1}")
            step += count
            tell = functools.partial(self._tell, observers, previous, step, logs)
            with self._timed("logs"):
                distribution.on_chief(tell)
            signal = distribution.agree(stop.received or 0)
            if due(training.checkpoint_every, previous, step) or signal or step == schedule.total:
                with self._timed("checkpoints"):
                    distribution.on_chief(functools.partial(self._save, step))
        return step, signal

    def _switch(self, step, chunk):
        """Go over to fixed and to matched statistics at their steps; the chunk, or None where another is needed.

        A program serves the whole training, or one stretch of it.
        """
        model, schedule = self.model, self.schedule
        # A run that is resumed beyond this step has re-estimated statistics in its checkpoint.
        if step == schedule.frozen_from and not model.frozen_statistics:
            self._recalibrate()
        now = step >= schedule.frozen_from, step >= schedule.matched_from
        same = now == (model.frozen_statistics, model.matched_statistics)
        model.frozen_statistics, model.matched_statistics = now
        return chunk if same or (chunk and chunk.backend.switches) else None

    @contextlib.contextmanager
    def _timed(self, part):
        started = time.monotonic()
        yield
        self.seconds[part] += time.monotonic() - started

    def _tell(self, observers, previous, step, logs):
        for observer in observers:
            observer.chunk(previous, step, logs)

    def _save(self, step):
        try:
            self.checkpoints.save(step)
        except FloatingPointError as error:
            self._diverged(f"{error} is no longer finite at step {step}")
        # Else the time of a process that is killed would be missing from the run's.
        self._write_time()

    def _recalibrate(self):
        known = self.model, self.config, self.micrograph
        self.distribution.on_chief(functools.partial(recalibrate_for_use, *known))
        self.distribution.spread(self.checkpoints.variables.values())

    def _set_learning_rates(self, share):
        """Give the optimizers this share of the configured learning rates."""
        for name in ("encoder", "generator", "discriminator"):
            rate = getattr(self.config.training, f"{name}_learning_rate")
            getattr(self.model, f"{name}_optimizer").learning_rate = rate * share

    def _compile(self, count):
        """The program, for a first chunk of ``count`` steps."""
        training = self.config.training
        n_phases = self.micrograph.n_phases
        model = self.model
        if self.schedule.matches and model.lambda_statistics and model.material_statistics is None:
            model.material_statistics = material_statistics(self.config, self.schedule, n_phases)
        chunk = Chunk(
            model,
            self.schedule.images,
            n_phases,
            training.backend,
            self.distribution,
            matches=self.schedule.matches,
        )
        longest = min(training.chunk_steps, self.schedule.total)
        seconds = chunk.compile(count if chunk.backend.counted else longest, training.batch_size)
        self.seconds["compilation"] += seconds
        for observer in self.observers:
            observer.compiled(chunk.backend, seconds)
        return chunk

    def _diverged(self, what):
        steps = self.checkpoints.steps()
        good = (
            f"the last good checkpoint is that of step {steps[-1]} in {self.checkpoints.folder}"
            if steps
            else "there is no checkpoint yet"
        )
        raise TrainingDivergedError(
            f"{self.run_folder.path}: {what}; {good}. Lower the learning rates (training.*_learning_rate) or"
            " model.lambda_rec and train again."
        )

    def _finish(self, step):
        self.model.average_weights()
        # Those of renorm are those of inference, but of the last weights, not of their averages.
        training = self.config.training
        moving = self.config.model.normalization == "batch" or training.weight_averaging is not None
        if training.recalibrate and moving and step <= self.schedule.frozen_from:
            recalibrate_for_use(self.model, self.config, self.micrograph)
        try:
            divisor = limit_logits_for_use(self.model, self.config, self.micrograph)
        except FloatingPointError as error:
            self._diverged(f"{error} is no longer finite at step {step}")
        save_weights(self.model, self.run_folder.weights)
        self.run_folder.write_manifest(finished=True, step=step, logit_divisor=divisor)
