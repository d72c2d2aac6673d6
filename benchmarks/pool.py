"""The parent's side of ``worker``: start, ask, and never leave one behind."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
TAIL_LINES = 15


class WorkerError(RuntimeError):
    """A worker has died; the message says what it last wrote to stderr."""


def environment():
    """The environment of a child process that finds these packages from any working directory."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


class Worker:
    """One contender in a process of its own; use as a context.

    Parameters
    ----------
    name : str
        See ``benchmarks.contenders``.
    options : dict, JSON-ready

    Attributes
    ----------
    about : dict, what the contender says of itself
    prepare_seconds : float, to build, compile and warm up (imports of its libraries included)
    peak_mb : float, largest memory so far in 10⁶ bytes

    Raises
    ------
    WorkerError
        Here or later, when the process dies.
    """

    def __init__(self, name, options):
        self.name = name
        self.stderr = tempfile.TemporaryFile()  # noqa: SIM115, closed with the worker
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", name, json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.stderr,
            text=True,
            env=environment(),
        )
        try:
            answer = self._answer()
        except BaseException:
            self.close()
            raise
        self.about, self.prepare_seconds = answer["ready"], answer["seconds"]

    def go(self, count, variant=None):
        """Let it do ``count`` units of work; returns the seconds that took."""
        words = ["go", count] + ([] if variant is None else [variant])
        # If it is dead, what it last said comes with the answer that is missing.
        with contextlib.suppress(BrokenPipeError):
            print(*words, file=self.process.stdin, flush=True)
        return self._answer()["seconds"]

    def close(self):
        """End the process, whatever it is doing."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.stderr):
            # An order that it did not live to read may still be in the pipe.
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            self.stderr.seek(0)
            lines = self.stderr.read().decode(errors="replace").strip().splitlines()
            said = "\n".join(lines[-TAIL_LINES:]) or "it wrote nothing to stderr"
            raise WorkerError(f"the worker {self.name} ended with code {code}:\n{said}")
        answer = json.loads(line)
        self.peak_mb = answer["peak_mb"]
        return answer
