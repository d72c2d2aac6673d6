"""What asks a process to end, and what it says when nobody listens any more."""

import errno
import os
import signal

import pytest

from cli import progress
from davegan_tf.stop_signal import StopSignal, ending_signals

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


@pytest.mark.parametrize("name", NAMES)
def test_a_signal_asks_for_the_end_and_a_second_one_is_as_before(name):
    number, got = signal.Signals[name], []
    before = signal.signal(number, lambda number, frame: got.append(number))
    try:
        with StopSignal() as stop:
            os.kill(os.getpid(), number)
            assert stop.received == number and got == []
            os.kill(os.getpid(), number)
            assert got == [number]
    finally:
        signal.signal(number, before)


def test_under_nohup_a_closed_terminal_ends_nothing():
    # These tests themselves may run under nohup.
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert ending_signals() == [signal.SIGINT, signal.SIGTERM]
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        assert ending_signals() == [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EIO])
def test_a_training_goes_on_where_nobody_reads(number, monkeypatch):
    silenced = []

    class Closed:
        def write(self, text):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(progress, "silence", lambda: silenced.append(True))
    progress.say("100 steps", file=Closed())
    assert silenced


def test_a_full_disk_is_no_reader_that_has_left():
    class Full:
        def write(self, text):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        progress.say("100 steps", file=Full())
