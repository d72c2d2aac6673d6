"""Progress of a training, for a terminal (one live line) and for a log file (a line now and then)."""

import errno
import os
import sys
import time

LINES_APART_SECONDS = 30


def silence():
    """Send what is still printed nowhere, once the reader of stdout has left: a write would fail again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    pipe = os.fstat(sys.stdout.fileno())
    for stream in (sys.stdout, sys.stderr):
        if os.path.samestat(os.fstat(stream.fileno()), pipe):  # stderr, too, after 2>&1
            os.dup2(nowhere, stream.fileno())


def say(text, file=None):
    """Print a line while trainings run; once nobody reads it any more, nothing.

    Hours of training are not lost because someone has seen enough of it (`train … | head`): it goes on.
    """
    try:
        print(text, file=file, flush=True)
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):  # the latter of a terminal that was closed
            raise
        silence()


class Progress:
    """An observer of ``davegan_tf.training.train``; use as a context."""

    def __enter__(self):
        self.live = None
        return self

    def __exit__(self, *_):
        if self.live is not None:
            self.live.stop()

    def start(self, step, total_steps, steps_per_epoch, damaged):
        self.total, self.steps_per_epoch = total_steps, steps_per_epoch
        self.last_line = time.monotonic()
        self.step = step
        for each in damaged:
            self._print(f"WARNING: checkpoint {each} is damaged; going on from an older one.")
        if step:
            self._print(f"resumed at step {step} of {total_steps}")
        if sys.stdout.isatty():
            from rich.progress import BarColumn, Progress, TextColumn

            self.live = Progress(
                TextColumn("{task.percentage:>3.0f}%"),
                BarColumn(bar_width=24),
                TextColumn("{task.description}"),
            )
            self.live.start()
            self.task = self.live.add_task("", total=total_steps, completed=step)

    def compiled(self, backend, seconds):
        self._print(f"compiled the training step in {seconds:.1f} s: {backend.description}")
        # The rate that is shown is that of the steps alone.
        self.since = (self.step, time.monotonic())

    def chunk(self, previous, step, logs):
        now = time.monotonic()
        self.step = step
        line = self._line(step, logs, now)
        if self.live is not None:
            self.live.update(self.task, completed=step, description=line)
        elif now - self.last_line > LINES_APART_SECONDS or step == self.total:
            self.last_line = now
            self._print(f"{100 * step / self.total:3.0f}%  {line}")

    def _line(self, step, logs, now):
        first, then = self.since
        losses = (
            f"D {logs['discriminator_loss']:.2f}  G {logs['generator_loss']:.2f}"
            f"  E {logs['encoder_loss']:.0f}"
        )
        place = f"epoch {step / self.steps_per_epoch:.0f}  step {step}/{self.total}"
        rate = (step - first) / (now - then)
        left = (self.total - step) / rate
        return f"{place}  {rate:.0f} steps/s  {losses}  {int(left // 60)}:{int(left % 60):02d} left"

    def _print(self, text):
        if self.live is not None:
            self.live.console.print(text)
        else:
            say(text)
