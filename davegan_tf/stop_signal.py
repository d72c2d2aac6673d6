"""An orderly end on Ctrl-C, on SIGTERM, and when the terminal is closed."""

import signal
import threading


def ending_signals():
    """Signals that ask a process to end; SIGHUP, of a closed terminal, where `nohup` has not had it ignored."""
    signals = [signal.SIGINT, signal.SIGTERM]
    # Windows has none.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    return signals


class StopSignal:
    """The signals of :func:`ending_signals` ask for an orderly end; a second one ends at once."""

    received = None

    def __enter__(self):
        self.former = {}
        if threading.current_thread() is threading.main_thread():
            for number in ending_signals():
                self.former[number] = signal.signal(number, self._receive)
        return self

    def _receive(self, number, frame):
        self.received = number
        for each, handler in self.former.items():
            signal.signal(each, handler)

    def __exit__(self, *_):
        for number, handler in self.former.items():
            signal.signal(number, handler)
